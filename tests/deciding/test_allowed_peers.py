"""allowed_peers: which valid certificates are accepted."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier
from hypothesis import HealthCheck, assume, given, settings, strategies as st

import veritls
from tests.deciding.conftest import World
from tests.support.certificates import SERVES_AND_SIGNS, raw_names
from tests.support.memory import connect

V = ssl.TLSVersion
DNS, URI, Mail = x509.DNSName, x509.UniformResourceIdentifier, x509.RFC822Name


def IP(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


OTHER = x509.OtherName(ObjectIdentifier("1.2.3"), b"\x04\x01x")
WEB = "spiffe://example.org/ns/prod/sa/web"

MATCHES = [
    (veritls.DNSPattern("db.internal"), [DNS("DB.Internal")]),
    (veritls.DNSPattern("*.Internal"), [DNS("other.example"), DNS("db.internal")]),
    (veritls.DNSPattern("*.internal"), [DNS("*.internal")]),
    (veritls.DNSPattern("müller.example"), [DNS("xn--mller-kva.example")]),
    (veritls.Network("10.0.0.0/8"), [IP("10.255.0.1")]),
    (veritls.Network("10.0.0.1"), [IP("10.0.0.1")]),
    (veritls.Network("2001:db8::/32"), [IP("2001:db8:1::1")]),
    (veritls.Network("0.0.0.0/0"), [IP("192.0.2.1")]),
    (veritls.Network("::/0"), [IP("2001:db8::1")]),
    (veritls.URI("https://Example.org/a?b"), [URI("https://Example.org/a?b")]),
    (veritls.SPIFFE(WEB), [URI(WEB), DNS("web.prod"), OTHER]),
    (veritls.SPIFFE("spiffe://example.org/ns/*/sa/web"), [URI(WEB)]),
    (veritls.SPIFFE("spiffe://example.org/**"), [URI(WEB)]),
    (veritls.SPIFFE("spiffe://example.org/ns/**"), [URI("spiffe://example.org/ns/A.b-c_d")]),
    (veritls.Email("ops@Example.org"), [Mail("ops@example.ORG")]),
]

DIFFERS = [
    (veritls.DNSPattern("db.internal"), [DNS("db.internal.example"), DNS("xdb.internal")]),
    (veritls.DNSPattern("db.internal"), [DNS("*.internal")]),
    (veritls.DNSPattern("*.internal"), [DNS("a.b.internal"), DNS("internal"), DNS("*.b.internal")]),
    (veritls.DNSPattern("*.internal"), [DNS(".internal"), DNS("a b.internal"), DNS("db.internal.")]),
    (veritls.DNSPattern("db.internal"), [URI("db.internal"), Mail("db.internal"), OTHER]),
    (veritls.DNSPattern("db.internal"), []),
    (veritls.Network("10.0.0.0/8"), [IP("11.0.0.1"), DNS("10.0.0.1")]),
    (veritls.Network("0.0.0.0/0"), [IP("::1"), IP("::ffff:10.0.0.1")]),
    (veritls.Network("::/0"), [IP("10.0.0.1")]),
    (veritls.Network("10.0.0.1/32"), [IP("10.0.0.2")]),
    (veritls.URI("https://example.org/a"), [URI("https://example.org/A"), URI("https://example.org/a/")]),
    (veritls.SPIFFE(WEB), [URI(WEB), URI("https://example.org/")]),
    (veritls.SPIFFE(WEB), [URI(WEB), URI(WEB)]),
    (veritls.SPIFFE("spiffe://example.org/ns/*/sa/web"), [URI("spiffe://example.org/ns/a/b/sa/web")]),
    (veritls.SPIFFE("spiffe://example.org/**"), [URI("spiffe://example.com/ns/prod")]),
    (veritls.SPIFFE("spiffe://example.org/ns/**"), [URI("spiffe://example.org/ns")]),
    (veritls.SPIFFE("spiffe://example.org/**"), [URI("spiffe://example.org/a/../b")]),
    (veritls.SPIFFE("spiffe://example.org/**"), [URI("spiffe://example.org/a?x")]),
    (veritls.SPIFFE("spiffe://example.org/**"), [URI("spiffe://example.org")]),
    (veritls.SPIFFE("spiffe://example.org/**"), [URI("SPIFFE://example.org/a")]),
    (veritls.SPIFFE("spiffe://example.org/**"), [DNS("example.org")]),
    (veritls.Email("ops@example.org"), [Mail("Ops@example.org"), Mail("ops@sub.example.org")]),
    (veritls.Email("ops@example.org"), [Mail("example.org"), DNS("example.org")]),
]


def names_of(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(each.value) for each in value) or "none"
    return str(value)


def accepted(world: World, matcher: Any, names: list[Any], **options: Any) -> bool:
    context = world.server_context()
    context.allowed_peers = [matcher]
    peer = world.ca.issue(*names, **options)
    try:
        return bool(context.verify_chain([peer.der]).trusted)
    except ssl.SSLCertVerificationError as error:
        assert error.verify_code == 50
        return False


@pytest.mark.parametrize(("matcher", "names"), MATCHES, ids=names_of)
def test_a_certificate_with_such_a_name_is_allowed(world: World, matcher: Any, names: list[Any]) -> None:
    assert accepted(world, matcher, names)


@pytest.mark.parametrize(("matcher", "names"), DIFFERS, ids=names_of)
def test_a_certificate_without_such_a_name_is_not(world: World, matcher: Any, names: list[Any]) -> None:
    assert not accepted(world, matcher, names)


def der_names(*names: tuple[int, bytes]) -> bytes:
    inner = b"".join(bytes([tag, len(value)]) + value for tag, value in names)
    return bytes([0x30, len(inner)]) + inner


@pytest.mark.parametrize(
    ("matcher", "raw"),
    [
        (veritls.SPIFFE(WEB), der_names((0x86, WEB.encode()), (0x86, b"\xff"))),
        (veritls.URI("a:b"), der_names((0x86, b"a:b"), (0x82, b"x")) + b"\x00"),
        (veritls.URI("a:b"), der_names((0x86, b"a:b\x00"))),
        (veritls.DNSPattern("a.b"), der_names((0x82, b"a.b\x00c"))),
        (veritls.DNSPattern("a.b"), der_names((0x82, b"a.b\xff"))),
        (veritls.Network("0.0.0.0/0"), der_names((0x87, b"\x0a\x00\x00\x01\x00"))),
        (veritls.Email("a@b.c"), der_names((0x81, b"a@b.c\n"))),
        (veritls.Email("a@b.c"), b""),
        (veritls.Email("a@b.c"), b"\x30\x05\x81"),
    ],
)
def test_names_that_cannot_be_read_match_nothing(world: World, matcher: Any, raw: bytes) -> None:
    context = world.server_context()
    peer = world.ca.issue(san=raw_names(raw))
    context.allowed_peers = [matcher]
    with pytest.raises(ssl.SSLCertVerificationError):
        context.verify_chain([peer.der])


def test_a_certificate_that_may_sign_others_has_no_spiffe_id(world: World) -> None:
    context = world.server_context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    signer = world.ca.issue(URI(WEB), ca=True, usage=SERVES_AND_SIGNS)
    # Trusted by itself, so that nothing else is wrong with it.
    context.load_verify_locations(cadata=signer.pem.decode())
    assert context.verify_chain([signer.der]).trusted
    context.allowed_peers = [veritls.SPIFFE(WEB)]
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        context.verify_chain([signer.der])
    assert refused.value.verify_code == 50


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(
            (veritls.DNSPattern, text)
            for text in ("", "*", "*.", "a.*", "w*.a", "a..b", "a.", "10.0.0.1", "ü*.a")
        ),
        *((veritls.Network, text) for text in ("", "10.0.0.1/8", "10/8", "10.0.0.0/33", "fe80::1%eth0", "x")),
        *((veritls.URI, text) for text in ("", "a b", "ü", "a\n")),
        *(
            (veritls.SPIFFE, text)
            for text in ("", WEB[:-3], "spiffe://example.org", "spiffe://example.org/", "spiffe://E.org/a")
        ),
        *(
            (veritls.SPIFFE, f"spiffe://example.org/{path}")
            for path in ("a/", "**/a", "a*", "..", "a//b", "a?b", "%61", "x" * 2048)
        ),
        (veritls.SPIFFE, f"spiffe://{'x' * 256}/a"),
        *(
            (veritls.Email, text)
            for text in ("", "ops", "@a.org", "ops@", "a@b@c.org", "a b@c.org", "a@*.org")
        ),
    ],
)
def test_what_is_no_pattern_is_a_value_error(kind: Any, value: str) -> None:
    with pytest.raises(ValueError, match=kind.__name__):
        kind(value)


@pytest.mark.parametrize(
    "kind", [veritls.DNSPattern, veritls.Network, veritls.URI, veritls.SPIFFE, veritls.Email]
)
def test_a_matcher_takes_text_only(kind: Any) -> None:
    for wrong in (None, 1, b"a.org", ["a.org"]):
        with pytest.raises(TypeError):
            kind(wrong)


def test_matchers_are_values(world: World) -> None:
    matcher = veritls.Network("10.0.0.0/8")
    assert matcher == veritls.Network("10.0.0.0/8") != veritls.Network("10.0.0.0/9")
    assert len({matcher, veritls.Network("10.0.0.0/8")}) == 1
    assert str(matcher) == "network 10.0.0.0/8"
    with pytest.raises(AttributeError):
        matcher.value = "0.0.0.0/0"  # type: ignore[misc]
    context = world.server_context()
    context.allowed_peers = iter([matcher])
    assert context.allowed_peers == (matcher,)


def test_a_dns_name_in_unicode_is_what_the_dns_calls_it() -> None:
    assert veritls.DNSPattern("bücher.example") == veritls.DNSPattern("xn--bcher-kva.example")
    assert veritls.DNSPattern("*.bücher.example").value == "*.xn--bcher-kva.example"


@pytest.mark.parametrize(
    "wrong", ["", b"", "*.internal", b"x", ["*.internal"], [None], veritls.URI("a:b"), 4]
)
def test_what_is_no_list_of_matchers_is_refused(world: World, wrong: Any) -> None:
    context = world.server_context()
    with pytest.raises(TypeError):
        context.allowed_peers = wrong
    assert context.allowed_peers is None


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_a_server_that_says_whose_refuses_others_with_access_denied(world: World, version: V) -> None:
    server, client = world.server_context(), world.client_context(version=version)
    server.allowed_peers = [veritls.DNSPattern("*.internal"), veritls.Network("10.0.0.0/8")]
    assert not connect(server, client).refused
    server.allowed_peers = [veritls.DNSPattern("*.external"), veritls.Network("10.0.0.0/8")]
    outcome = connect(server, client)
    assert outcome.client_error.reason == "TLSV1_ALERT_ACCESS_DENIED"
    assert outcome.server_error.verify_message == "application verification failure"
    assert "its names: DNS client.internal; allowed: DNS *.external, network 10.0.0.0/8" in str(
        outcome.server_error
    )


def test_a_client_that_says_whose_refuses_other_servers(world: World) -> None:
    client = world.client_context()
    client.allowed_peers = [veritls.DNSPattern("localhost")]
    assert not connect(world.server_context(), client).refused
    client.allowed_peers = [veritls.DNSPattern("elsewhere")]
    assert connect(world.server_context(), client).client_error.verify_code == 50


def test_an_empty_list_allows_no_peer(world: World) -> None:
    server = world.server_context()
    server.allowed_peers = []
    assert connect(server, world.client_context()).server_error.verify_code == 50
    server.allowed_peers = None
    assert not connect(server, world.client_context()).refused


def test_the_name_does_not_help_a_certificate_of_a_stranger(world: World) -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(world.file(world.server))
    server.allowed_peers = [veritls.DNSPattern("client.internal")]
    assert connect(server, world.client_context()).server_error.verify_code in (18, 19, 20)


def test_it_cannot_be_combined_with_cert_none(world: World) -> None:
    server = world.server_context(ssl.CERT_NONE)
    server.allowed_peers = [veritls.DNSPattern("client.internal")]
    assert server.verify_mode == ssl.CERT_REQUIRED
    with pytest.raises(ValueError, match="allowed_peers"):
        server.verify_mode = ssl.CERT_NONE
    assert server.verify_mode == ssl.CERT_REQUIRED


def test_after_a_switch_of_contexts_both_lists_hold(world: World) -> None:
    first, second, client = world.server_context(), world.server_context(), world.client_context()
    first.sni_callback = lambda connection, *_: setattr(connection, "context", second)
    yes, no = [veritls.DNSPattern("client.internal")], [veritls.DNSPattern("other.internal")]
    for ours, theirs, refused in [(yes, yes, False), (yes, no, True), (no, yes, True), (yes, None, False)]:
        first.allowed_peers, second.allowed_peers = ours, theirs
        assert connect(first, client).refused is refused


def test_the_report_names_the_allowed_peers(world: World) -> None:
    client = world.client_context()
    client.allowed_peers = [veritls.DNSPattern("localhost"), veritls.URI("a:b")]
    question = client.verify_chain([world.server.der]).question
    assert question.allowed_peers == ("DNS localhost", "URI a:b")
    assert question.pinned_keys is None


def test_control_characters_in_a_name_are_shown_escaped(world: World) -> None:
    server = world.server_context()
    server.allowed_peers = []
    peer = world.ca.issue(URI("a:\n\x1b[31m"))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"URI a:\\n\\u\{1b\}\[31m"):
        server.verify_chain([peer.der])


@given(
    st.sampled_from([veritls.DNSPattern, veritls.Network, veritls.URI, veritls.SPIFFE, veritls.Email]),
    st.text(),
)
def test_any_text_is_a_pattern_or_a_value_error(kind: Any, text: str) -> None:
    with contextlib.suppress(ValueError):
        assert kind(text).value


LABELS = st.sampled_from(["a", "b", "A", "a-b", "*"])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LABELS, min_size=1, max_size=3), st.lists(LABELS, min_size=1, max_size=3))
def test_dns_patterns_match_as_a_model_of_them_does(
    world: World, pattern: list[str], name: list[str]
) -> None:
    def usable(labels: list[str]) -> bool:
        return "*" not in labels[1:] and labels != ["*"]

    assume(usable(pattern))
    lower = [[label.lower() for label in labels] for labels in (pattern, name)]
    expected = (
        usable(name)
        and len(name) == len(pattern)
        and (lower[0] == lower[1] or (pattern[0] == "*" and lower[0][1:] == lower[1][1:]))
    )
    assert accepted(world, veritls.DNSPattern(".".join(pattern)), [DNS(".".join(name))]) == expected


SEGMENTS = st.sampled_from(["a", "b", "A", "."])
WILD = st.sampled_from(["a", "b", "*", "**"])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WILD, min_size=1, max_size=3), st.lists(SEGMENTS, min_size=1, max_size=4))
def test_spiffe_patterns_match_as_a_model_of_them_does(
    world: World, pattern: list[str], path: list[str]
) -> None:
    assume("**" not in pattern[:-1])
    parts = [{"*": "[^/]+", "**": ".+"}.get(each, each) for each in pattern]
    expected = "." not in path and re.fullmatch("/".join(parts), "/".join(path)) is not None
    matcher = veritls.SPIFFE("spiffe://t/" + "/".join(pattern))
    assert accepted(world, matcher, [URI("spiffe://t/" + "/".join(path))]) == expected
