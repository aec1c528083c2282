"""The report itself: what it holds, how it prints, what it costs; the error that carries it."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import ssl
from concurrent.futures import Future
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

import veritls
from tests.conftest import Files
from tests.reports.broken import below, chain, leaf, middle, root
from tests.reports.chains import CASES
from tests.support.certificates import DAY, NOW, Party
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context
from tests.support.memory import memory_pair
from tests.test_certificate import SHAPES
from veritls._explaining import refusals
from veritls._explaining.explanation import Explanation, unverified
from veritls._loading.certificates import decoded
from veritls._report.checks import STEPS
from veritls._report.parsed_certificate import ParsedCertificate
from veritls._report.request import Refusal
from veritls.report import Request, VerificationReport

HOSTILE = "\x1b]0;owned\x07\r\n\u202egro.elpmaxe\u2066\x9b2J"


def refused(name: str) -> Any:
    with pytest.raises(veritls.SSLCertVerificationError) as caught:
        CASES[name]().verify()
    return caught.value


def trusted(*, name: str | None = "db.internal", **changes: Any) -> VerificationReport:
    context = client_context_of(root())
    report: VerificationReport = context.verify_chain(chain(below(**changes), middle()), server_hostname=name)
    return report


def client_context_of(*parties: Party) -> Any:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=b"".join(party.der for party in parties))
    return context


def test_the_certificates_come_in_path_order_with_role_and_source() -> None:
    report = refused("expired_leaf").report
    shown = [(each.role, each.source, each.subject) for each in report.certificates]
    assert shown == [
        ("leaf", "peer", "CN=leaf"),
        ("intermediate", "peer", "CN=R11"),
        ("anchor", "trust set", "CN=Example Root"),
    ]
    own = report.certificates[0]
    certificate = x509.load_der_x509_certificate(own.der)
    assert own.names == ("*.example.com",)
    assert own.issuer == "CN=R11"
    assert int(own.serial, 16) == certificate.serial_number
    assert own.not_before == certificate.not_valid_before_utc
    assert own.not_after == certificate.not_valid_after_utc
    assert [own.days_left(NOW - days * DAY) for days in (5, 3, 2)] == [2, 0, -1]


@pytest.mark.parametrize("shape", [name for name in SHAPES if "serial" in name])
def test_a_serial_number_is_shown_as_getpeercert_and_openssl_show_it(shape: str) -> None:
    der = SHAPES[shape]
    assert ParsedCertificate(der, "peer").serial == decoded(der)["serialNumber"]


def test_a_path_that_ends_today_says_in_how_many_hours() -> None:
    own = Party("today", middle(), end=NOW + timedelta(hours=5, minutes=30))
    report = client_context_of(root()).verify_chain(chain(own, middle()), at=NOW)
    [validity] = [each.evidence for each in report.checks if each.name == "validity"]
    assert "is the first to expire, in 5 hours (" in validity


def test_what_was_sent_but_is_no_part_of_the_path_comes_last() -> None:
    report = refused("unrelated_intermediates").report
    assert [each.role for each in report.certificates] == ["leaf", "unused", "unused"]


def test_a_trusted_chain_has_a_report_of_the_same_shape() -> None:
    report = trusted()
    assert report.trusted and report.kind is None and report.remedies == ()
    assert [each.role for each in report.certificates] == ["leaf", "intermediate", "anchor"]
    results = {check.name: check.verdict for check in report.checks}
    assert results == {
        step.name: "passed" if step.asked_by in (None, "checked_name") else "not checked" for step in STEPS
    }
    assert report.sentence == (
        "the server's certificate for db.internal is trusted: verified through CN=R11 up to the "
        "trust anchor CN=Example Root"
    )


def test_checks_of_the_path_passed_where_a_later_one_failed_and_are_open_where_one_of_them_did() -> None:
    by_name = {check.name: check.verdict for check in refused("one_wrong_name").report.checks}
    assert (by_name["signature"], by_name["validity"], by_name["host name"]) == ("passed", "passed", "failed")
    by_name = {check.name: check.verdict for check in refused("expired_leaf").report.checks}
    assert (by_name["signature"], by_name["validity"], by_name["host name"]) == (
        "not checked",
        "failed",
        "not checked",
    )


def test_a_report_on_an_unverified_chain_says_so() -> None:
    report = unverified(Request(tuple(chain(leaf())), "server", NOW))
    assert not report.trusted and report.kind is None
    assert {check.verdict for check in report.checks} == {"not checked"}
    assert "was not verified" in str(report)


def test_a_report_cannot_be_changed() -> None:
    report = refused("expired_leaf").report
    with pytest.raises(FrozenInstanceError):
        report.trusted = True
    with pytest.raises(FrozenInstanceError):
        report.certificates[0].subject = "CN=other"


def test_it_prints_as_a_tree() -> None:
    lines = str(refused("missing_intermediate").report).split("\n")
    assert lines[0].startswith(
        "not trusted: the certificate of CN=R11, which issued api.internal, is missing"
    )
    assert "├─ certificates" in lines and "├─ checks" in lines and "└─ what to do" in lines
    assert any("leaf, sent by the peer: CN=leaf" in line for line in lines)
    assert any(line.split() == ["│", "├─", "failed", "chain"] for line in lines)


def test_it_is_json_with_times_as_iso_8601_and_certificates_as_pem() -> None:
    report = refused("expired_leaf").report
    shown = json.loads(report.as_json())
    assert shown == report.as_dict()
    assert shown["kind"] == "expired" and shown["trusted"] is False
    assert shown["question"]["purpose"] == "server"
    assert datetime.fromisoformat(shown["question"]["at"]) == report.question.at
    assert datetime.fromisoformat(shown["certificates"][0]["not_after"]) == NOW - 3 * DAY
    assert ssl.PEM_cert_to_DER_cert(shown["certificates"][0]["pem"]) == report.certificates[0].der
    assert {each["name"] for each in shown["checks"]} == {step.name for step in STEPS}
    assert report.as_json().isascii()


def test_everything_that_is_asked_is_in_the_json() -> None:
    shown = set(refused("expired_leaf").report.as_dict()["question"])
    asked = {field.name for field in fields(Request)}
    # The chain is among the certificates; the name stands there where it is checked.
    assert asked - {"chain", "check_hostname"} == shown - {"chain_length"}


def test_names_that_a_terminal_would_obey_are_escaped() -> None:
    hostile = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTILE, _validate=False)])
    party = Party(hostile, middle(), names=(), end=NOW - DAY)
    with pytest.raises(veritls.SSLCertVerificationError) as caught:
        client_context_of(root()).verify_chain(chain(party, middle()))
    report = caught.value.report
    for text in (str(caught.value), report.as_json(indent=None), *str(report).split("\n")):
        assert text.isprintable()
    assert r"\x1b]0;owned\x07\r\n\u202egro.elpmaxe" in report.sentence


def test_a_name_that_is_no_text_is_escaped() -> None:
    broken = below("ab.internal")
    der = broken.der.replace(b"ab.internal", b"\xff\x1b.internal")
    with pytest.raises(veritls.SSLCertVerificationError) as caught:
        client_context_of(root()).verify_chain([der, middle().der])
    assert str(caught.value).isprintable()
    assert all(line.isprintable() for line in str(caught.value.report).split("\n"))


def test_the_error_can_be_pickled_and_copied_with_its_report() -> None:
    error = refused("expired_leaf")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert (str(again), again.args, again.reason) == (str(error), error.args, error.reason)
        assert (again.verify_code, again.verify_message) == (error.verify_code, error.verify_message)
        assert again.report.as_dict() == error.report.as_dict()


def test_a_copy_says_how_long_ago_as_the_error_did() -> None:
    report = refused("expired_leaf").report
    unread = VerificationReport(report.question, False, (), report.refusal, explain=Explanation)
    again = pickle.loads(pickle.dumps(unread))
    # It came along, and was not made anew.
    assert vars(vars(again)["_explanation"])["_finding"].sentence == report.sentence
    assert again.sentence == report.sentence


@pytest.mark.parametrize("kind", ["ocsp_of_tomorrow", "strict_of_tomorrow", "something_new"])
def test_a_kind_that_the_tables_do_not_know_is_told_in_the_engines_words(kind: str) -> None:
    words = "no host has this name"
    request = Request(tuple(chain(leaf(), middle())), "server", NOW)
    error = refusals.verification_error(request, Refusal(kind, words))
    assert words in str(error) and error.report.kind == kind
    failed = [check for check in error.report.checks if check.verdict == "failed"]
    assert len(failed) == 1
    expected = {"ocsp_of_tomorrow": "stapled OCSP"}
    assert failed[0].name == expected.get(kind, "strict profile" if "strict" in kind else "something new")
    assert "db.internal" in str(error)


DEMANDS = {
    "not_allowed": ("matches none of allowed_peers (its names: a; allowed: b)", "allowed peers"),
    "not_pinned": (
        "no key in the path of the client's certificate for db.internal is in pinned_keys (its "
        "names: a; allowed: b)",
        "pinned keys",
    ),
    "callback": (
        "the verify callback refused the client's certificate for db.internal: its names: a",
        "callback",
    ),
    "ocsp_missing": ("the client stapled no OCSP response to the client's certificate", "stapled OCSP"),
    "ocsp_revoked": ("was revoked, according to the OCSP response that the client stapled", "stapled OCSP"),
    "ocsp_unknown": ("says that its issuer does not know the certificate", "stapled OCSP"),
    "ocsp_expired": (f"expired 2 days ago ({NOW - 2 * DAY:%Y-%m-%d %H:%M} UTC)", "stapled OCSP"),
    "ocsp_foreign": ("is for another certificate: its names: a", "stapled OCSP"),
    "key_usage": ("may not be used for TLS: its key usage is digitalSignature", "purpose"),
    "list_signer": ("may not sign CRLs", "revocation"),
    "revocation_list_signature": ("was not signed by its issuer", "revocation"),
}


@pytest.mark.parametrize("kind", DEMANDS)
def test_what_a_program_demands_beyond_a_path_has_its_explanation(kind: str) -> None:
    request = Request(tuple(chain(leaf(), middle())), "client", datetime.now(UTC))
    refusal = Refusal(kind, "its names: a; allowed: b", int((NOW - 2 * DAY).timestamp()))
    error = refusals.verification_error(request, refusal)
    explanation, check = DEMANDS[kind]
    assert explanation in str(error)
    assert [each.name for each in error.report.checks if each.verdict == "failed"] == [check]


def test_evidence_without_a_chain_makes_an_error_all_the_same() -> None:
    error = refusals.verification_error(Request((), "server", NOW), Refusal("callback", "no reason"))
    assert "no reason" in str(error) and str(error.report) and error.report.as_json()


def test_the_explanation_of_a_refusal_reads_a_bounded_number_of_certificates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = []
    real = x509.load_der_x509_certificate

    def load(der: bytes) -> x509.Certificate:
        read.append(der)
        return real(der)

    monkeypatch.setattr(x509, "load_der_x509_certificate", load)
    many = [leaf().der] + [Party(f"Other {number}", ca=True).der for number in range(200)]
    with pytest.raises(veritls.SSLCertVerificationError) as caught:
        client_context_of(root()).verify_chain(many)
    assert len(read) <= 25
    assert len(str(caught.value)) < 1000
    assert len(caught.value.report.certificates) <= 25


def test_the_names_of_a_huge_certificate_are_not_read_for_the_explanation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    huge = below(*(f"host-{number}.example.com" for number in range(2500)), end=NOW - DAY)
    assert len(huge.der) > 50_000
    read = []

    def rendered(name: x509.GeneralName) -> str:
        read.append(name)
        return "a name of the certificate"

    monkeypatch.setattr("veritls._report.parsed_certificate.general_name", rendered)
    with pytest.raises(veritls.SSLCertVerificationError) as caught:
        client_context_of(root()).verify_chain(chain(huge, middle()))
    assert not read
    assert ParsedCertificate(huge.der, "peer").extensions == []
    names = "host-0.example.com, host-1.example.com and 2,498 more"
    assert f"the server's certificate for {names} expired 1 day ago" in str(caught.value)
    shown = caught.value.report.certificates[0]
    assert (len(shown.names), shown.names_left_out) == (100, 2400)


def test_a_large_certificate_for_other_names_says_for_which() -> None:
    large = below(*(f"host-{number}.example.com" for number in range(2000)))
    with pytest.raises(veritls.SSLCertVerificationError) as caught:
        client_context_of(root()).verify_chain(chain(large, middle()), server_hostname="db.internal")
    names = "host-0.example.com, host-1.example.com and 1,998 more"
    assert (
        caught.value.report.sentence
        == f"the requested name is db.internal, but the certificate is for {names}"
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("transport", ["socket", "bio", "asyncio"])
@pytest.mark.parametrize("side", ["client", "server"])
def test_every_transport_raises_the_report_on_the_side_that_refuses(
    side: str, transport: str, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    old = below("localhost", end=NOW - DAY)
    good = Party("good", root(), names=["localhost"])
    shown = [old, middle()] if side == "client" else [good]
    server = server_context(shown[0].file(tmp_path, *shown[1:]))
    client = client_context_of(root())
    server.minimum_version = server.maximum_version = version
    if side == "server":
        client.load_cert_chain(old.file(tmp_path, middle()))
        server.load_verify_locations(cadata=root().der)
        server.verify_mode = ssl.CERT_REQUIRED
    outcome = {"socket": by_socket, "bio": by_bio, "asyncio": by_asyncio}[transport](server, client)
    error = outcome[0 if side == "server" else 1]
    assert isinstance(error, veritls.SSLCertVerificationError)
    report = error.report
    peer = "server" if side == "client" else "client"
    assert report.question.purpose == peer
    assert report.sentence.startswith(f"the {peer}'s certificate for localhost expired 1 day ago")
    assert abs(report.question.at - datetime.now(UTC)) < timedelta(minutes=5)
    assert report.question.server_hostname == ("localhost" if side == "client" else None)
    assert [each.role for each in report.certificates] == ["leaf", "intermediate", "anchor"]


def by_socket(server: Any, client: Any) -> tuple[Any, Any]:
    server_raw, client_raw = raw_pair()

    def serve() -> None:
        with server.wrap_socket(server_raw, server_side=True) as end:
            end.recv(1)

    def connect() -> None:
        with client.wrap_socket(client_raw, server_hostname="localhost") as end:
            end.recv(1)

    ends: tuple[Future[Any], Future[Any]] = (in_thread(serve), in_thread(connect))
    return tuple(end.exception(SECONDS) for end in ends)  # type: ignore[return-value]


def by_bio(server: Any, client: Any) -> tuple[Any, Any]:
    ends = memory_pair(server, client)
    failed: list[Any] = [None, None]
    for _ in range(10):
        for index, end in enumerate(ends):
            try:
                if failed[index] is None:
                    end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                failed[index] = error
    return tuple(failed)


def by_asyncio(server: Any, client: Any) -> tuple[Any, Any]:
    failed: list[Any] = [None, None]

    async def run() -> None:
        asyncio.get_running_loop().set_debug(True)  # else it says nothing of a handshake that failed
        done = asyncio.Event()

        def note(record: logging.LogRecord) -> bool:
            if record.exc_info and isinstance(record.exc_info[1], ssl.SSLError):
                failed[0] = record.exc_info[1]
                done.set()
            return False

        log = logging.getLogger("asyncio")
        log.setLevel(logging.DEBUG)
        log.addFilter(note)
        listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=server)
        host, port = listening.sockets[0].getsockname()
        async with listening:
            try:
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=client, server_hostname="localhost"
                )
                await reader.read()
                writer.close()
            except OSError as error:
                failed[1] = error
            await asyncio.wait_for(done.wait(), SECONDS)
        log.removeFilter(note)
        log.setLevel(logging.NOTSET)

    asyncio.run(run())
    return tuple(failed)


def test_what_was_demanded_is_never_called_undemanded(files: Files) -> None:
    """Of a peer refused for something else, over a socket and without a connection."""
    client = client_context(files.ca)
    client.allowed_peers = [veritls.DNSPattern("localhost")]
    client.pinned_keys = ["sha256/" + "A" * 43 + "="]
    client.require_ocsp = True
    server_raw, client_raw = raw_pair()
    serving = in_thread(server_context(files.expired_server).wrap_socket, server_raw, server_side=True)
    with server_raw, client_raw, pytest.raises(veritls.SSLCertVerificationError) as over_socket:
        client.wrap_socket(client_raw, server_hostname="localhost")
    assert serving.exception(SECONDS) is not None
    chain = files.expired_server.read_bytes()
    with pytest.raises(veritls.SSLCertVerificationError) as alone:
        client.verify_chain(chain, server_hostname="localhost")
    for error in (over_socket.value, alone.value):
        checks = {check.name: check for check in error.report.checks}
        for name in ("stapled OCSP", "allowed peers", "pinned keys"):
            assert checks[name].evidence == "not reached"
