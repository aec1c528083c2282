"""Every cell of the mode table, over every transport, in both versions, both ends veritls."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import raw_pair

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
NONE, OPTIONAL, REQUIRED = ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED


@dataclass
class End:
    """What one end of a connection came to."""

    error: Exception | None = None
    received: bytes = b""
    certificate: Any = None
    binary: Any = None
    state: dict[str, Any] = field(default_factory=dict)


def _retry(sock: ssl.SSLSocket, operation: Callable[[], Any]) -> Any:
    """Drives a non-blocking operation with select, ten seconds at most a wait."""
    while True:
        try:
            return operation()
        except ssl.SSLWantReadError:
            assert select.select([sock], [], [], 10)[0], "no data in ten seconds"
        except ssl.SSLWantWriteError:
            assert select.select([], [sock], [], 10)[1], "no room in ten seconds"


def _over_socket(kind: str) -> Callable[..., None]:
    def talk(
        context: ssl.SSLContext, raw: socket.socket, end: End, *, server: bool, name: str | None
    ) -> None:
        raw.settimeout({"blocking": None, "timeout": 10, "non-blocking": 0}[kind])
        seconds = (10).to_bytes(8, "little") + bytes(8)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)  # bounds the blocking one
        sock = context.wrap_socket(
            raw, server_side=server, server_hostname=name, do_handshake_on_connect=False
        )
        with sock:
            run = (lambda operation: _retry(sock, operation)) if kind == "non-blocking" else lambda f: f()
            _converse(sock, end, run, server=server)

    return talk


def _over_bio(
    context: veritls.SSLContext, raw: socket.socket, end: End, *, server: bool, name: str | None
) -> None:
    raw.settimeout(10)
    incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=server, server_hostname=name)

    def flush() -> None:
        with contextlib.suppress(ConnectionError):  # why it is gone is what there is to read
            raw.sendall(outgoing.read())

    def run(operation: Callable[[], Any]) -> Any:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                flush()
                data = raw.recv(65536)
                incoming.write(data) if data else incoming.write_eof()
                continue
            except ssl.SSLError:
                flush()
                raise
            flush()
            return result

    with raw:
        _converse(tls, end, run, server=server)


def _converse(tls: Any, end: End, run: Callable[[Callable[[], Any]], Any], *, server: bool) -> None:
    run(tls.do_handshake)
    end.certificate, end.binary = tls.getpeercert(), tls.getpeercert(binary_form=True)
    end.state = {"version": tls.version(), "cipher": tls.cipher()}
    run(lambda: tls.write(b"from server" if server else b"from client"))
    end.received = run(lambda: tls.read(1024))


TRANSPORTS = {
    "blocking": _over_socket("blocking"),
    "timeout": _over_socket("timeout"),
    "non-blocking": _over_socket("non-blocking"),
    "BIO": _over_bio,
}


@pytest.fixture(params=TRANSPORTS, ids=list(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> Callable[..., None]:
    return TRANSPORTS[request.param]


@pytest.fixture(params=VERSIONS, ids=[version.name for version in VERSIONS])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    found: ssl.TLSVersion = request.param
    return found


def meet(
    server: ssl.SSLContext, client: ssl.SSLContext, talk: Callable[..., None], name: str | None
) -> tuple[End, End]:
    """One connection between the two; what each end came to."""
    ends = End(), End()
    server_raw, client_raw = raw_pair()

    def one(end: End, *args: Any, **kwargs: Any) -> None:
        try:
            talk(*args, end, **kwargs)
        except Exception as error:
            end.error = error

    serving = threading.Thread(
        target=one, args=(ends[0], server, server_raw), kwargs={"server": True, "name": None}
    )
    serving.start()
    one(ends[1], client, client_raw, server=False, name=name)
    serving.join(30)
    assert not serving.is_alive()
    client_raw.close()
    server_raw.close()
    return ends


def contexts(files: Files, version: ssl.TLSVersion) -> tuple[veritls.SSLContext, veritls.SSLContext]:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.server)
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.load_verify_locations(files.ca)
        context.minimum_version = context.maximum_version = version
    return server, client


def assert_both_went_on(server: End, client: End) -> None:
    assert (server.error, client.error) == (None, None)
    assert (server.received, client.received) == (b"from client", b"from server")


def assert_refused(refusing: End, refused: End, alert: str) -> None:
    """The refusing side raised from its handshake, got nothing, and the other side read the alert."""
    assert isinstance(refusing.error, ssl.SSLError)
    assert refusing.error.library == "SSL"
    assert refusing.state == {} and refusing.received == b"" and refused.received in (b"", b"from server")
    assert isinstance(refused.error, ssl.SSLError), refused.error
    assert refused.error.reason == alert


class TestServer:
    @pytest.mark.parametrize("certificate", ["client", "stranger", "expired", None])
    def test_that_does_not_ask_goes_on_and_learns_no_certificate(
        self, files: Files, version: ssl.TLSVersion, transport: Any, certificate: Any
    ) -> None:
        server, client = contexts(files, version)
        if certificate:
            client.load_cert_chain(getattr(files, certificate))
        ends = meet(server, client, transport, "localhost")
        assert_both_went_on(*ends)
        assert ends[0].certificate is None and ends[0].binary is None
        assert ends[0].state["version"] == version.name.replace("_", ".")

    @pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
    def test_that_asks_goes_on_with_a_valid_certificate_of_any_name(
        self, files: Files, version: ssl.TLSVersion, transport: Any, mode: Any
    ) -> None:
        server, client = contexts(files, version)
        server.verify_mode = mode
        client.load_cert_chain(files.client)
        ends = meet(server, client, transport, "localhost")
        assert_both_went_on(*ends)
        assert ("email", "client@example.org") in ends[0].certificate["subjectAltName"]
        assert isinstance(ends[0].binary, bytes)

    def test_with_cert_optional_goes_on_without_a_certificate(
        self, files: Files, version: ssl.TLSVersion, transport: Any
    ) -> None:
        server, client = contexts(files, version)
        server.verify_mode = OPTIONAL
        ends = meet(server, client, transport, "localhost")
        assert_both_went_on(*ends)
        assert ends[0].certificate is None

    def test_that_requires_a_certificate_refuses_a_client_without_one(
        self, files: Files, version: ssl.TLSVersion, transport: Any
    ) -> None:
        server, client = contexts(files, version)
        server.verify_mode = REQUIRED
        ends = meet(server, client, transport, "localhost")
        tls13 = version == ssl.TLSVersion.TLSv1_3
        alert = "TLSV13_ALERT_CERTIFICATE_REQUIRED" if tls13 else "SSLV3_ALERT_HANDSHAKE_FAILURE"
        assert_refused(*ends, alert)
        assert getattr(ends[0].error, "reason", None) == "PEER_DID_NOT_RETURN_A_CERTIFICATE"

    @pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
    @pytest.mark.parametrize(
        ("certificate", "code", "message", "alert"),
        [
            ("stranger", 20, "unable to get local issuer certificate", "TLSV1_ALERT_UNKNOWN_CA"),
            ("expired", 10, "certificate has expired", "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
        ],
    )
    def test_that_asks_refuses_an_invalid_certificate(
        self,
        files: Files,
        version: ssl.TLSVersion,
        transport: Any,
        mode: Any,
        certificate: Any,
        code: int,
        message: str,
        alert: str,
    ) -> None:
        server, client = contexts(files, version)
        server.verify_mode = mode
        client.load_cert_chain(getattr(files, certificate))
        ends = meet(server, client, transport, "localhost")
        assert_refused(*ends, alert)
        assert isinstance(ends[0].error, ssl.SSLCertVerificationError)
        assert (ends[0].error.verify_code, ends[0].error.verify_message) == (code, message)


class TestClient:
    @pytest.mark.parametrize("certificate", ["server", "stranger", "expired_server"])
    @pytest.mark.parametrize("name", ["localhost", "elsewhere.example", None])
    def test_with_cert_none_goes_on_with_any_certificate(
        self, files: Files, version: ssl.TLSVersion, transport: Any, certificate: Any, name: Any
    ) -> None:
        server, client = contexts(files, version)
        server.load_cert_chain(getattr(files, certificate))
        client.check_hostname = False
        client.verify_mode = NONE
        ends = meet(server, client, transport, name)
        assert_both_went_on(*ends)
        assert ends[1].certificate == {} and isinstance(ends[1].binary, bytes)

    @pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
    def test_that_verifies_goes_on_with_a_valid_certificate(
        self, files: Files, version: ssl.TLSVersion, transport: Any, mode: Any
    ) -> None:
        server, client = contexts(files, version)
        client.verify_mode = mode
        ends = meet(server, client, transport, "localhost")
        assert_both_went_on(*ends)
        assert ("DNS", "localhost") in ends[1].certificate["subjectAltName"]

    @pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
    @pytest.mark.parametrize("name", ["elsewhere.example", None])
    def test_without_check_hostname_goes_on_with_another_name(
        self, files: Files, version: ssl.TLSVersion, transport: Any, mode: Any, name: Any
    ) -> None:
        server, client = contexts(files, version)
        client.check_hostname = False
        client.verify_mode = mode
        assert_both_went_on(*meet(server, client, transport, name))

    @pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
    @pytest.mark.parametrize(
        ("certificate", "name", "code", "alert"),
        [
            ("stranger", "localhost", 20, "TLSV1_ALERT_UNKNOWN_CA"),
            ("expired_server", "localhost", 10, "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
            ("server", "elsewhere.example", 62, "SSLV3_ALERT_BAD_CERTIFICATE"),
            ("server", "127.0.0.2", 64, "SSLV3_ALERT_BAD_CERTIFICATE"),
        ],
    )
    def test_that_verifies_refuses_an_invalid_certificate_or_name(
        self,
        files: Files,
        version: ssl.TLSVersion,
        transport: Any,
        mode: Any,
        certificate: Any,
        name: Any,
        code: int,
        alert: str,
    ) -> None:
        server, client = contexts(files, version)
        server.load_cert_chain(getattr(files, certificate))
        client.verify_mode = mode
        ends = meet(server, client, transport, name)
        assert_refused(ends[1], ends[0], alert)
        assert isinstance(ends[1].error, ssl.SSLCertVerificationError)
        assert ends[1].error.verify_code == code
