"""`veritls audit HOST:PORT` against real servers: those that verify, those that fail open, and worse."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
from tests.audit.support import (
    INVALID,
    LATER,
    ROOT,
    Files,
    as_json,
    audit,
    needs,
    not_tried,
    server_context,
    with_verdict as having,
)
from tests.check_servers import says, serving
from tests.peers.peer import listening, running
from tests.support.certificates import DAY, NOW, Party, new_key
from tests.support.connections import in_thread
from veritls.cli.auditing.server import Server as Audited
from veritls.cli.target import Target

MODULES = [veritls, ssl]
BOTH = ["TLSv1.3", "TLSv1.2"]


@pytest.mark.parametrize("module", MODULES)
def test_a_server_that_requires_certificates_fails_open_for_nobody(module: Any, audited: Files) -> None:
    with serving(server_context(audited, ssl.CERT_REQUIRED, module)) as server:
        code, result = as_json(server, *audited.keys, "--require")
    assert code == 0, result["sentences"]
    assert result["versions"] == BOTH
    assert having(result, "as it must") == {"valid", "none", *INVALID}
    assert server.data == b""


@pytest.mark.parametrize("module", MODULES)
def test_a_server_with_optional_certificates_lets_in_a_client_without_one_and_no_invalid_one(
    module: Any, audited: Files
) -> None:
    with serving(server_context(audited, ssl.CERT_OPTIONAL, module)) as server:
        code, result = as_json(server, *audited.keys, "--optional")
        assert code == 0, result["sentences"]
        assert having(result, "as it must") == {"valid", "none", *INVALID}
        code, result = as_json(server, *audited.keys, "--require")
    assert (code, having(result, "fails open")) == (1, {"none"})


@pytest.mark.parametrize("module", MODULES)
def test_a_server_that_asks_for_no_certificate_is_said_to_let_in_everybody(
    module: Any, audited: Files
) -> None:
    with serving(server_context(audited, ssl.CERT_NONE, module)) as server:
        code, result = as_json(server)
        assert (code, result["status"]) == (0, "asks for no certificate")
        assert result["requests_certificates"] is False
        assert "asks clients for no certificate: whoever connects is let in" in result["sentences"]
        assert "asks for no certificate" in audit(server)[1].splitlines()[0]
        assert any(each.startswith(LATER.format("TLS 1.3 and TLS 1.2")) for each in result["sentences"])
        # Whoever has the clients' CA does not mean that.
        code, result = as_json(server, *audited.keys)
        assert (code, result["status"]) == (2, "asks for no certificate")
        got = [got for each in result["peers"] for got in each["got"].values()]
        assert {each["evidence"] for each in got} == {"was not asked for its certificate"}
        assert any("--require or --optional" in each for each in result["sentences"])
        for mode in ("--require", "--optional"):
            code, result = as_json(server, *audited.keys, mode)
            assert code == 1
            assert having(result, "fails open") >= set(INVALID)


def test_without_a_stated_mode_a_server_is_held_to_verify_what_it_asks_for(audited: Files) -> None:
    for mode in (ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED):
        with serving(server_context(audited, mode)) as server:
            code, result = as_json(server, *audited.keys)
        assert code == 0, result["sentences"]
        assert having(result, "either will do") == {"none"}


@pytest.mark.parametrize("option", ["-verify", "-Verify"])
def test_openssl_s_server_fails_open(option: str, audited: Files) -> None:
    needs("openssl")
    code, result = of_openssl(audited, option, "1")
    assert code == 1
    assert having(result, "fails open") == set(INVALID)
    assert result["sentences"][0].startswith("fails open: it accepts a certificate of another CA")


def test_openssl_s_server_with_verify_return_error_does_not_fail_open(audited: Files) -> None:
    needs("openssl")
    code, result = of_openssl(audited, "-Verify", "1", "-verify_return_error")
    assert code == 0, result["sentences"]
    assert having(result, "as it must") == {"valid", *INVALID}


def test_a_server_that_takes_no_key_of_the_peers_kind_is_not_judged_by_them(audited: Files) -> None:
    needs("openssl")
    options = ["-verify", "1", "-verify_return_error", "-client_sigalgs", "RSA-PSS+SHA256"]
    code, result = of_openssl(audited, *options)
    assert (code, result["requests_certificates"]) == (2, True)
    assert having(result, "unknown") >= {"valid", "other-ca", "self-signed"}


def test_a_weak_key_of_another_kind_than_a_server_takes_was_not_let_in(audited: Files) -> None:
    needs("openssl")
    options = ["-verify", "1", "-verify_return_error", "-client_sigalgs", "ECDSA+SHA256"]
    code, result = of_openssl(audited, *options)
    assert (code, having(result, "fails open")) == (2, set())
    assert having(result, "unknown") == {"weak"}
    assert having(result, "as it must") >= {"valid", "other-ca", "expired"}


def test_a_client_that_had_no_key_of_the_kind_was_not_refused_for_its_certificate(
    audited: Files, tmp_path: Path
) -> None:
    needs("openssl")
    expired = Party("old", ROOT, end=NOW - DAY, key=new_key("RSA")).file(tmp_path)
    options = ["-Verify", "1", "-verify_return_error", "-client_sigalgs", "ECDSA+SHA256"]
    for version in ("-tls1_2", "-tls1_3"):
        code, result = of_openssl(audited, *options, version, given=[f"--peer=expired={expired}"])
        assert (code, having(result, "unknown")) == (2, {"expired", "weak"}), version
        assert having(result, "as it must") >= {"valid", "other-ca", "not-yet-valid"}


def test_a_server_that_fails_open_in_one_version_only_fails_open(audited: Files) -> None:
    needs("openssl")
    code, result = of_openssl(audited, "-verify", "1", "-tls1_2")
    assert (code, result["versions"]) == (1, ["TLSv1.2"])
    assert having(result, "fails open") == set(INVALID)


def of_openssl(audited: Files, *options: str, given: Sequence[str] = ()) -> tuple[int, dict[str, Any]]:
    own = audited.server
    command: list[str | Path] = [
        "openssl",
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        own,
        "-key",
        own,
        "-CAfile",
    ]
    with running([*command, audited.ca, "-rev", *options]) as program:
        found = program.until(r"ACCEPT .*:(\d+)\n")
        assert found, program.output
        return as_json(f"127.0.0.1:{found[1]}", *audited.keys, *given)


@pytest.mark.parametrize(
    ("demand", "open_to"),
    [("--require-client-cert", {*INVALID} - {"weak"}), ("--verify-client-cert", {"purpose"})],
)
def test_gnutls_serv_fails_open_unless_it_is_told_to_verify_and_then_takes_servers_for_clients(
    demand: str, open_to: set[str], audited: Files
) -> None:
    needs("gnutls-serv")
    own = [f"--x509certfile={audited.server}", f"--x509keyfile={audited.server}"]
    command = [
        "gnutls-serv",
        "--quiet",
        "--echo",
        f"--x509cafile={audited.ca}",
        *own,
        "--require-client-cert",
        demand,
    ]
    with listening(lambda port: [*command, "--port", str(port)], r"IPv4 .*done") as (_, port):
        code, result = as_json(f"127.0.0.1:{port}", *audited.keys)
    assert (code, having(result, "fails open") - {"weak"}) == (1, open_to), result["peers"]


def test_a_revoked_certificate_is_made_with_a_serial_number_of_the_crl(audited: Files) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED)
    with serving(context) as server:
        code, result = as_json(server, *audited.keys, "--crl", audited.crl)
        assert (code, having(result, "fails open")) == (1, {"revoked"})
    context.load_crls(audited.crl)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    with serving(context) as server:
        code, result = as_json(server, *audited.keys, "--crl", audited.crl)
    assert code == 0, result["sentences"]
    assert "revoked" in having(result, "as it must")


def test_a_server_that_allows_one_name_is_tried_with_another(audited: Files) -> None:
    context = server_context(audited, ssl.CERT_REQUIRED)
    allow = ["--allow", "DNS:*.web.internal"]
    with serving(context) as server:
        assert having(as_json(server, *audited.keys, *allow)[1], "fails open") == {"other-name"}
    context.allowed_peers = [veritls.DNSPattern("*.web.internal")]
    with serving(context) as server:
        code, result = as_json(server, *audited.keys, *allow)
    assert code == 0, result["sentences"]


@pytest.mark.parametrize(
    ("allowed", "within"),
    [
        ("DNS:*.web.internal", x509.DNSName("web.internal")),
        ("DNS:web.internal", x509.DNSName("web.internal")),
        ("email:ann@web.internal", x509.RFC822Name("web.internal")),
        ("URI:urn://web.internal/a", x509.UniformResourceIdentifier("web.internal")),
    ],
)
def test_the_other_name_is_one_that_a_ca_with_constraints_may_issue(
    allowed: str, within: x509.GeneralName, audited: Files, tmp_path: Path
) -> None:
    limits = x509.NameConstraints(permitted_subtrees=[within], excluded_subtrees=None)
    ca = Party("Constrained", ca=True, limits=(limits, True))
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    (tmp_path / "ca.key").write_bytes(ca.key_pem)
    context = server_context(audited, ssl.CERT_REQUIRED, ssl)
    context.load_verify_locations(tmp_path / "ca.pem")
    with serving(context) as server:
        given = ["--ca", tmp_path / "ca.pem", "--ca-key", tmp_path / "ca.key", "--allow", allowed]
        code, result = as_json(server, "--require", *given)
    assert (code, having(result, "fails open")) == (1, {"other-name"}), result["sentences"]


class TestWithoutTheKeyOfTheCA:
    def test_what_proves_nothing_is_not_tried(self, audited: Files) -> None:
        with serving(server_context(audited, ssl.CERT_REQUIRED)) as server:
            code, result = as_json(server, "--require")
        assert code == 2
        assert not_tried(result) == {"valid", "namesake", *INVALID[3:]}
        assert having(result, "proves nothing") == {"none", "other-ca", "self-signed"}
        assert any("it may refuse everybody" in each for each in result["sentences"])

    def test_files_of_peers_take_its_place(self, audited: Files, tmp_path: Path) -> None:
        valid = Party("Ann", ROOT).file(tmp_path)
        expired = Party("Bob", ROOT, end=NOW - DAY).file(tmp_path)
        with serving(server_context(audited, ssl.CERT_REQUIRED)) as server:
            given = ["--peer", f"valid={valid}", "--peer", f"expired={expired}", "--ca", audited.ca]
            code, result = as_json(server, "--require", *given)
        assert code == 0, result["sentences"]
        tried = {"valid", "none", "other-ca", "namesake", "self-signed", "leaf-as-ca", "expired"}
        assert having(result, "as it must") == tried
        assert not_tried(result) == {"not-yet-valid", "purpose", "weak"}

    def test_a_server_that_fails_open_is_found_all_the_same(self, audited: Files) -> None:
        with serving(server_context(audited, ssl.CERT_NONE)) as server:
            assert as_json(server, "--require")[0] == 1


def test_a_server_that_refuses_everybody_is_not_said_to_be_good(audited: Files, tmp_path: Path) -> None:
    other = Party("Another", ca=True)
    context = server_context(audited, ssl.CERT_REQUIRED)
    context.replace_trust(cadata=other.pem.decode())
    with serving(context) as server:
        code, result = as_json(server, *audited.keys, "--require")
        out = audit(server, *audited.keys, "--require")[1]
    assert code == 2
    assert having(result, "refuses too much") == {"valid"}
    assert having(result, "proves nothing") == {"none", *INVALID}
    assert "What else it refuses there proves nothing" in out
    assert "nothing fails open" not in out


def answers(data: bytes) -> Callable[[socket.socket], None]:
    """A server that takes the hello, so that no reset overtakes what it sends, sends `data` and closes."""

    def dialogue(sock: socket.socket) -> None:
        sock.recv(65_536)
        sock.sendall(data)
        raise ConnectionError("done")

    return dialogue


def resets(sock: socket.socket) -> None:
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    raise ConnectionError("done")


@pytest.mark.parametrize(
    ("dialogue", "words"),
    [
        (answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak TLS"),
        (answers(b"SSH-2.0-OpenSSH_9.9\r\n"), "does not speak TLS"),
        (answers(b""), "closed before it answered"),
        (says(b"", "wait"), "no answer within 0.3 seconds"),
        (resets, "reset the connection"),
    ],
    ids=["http", "ssh", "closes", "hangs", "resets"],
)
def test_a_server_that_cannot_be_tried_is_never_passed(
    dialogue: Callable[[socket.socket], None], words: str, audited: Files
) -> None:
    with serving(server_context(audited, ssl.CERT_REQUIRED), dialogue) as server:
        code, result = as_json(server, *audited.keys, "--require", "--timeout", 0.3)
        out = audit(server, *audited.keys, "--timeout", 0.3)[1]
    assert code == 2
    assert having(result, "unknown") == {"valid", "none", *INVALID}, result["peers"]
    assert all(words in got["evidence"] for each in result["peers"] for got in each["got"].values())
    assert "inconclusive" in out.splitlines()[0]


def test_a_server_that_drips_is_given_up(audited: Files) -> None:
    def dripping(sock: socket.socket) -> None:
        sock.settimeout(0.05)
        sock.sendall(b"\x16\x03\x03\x40\x00\x02")
        while True:
            try:
                sock.sendall(b"\0")
                if not sock.recv(100):
                    raise ConnectionError("done")
            except TimeoutError:
                pass

    with serving(server_context(audited, ssl.CERT_REQUIRED), dripping) as server:
        target = Target(server.host, server.port)
        [outcome] = Audited(target, "localhost", timeout=0.2).try_all([(None, ssl.TLSVersion.TLSv1_3)])
    assert outcome.what == "unknown"


def test_a_name_that_cannot_be_asked_for_is_never_passed(audited: Files) -> None:
    with serving(server_context(audited, ssl.CERT_REQUIRED)) as server:
        code, result = as_json(server, *audited.keys, "--name", "a" * 300)
    assert (
        code,
        "unknown" in {got["outcome"] for each in result["peers"] for got in each["got"].values()},
    ) == (
        2,
        True,
    )


def test_a_closed_port_is_never_passed(audited: Files) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    code, result = as_json(f"127.0.0.1:{port}", *audited.keys)
    assert code == 2
    assert having(result, "unknown")


class TestWhatIsEvidence:
    """Of one client of TLS 1.3, which has completed its handshake before the server refuses it."""

    @staticmethod
    @contextmanager
    def outcome_with(audited: Files, after: Callable[[ssl.SSLSocket], None], **options: Any) -> Iterator[Any]:
        context = server_context(audited, ssl.CERT_OPTIONAL, ssl)
        context.num_tickets = 0
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(10)

            def serve() -> None:
                raw, _ = listener.accept()
                raw.settimeout(10)
                with raw, context.wrap_socket(raw, server_side=True) as tls:
                    after(tls)

            done = in_thread(serve)
            target = Target("127.0.0.1", listener.getsockname()[1])
            yield Audited(target, "localhost", timeout=5, **options).attempt(None, ssl.TLSVersion.TLSv1_3)
            done.result(10)

    def test_a_server_that_closes_without_an_alert_has_closed(self, audited: Files) -> None:
        with self.outcome_with(audited, lambda tls: tls.shutdown(socket.SHUT_RDWR)) as outcome:
            assert (outcome.what, outcome.evidence) == ("closed", "closed, without an alert")

    def test_a_server_that_waits_without_a_ticket_has_kept_the_connection_open(self, audited: Files) -> None:
        def wait(tls: ssl.SSLSocket) -> None:
            tls.recv(10)

        with self.outcome_with(audited, wait, patience=0.1) as outcome:
            assert (outcome.what, outcome.evidence) == ("accepted", "kept the connection open")

    def test_data_are_no_evidence_and_the_open_connection_is(self, audited: Files) -> None:
        def speak(tls: ssl.SSLSocket) -> None:
            tls.sendall(b"220 ready\r\n")
            tls.recv(10)

        with self.outcome_with(audited, speak, patience=0.1) as outcome:
            assert (outcome.what, outcome.evidence) == ("accepted", "kept the connection open")

    @pytest.mark.parametrize(
        ("alert", "what"), [("alert unknown ca", "refused"), ("alert decode error", "unknown")]
    )
    def test_an_alert_after_the_client_was_done_counts_unless_it_may_be_about_that(
        self, alert: str, what: str, audited: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Audited, "_until_the_end", lambda *_: alert)

        def wait(tls: ssl.SSLSocket) -> None:
            tls.recv(10)

        with self.outcome_with(audited, wait, patience=0.1) as outcome:
            assert (outcome.what, alert in outcome.evidence) == (what, True)

    def test_who_closes_before_it_has_answered_may_not_speak_tls(self, audited: Files) -> None:
        with serving(server_context(audited, ssl.CERT_REQUIRED), answers(b"")) as server:
            target = Target(server.host, server.port)
            outcome = Audited(target, "localhost", timeout=5).attempt(None, ssl.TLSVersion.TLSv1_2)
        assert (outcome.what, outcome.evidence) == ("unknown", "closed before it answered")

    def test_who_closes_on_the_certificate_within_the_handshake_has_closed(self, audited: Files) -> None:
        def closing(sock: socket.socket) -> None:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            context = server_context(audited, ssl.CERT_REQUIRED, ssl)
            tls = context.wrap_bio(incoming, outgoing, server_side=True)
            incoming.write(sock.recv(65_536))
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            sock.sendall(outgoing.read())
            sock.recv(65_536)
            raise ConnectionError("done")

        with serving(server_context(audited, ssl.CERT_REQUIRED), closing) as server:
            target = Target(server.host, server.port)
            outcome = Audited(target, "localhost", timeout=5).attempt(None, ssl.TLSVersion.TLSv1_2)
        assert (outcome.what, outcome.evidence) == ("closed", "closed within the handshake, without an alert")
