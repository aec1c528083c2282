"""`veritls audit MODULE:CONTEXT`: the context itself is tried, in memory."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.audit.support import (
    INVALID,
    LATER,
    Files,
    as_json,
    audit,
    client_context,
    not_tried,
    server_context,
    with_verdict as having,
)

MODULES = [veritls, ssl]
Naming = Callable[..., str]


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[Naming]:
    """Puts something into a module that can be imported; what the command line calls it."""
    made = type(sys)("veritls_audited")
    monkeypatch.setitem(sys.modules, made.__name__, made)

    def name(thing: Any) -> str:
        made.thing = thing  # type: ignore[attr-defined]
        return f"{made.__name__}:thing"

    yield name


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("mode", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL])
def test_a_servers_context_does_what_its_mode_demands(
    mode: ssl.VerifyMode, module: Any, named: Naming, audited: Files
) -> None:
    subject = named(server_context(audited, mode, module))
    code, result = as_json(subject, *audited.keys)
    assert code == 0, result["sentences"]
    assert having(result, "as it must") == {"valid", "none", *INVALID}
    none = next(each for each in result["peers"] if each["peer"] == "none")
    assert none["must_be"] == ("refused" if mode == ssl.CERT_REQUIRED else "accepted")


@pytest.mark.parametrize("module", MODULES)
def test_a_servers_context_that_asks_for_nothing_is_told_from_one_that_must(
    module: Any, named: Naming, audited: Files
) -> None:
    subject = named(server_context(audited, ssl.CERT_NONE, module))
    code, result = as_json(subject)
    assert (code, result["status"], result["requests_certificates"]) == (0, "asks for no certificate", False)
    for option in (["--ca", audited.ca], ["--allow", "DNS:a.internal"], ["--crl", audited.crl]):
        assert as_json(subject, *option)[0] == 2
    code, result = as_json(subject, *audited.keys, "--require")
    assert (code, having(result, "fails open")) == (1, {"none", *INVALID})


@pytest.mark.parametrize("module", MODULES)
def test_a_clients_context_refuses_every_invalid_server(module: Any, named: Naming, audited: Files) -> None:
    code, result = as_json(named(lambda: client_context(audited, module)), *audited.keys)
    assert code == 0, result["sentences"]
    assert having(result, "as it must") == {"valid", "other-name", *INVALID}
    assert result["side"] == "client"


@pytest.mark.parametrize("module", MODULES)
def test_a_client_that_verifies_nothing_fails_open_whatever_its_policy_says(
    module: Any, named: Naming, audited: Files
) -> None:
    context = client_context(audited, module)
    context.check_hostname = False
    code, result = as_json(named(context), *audited.keys)
    assert (code, having(result, "fails open")) == (1, {"other-name"})
    assert any("check_hostname is off" in each for each in result["sentences"])
    context.verify_mode = ssl.CERT_NONE
    code, result = as_json(named(context), *audited.keys)
    # Keys that are too short cannot be used by veritls at all.
    assert (code, having(result, "fails open") | {"weak"}) == (1, {"other-name", *INVALID})
    assert any("CERT_NONE" in each for each in result["sentences"])


def test_what_is_expected_can_be_said_for_each_peer(named: Naming, audited: Files) -> None:
    context = client_context(audited)
    context.check_hostname = False
    subject = named(context)
    assert as_json(subject, *audited.keys, "--expect", "other-name=accepted")[0] == 0
    assert as_json(subject, *audited.keys, "--expect", "valid=refused")[0] == 1


def test_allowed_peers_are_tried_with_a_name_that_they_match_and_one_that_they_do_not(
    named: Naming, audited: Files
) -> None:
    patterns = [
        veritls.SPIFFE("spiffe://example.org/client/*"),
        veritls.DNSPattern("*.web.internal"),
        veritls.Network("10.0.0.0/8"),
        veritls.URI("urn://a/b"),
        veritls.Email("ann@example.org"),
    ]
    for pattern in patterns:
        context = server_context(audited, ssl.CERT_REQUIRED)
        context.allowed_peers = [pattern]
        code, result = as_json(named(context), *audited.keys)
        assert code == 0, (pattern, result["sentences"])
        assert having(result, "as it must") == {"valid", "none", "other-name", *INVALID}


def test_the_other_name_is_one_that_no_pattern_matches(named: Naming, audited: Files) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED)
    context.allowed_peers = [veritls.SPIFFE("spiffe://example.org/**"), veritls.DNSPattern("a.internal")]
    code, result = as_json(named(context), *audited.keys)
    assert code == 0, result["sentences"]
    assert "other-name" in having(result, "as it must")
    context.allowed_peers = [veritls.Network("10.0.0.0/8"), veritls.DNSPattern("*.veritls-audit.example")]
    assert not_tried(as_json(named(context), *audited.keys)[1]) == {"other-name"}


def test_crls_of_a_context_are_tried_where_a_certificate_on_them_can_be_made(
    named: Naming, audited: Files
) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED)
    context.load_crls(audited.crl)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    subject = named(context)
    assert not_tried(as_json(subject, *audited.keys)[1]) == {"revoked"}
    code, result = as_json(subject, *audited.keys, "--crl", audited.crl)
    assert code == 0, result["sentences"]
    assert "revoked" in having(result, "as it must")


def test_a_version_that_a_context_does_not_speak_is_not_offered(named: Naming, audited: Files) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    code, result = as_json(named(context), *audited.keys)
    assert (code, result["versions"]) == (0, ["TLSv1.3"])
    client = client_context(audited)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    code, result = as_json(named(client), *audited.keys)
    assert (code, result["versions"]) == (0, ["TLSv1.2"])


def test_without_the_cas_key_a_context_cannot_be_told_to_be_good(named: Naming, audited: Files) -> None:
    code, result = as_json(named(server_context(audited, ssl.CERT_REQUIRED)))
    assert code == 2
    assert "namesake" not in not_tried(result), "the context's own anchors have a name"
    assert having(result, "proves nothing") == {"none", "other-ca", "namesake", "self-signed"}


def test_a_context_that_cannot_be_used_is_never_passed(named: Naming, audited: Files) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(audited.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    code, result = as_json(named(context), *audited.keys)
    assert code == 2
    assert having(result, "unknown") == {"valid", "none", *INVALID}, result["peers"]


def test_a_context_whose_callback_refuses_everybody_is_not_said_to_be_good(
    named: Naming, audited: Files
) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED)

    def refusing(_: object) -> None:
        raise RuntimeError("nobody")

    context.set_verify_callback(refusing)
    code, result = as_json(named(context), *audited.keys)
    assert (code, having(result, "refuses too much")) == (2, {"valid"})


def test_a_context_is_left_as_it_was(named: Naming, audited: Files) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED)
    before = context._settings
    as_json(named(context), *audited.keys)
    assert context._settings is before


def ending(_: object) -> None:
    raise SystemExit(0)


def test_a_callback_that_ends_the_program_does_not_end_the_audit_with_status_0(
    named: Naming, audited: Files
) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED)
    context.set_verify_callback(ending)
    code, result = as_json(named(context), *audited.keys)
    assert code == 2
    assert "valid" in having(result, "unknown")


@pytest.mark.parametrize(
    ("protocol", "attribute"),
    [
        (ssl.PROTOCOL_TLS_SERVER, "verify_flags"),
        (ssl.PROTOCOL_TLS_SERVER, "verify_mode"),
        (ssl.PROTOCOL_TLS_SERVER, "sni_callback"),
        (ssl.PROTOCOL_TLS_CLIENT, "check_hostname"),
    ],
)
def test_a_context_whose_attributes_raise_is_status_2(
    protocol: int, attribute: str, named: Naming, audited: Files
) -> None:
    class Strange(ssl.SSLContext):
        pass

    made = Strange(protocol)
    setattr(Strange, attribute, property(ending))
    code, out, err = audit(named(made), *audited.keys)
    assert (code, out) == (2, ""), err
    assert "reading it raised SystemExit" in err


@pytest.mark.parametrize("module", MODULES)
def test_a_context_that_may_choose_another_by_name_is_said_to_have_been_asked_for_one_name(
    module: Any, named: Naming, audited: Files
) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED, module)
    context.sni_callback = lambda *_: None
    code, result = as_json(named(context), *audited.keys, "--name", "a.internal")
    assert code == 0
    assert any("only a.internal was asked for" in each for each in result["sentences"])


def test_a_context_that_asks_for_nothing_is_held_to_the_one_that_its_sni_callback_chose(
    named: Naming, audited: Files
) -> None:
    chosen = server_context(audited, ssl.CERT_REQUIRED)
    context = server_context(audited, ssl.CERT_NONE)

    def choose(connection: Any, *_: Any) -> None:
        connection.context = chosen

    context.sni_callback = choose
    code, result = as_json(named(context), *audited.keys)
    assert code == 0, result["sentences"]
    assert having(result, "as it must") == {"valid", *INVALID}


def test_a_context_that_asks_after_the_handshake_is_said_to_do_so(named: Naming, audited: Files) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED, ssl)
    context.post_handshake_auth = True
    code, result = as_json(named(context), *audited.keys)
    assert (code, result["status"]) == (1, "fails open")
    assert any(each.startswith(LATER.format("TLS 1.3")) for each in result["sentences"])


def test_what_ssl_says_is_without_the_place_in_its_source(named: Naming, audited: Files) -> None:
    _, result = as_json(named(server_context(audited, ssl.CERT_REQUIRED, ssl)))
    [none] = [each["got"] for each in result["peers"] if each["peer"] == "none"]
    assert {got["evidence"] for got in none.values()} == {"peer did not return a certificate"}


def test_a_name_in_another_script_is_tried_as_it_is_sent(named: Naming, audited: Files) -> None:
    subject = named(client_context(audited))
    code, result = as_json(subject, *audited.keys, "--name", "bücher.internal")
    assert code == 0, result["sentences"]


class TestWhatIsNamed:
    def test_what_it_prints_is_not_in_the_result(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = "import ssl\nprint('a')\ndef thing():\n    print('b')\n    return ssl.create_default_context()"
        (tmp_path / "audited_noisy.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        _, out, err = audit("audited_noisy:thing", "--json")
        assert len(out.splitlines()) == 1
        assert err == "a\nb\n"

    def test_a_module_is_imported_from_the_folder_that_the_command_runs_in(
        self, audited: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = f"""
import veritls
class Settings:
    @staticmethod
    def context():
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations({str(audited.ca)!r})
        return context
"""
        (tmp_path / "audited_module.py").write_text(text)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [*sys.path])
        code, result = as_json("audited_module:Settings.context", *audited.keys)
        assert code == 0, result["sentences"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("1 / 0", "raised ZeroDivisionError: division by zero"),
            ("raise SystemExit(0)", "raised SystemExit"),
            ("import there_is_no_such_module", "No module named 'there_is_no_such_module'"),
            ("thing = 3", "is no SSLContext and makes none, but int"),
            ("def thing():\n    raise KeyError('a\\x1bb')", "calling it raised KeyError: 'a\\x1bb'"),
            ("other = 3", "has no attribute 'thing'"),
            ("def thing(needed): pass", "calling it raised TypeError"),
            ("import asyncio\ndef thing(): raise asyncio.CancelledError", "calling it raised CancelledError"),
            ("import asyncio\nraise asyncio.CancelledError", "raised CancelledError"),
            ("def __getattr__(name): raise RuntimeError(name)", "raised RuntimeError"),
        ],
    )
    def test_what_cannot_be_imported_or_is_no_context_is_status_2(
        self, text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "audited_wrong.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "audited_wrong", raising=False)
        code, out, err = audit("audited_wrong:thing")
        assert (code, out) == (2, "")
        assert err.startswith("veritls audit: audited_wrong:thing") and words in err, err
        assert err.rstrip("\n").isprintable()

    def test_a_context_for_either_side_needs_to_be_told_which(self, named: Naming) -> None:
        with pytest.warns(DeprecationWarning):
            subject = named(ssl.SSLContext(ssl.PROTOCOL_TLS))
        assert "give --side server or --side client" in audit(subject)[2]
        assert as_json(subject, "--side", "client")[1]["side"] == "client"
