"""Whatever ends a connection, the peer gets an alert: where the engine's TLS library sends none, ours."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context
from tests.support.forger import ALERT, DATA, HANDSHAKE, Forger, Forger12, message

V = ssl.TLSVersion
USER_CANCELED = bytes([1, 90])
SIDES = pytest.mark.parametrize("ours", ["server", "client"])


class Pair:
    """One end is ours, the other one the standard module's, whose key log says the secrets."""

    def __init__(self, files: Files, keylog: Path, version: Any, ours: str) -> None:
        modules: Any = {"server": ssl, "client": ssl, ours: veritls}
        self.server_context = server_context(files.server, modules["server"])
        self.client_context = client_context(files.ca, modules["client"])
        self.client_context.minimum_version = self.client_context.maximum_version = version
        self.client_context.set_ciphers("ECDHE+AESGCM+AES128")
        self.server_context.num_tickets = 0
        # Ours prefers AES-128, the standard module AES-256.
        if ours == "client":
            self.server_context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        self.keylog, self.version, self.ours = keylog, version, ours
        self.client_context.keylog_filename = str(keylog)
        self.pipes: Any = {side: modules[side].MemoryBIO() for side in modules}
        self.modules, self.seen = modules, {"server": b"", "client": b""}

    def begin(self, session: Any = None) -> None:
        (out, back) = (self.modules["server"].MemoryBIO(), self.modules["client"].MemoryBIO())
        self.outs: Any = {"server": out, "client": back}
        self.ends: Any = {
            "server": self.server_context.wrap_bio(self.pipes["server"], out, server_side=True),
            "client": self.client_context.wrap_bio(
                self.pipes["client"], back, server_hostname="localhost", session=session
            ),
        }

    def step(self, side: str, change: Callable[[bytes], bytes] = bytes) -> None:
        """A step of the handshake; `change`: what becomes of its output."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.ends[side].do_handshake()
        output = self.outs[side].read()
        self.seen[side] += output
        self.pipes["client" if side == "server" else "server"].write(change(output))

    def handshake(self) -> Any:
        """What forges records of the other end's."""
        self.begin()
        for side in ["client", "server"] * 3:
            self.step(side)
        other = "client" if self.ours == "server" else "server"
        if self.version == V.TLSv1_3:
            assert self.ends[other].cipher()[0] == "TLS_AES_128_GCM_SHA256"
            return Forger(self.keylog, other.upper())
        return Forger12(self.keylog, other.upper(), self.seen["server"][11:43])

    def refuses(self, data: bytes = b"") -> tuple[str | None, str | None]:
        """Our reason to refuse what came and `data`, and what the other end is told."""
        other = "client" if self.ours == "server" else "server"
        self.pipes[self.ours].write(data)
        with pytest.raises(ssl.SSLError) as refused:
            for _ in range(3):
                self.ends[self.ours].read(100)
        self.pipes[other].write(self.outs[self.ours].read())
        self.pipes[other].write_eof()
        with pytest.raises(ssl.SSLError) as told:
            self.ends[other].read(100)
        return refused.value.reason, told.value.reason


def warnings(forger: Any) -> bytes:
    return b"".join(forger.record(ALERT, USER_CANCELED) for _ in range(6))


def empty_records(forger: Any) -> bytes:
    return b"".join(forger.record(DATA, b"") for _ in range(40))


def data_amid_a_message(forger: Any) -> bytes:
    return bytes(forger.record(HANDSHAKE, message(20, b"", 12)) + forger.record(DATA, b"data"))


def data_before_a_flood(forger: Any) -> bytes:
    return bytes(forger.record(DATA, b"good") + empty_records(forger))


@SIDES
@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3], ids=lambda version: version.name)
@pytest.mark.parametrize("made", [warnings, empty_records, data_amid_a_message, data_before_a_flood])
def test_a_record_that_may_not_come_is_answered_with_unexpected_message(
    files: Files, tmp_path: Path, made: Any, version: Any, ours: str
) -> None:
    pair = Pair(files, tmp_path / "keys", version, ours)
    _, told = pair.refuses(made(pair.handshake()))
    assert told == "SSLV3_ALERT_UNEXPECTED_MESSAGE"


@SIDES
def test_a_flood_of_key_updates_is_answered_with_unexpected_message(
    files: Files, tmp_path: Path, ours: str
) -> None:
    pair = Pair(files, tmp_path / "keys", V.TLSv1_3, ours)
    forger = pair.handshake()
    _, told = pair.refuses(b"".join(forger.key_update(requested=False) for _ in range(40)))
    assert told == "SSLV3_ALERT_UNEXPECTED_MESSAGE"


@SIDES
def test_records_without_data_and_without_end_are_answered_with_unexpected_message(
    files: Files, tmp_path: Path, ours: str
) -> None:
    pair = Pair(files, tmp_path / "keys", V.TLSv1_3, ours)
    forger = pair.handshake()
    mixed = (forger.key_update(requested=False) + forger.record(DATA, b"", padding=500) for _ in range(2500))
    assert pair.refuses(b"".join(mixed))[1] == "SSLV3_ALERT_UNEXPECTED_MESSAGE"


@SIDES
def test_a_record_without_a_content_type_is_answered_with_unexpected_message(
    files: Files, tmp_path: Path, ours: str
) -> None:
    pair = Pair(files, tmp_path / "keys", V.TLSv1_3, ours)
    _, told = pair.refuses(pair.handshake().record(0, b"", padding=20))
    assert told == "SSLV3_ALERT_UNEXPECTED_MESSAGE"


@SIDES
def test_a_handshake_message_that_outgrows_its_bound_is_answered_with_decode_error(
    files: Files, tmp_path: Path, ours: str
) -> None:
    pair = Pair(files, tmp_path / "keys", V.TLSv1_3, ours)
    forger = pair.handshake()
    first = forger.record(HANDSHAKE, message(24, b"", length=60_000), padding=16_000)
    rest = b"".join(forger.record(HANDSHAKE, b"\x00", padding=16_000) for _ in range(10))
    assert pair.refuses(first + rest)[1] == "TLSV1_ALERT_DECODE_ERROR"


def test_requests_to_renegotiate_are_answered_with_unexpected_message(files: Files, tmp_path: Path) -> None:
    pair = Pair(files, tmp_path / "keys", V.TLSv1_2, "client")
    forger = pair.handshake()
    requests = b"".join(forger.record(HANDSHAKE, message(0, b"")) for _ in range(2))
    pair.pipes["client"].write(requests)
    with pytest.raises(ssl.SSLError):
        pair.ends["client"].read(100)
    # Behind the warning about the first one.
    kinds = pair.outs["client"].read()
    assert [kinds[0], kinds[31]] == [ALERT, ALERT] and len(kinds) == 2 * 31


def test_a_flood_of_change_cipher_spec_is_answered_with_unexpected_message(
    files: Files, tmp_path: Path
) -> None:
    pair = Pair(files, tmp_path / "keys", V.TLSv1_3, "server")
    pair.begin()
    pair.step("client")
    pair.step("server")
    pair.step("client", lambda flight: b"\x14\x03\x03\x00\x01\x01" * 6 + flight)
    assert pair.refuses()[1] == "SSLV3_ALERT_UNEXPECTED_MESSAGE"


def test_an_extension_of_a_clients_certificate_is_answered_with_unsupported_extension(
    files: Files, tmp_path: Path
) -> None:
    pair = Pair(files, tmp_path / "keys", V.TLSv1_3, "server")
    pair.server_context.verify_mode = ssl.CERT_OPTIONAL
    pair.server_context.load_verify_locations(files.ca)
    pair.begin()
    pair.step("client")
    pair.step("server")
    der = ssl.PEM_cert_to_DER_cert(files.ca.read_text())
    stapled = bytes([0, 5, 0, 5, 1, 0, 0, 1, 0])
    entry = len(der).to_bytes(3, "big") + der + len(stapled).to_bytes(2, "big") + stapled
    certificate = message(11, b"\x00" + len(entry).to_bytes(3, "big") + entry)

    def forged(flight: bytes) -> bytes:
        forger = Forger(pair.keylog, "CLIENT", keys="HANDSHAKE_TRAFFIC_SECRET")
        # What follows in the same record is given up with it.
        return forger.record(HANDSHAKE, certificate + message(20, bytes(32)) * 3)

    pair.step("client", forged)
    assert pair.refuses()[1] == "TLSV1_UNSUPPORTED_EXTENSION"


def test_a_session_resumed_without_its_extended_master_secret_is_answered_with_handshake_failure(
    files: Files, tmp_path: Path
) -> None:
    pair = Pair(files, tmp_path / "keys", V.TLSv1_2, "client")
    pair.handshake()
    session = pair.ends["client"].session
    again = Pair(files, tmp_path / "more keys", V.TLSv1_2, "client")
    again.server_context, again.client_context = pair.server_context, pair.client_context
    again.begin(session)
    again.step("client")

    def stripped(flight: bytes) -> bytes:
        extension = bytes([0, 23, 0, 0])
        hello = flight[: 5 + int.from_bytes(flight[3:5], "big")]
        at = 44 + hello[43] + 3
        assert hello.count(extension) == 1
        extensions = hello[at + 2 :].replace(extension, b"")
        body = hello[9:at] + len(extensions).to_bytes(2, "big") + extensions
        content = message(2, body)
        return hello[:3] + len(content).to_bytes(2, "big") + content + flight[len(hello) :]

    again.step("server", stripped)
    assert again.refuses()[1] == "SSLV3_ALERT_HANDSHAKE_FAILURE"


def test_a_server_that_sends_no_certificate_is_answered_with_decode_error(
    files: Files, tmp_path: Path
) -> None:
    pair = Pair(files, tmp_path / "keys", V.TLSv1_2, "client")
    pair.begin()
    pair.step("client")

    def without(flight: bytes) -> bytes:
        at, records = 0, []
        while at < len(flight):
            size = 5 + int.from_bytes(flight[at + 3 : at + 5], "big")
            records.append(flight[at : at + size])
            at += size
        messages = b"".join(record[5:] for record in records)
        at, kept = 0, b""
        while at < len(messages):
            size = 4 + int.from_bytes(messages[at + 1 : at + 4], "big")
            kept += message(11, bytes(3)) if messages[at] == 11 else messages[at : at + size]
            at += size
        return bytes([HANDSHAKE, 3, 3]) + len(kept).to_bytes(2, "big") + kept

    pair.step("server", without)
    assert pair.refuses()[1] == "TLSV1_ALERT_DECODE_ERROR"


FATAL = bytes([ALERT, 3, 3, 0, 2, 2, 10])
WARNING = bytes([ALERT, 3, 3, 0, 2]) + USER_CANCELED
IN_THE_CLEAR = {
    "warnings": WARNING * 6,
    "an alert amid a hello": bytes([HANDSHAKE, 3, 1, 0, 4, 1, 0, 2, 0]) + WARNING,
}


@pytest.mark.parametrize("sent", IN_THE_CLEAR)
@pytest.mark.parametrize("watched", [False, True], ids=["", "with sni_callback"])
def test_before_any_keys_the_alert_is_in_the_clear(files: Files, sent: str, watched: bool) -> None:
    context = server_context(files.server)
    if watched:
        context.sni_callback = lambda connection, name, context: None
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        serving = in_thread(context.wrap_socket, server_raw, server_side=True)
        client_raw.sendall(IN_THE_CLEAR[sent])
        with pytest.raises(ssl.SSLError):
            serving.result(SECONDS)
        assert client_raw.recv(100) == FATAL


def test_a_client_answers_a_hello_that_an_alert_interrupts(files: Files) -> None:
    incoming, outgoing = veritls.MemoryBIO(), veritls.MemoryBIO()
    client = client_context(files.ca).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    outgoing.read()
    incoming.write(bytes([HANDSHAKE, 3, 3, 0, 4, 2, 0, 2, 0]) + WARNING)
    with pytest.raises(ssl.SSLError):
        client.do_handshake()
    assert outgoing.read() == FATAL


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3], ids=lambda version: version.name)
@pytest.mark.parametrize("closed", [False, True], ids=["", "after close_notify"])
def test_a_resumed_client_that_the_verify_callback_refuses_is_told(
    files: Files, tmp_path: Path, closed: bool, version: Any
) -> None:
    pair = Pair(files, tmp_path / "keys", version, "server")
    pair.server_context.verify_mode = ssl.CERT_REQUIRED
    pair.server_context.load_verify_locations(files.ca)
    pair.server_context.num_tickets = 1
    pair.client_context.load_cert_chain(files.client)
    seen: list[Any] = []

    def verify(report: Any) -> None:
        seen.append(report)
        if len(seen) > 1:
            raise ValueError("not again")

    pair.server_context.set_verify_callback(verify)
    pair.begin()
    for side in ["client", "server"] * 2:
        pair.step(side)
    with contextlib.suppress(ssl.SSLWantReadError):
        pair.ends["client"].read(1)
    session = pair.ends["client"].session
    assert session.has_ticket
    pair.pipes = {"server": veritls.MemoryBIO(), "client": ssl.MemoryBIO()}
    pair.begin(session)
    pair.step("client")
    pair.step("server")
    client = pair.ends["client"]
    client.do_handshake()
    assert client.session_reused
    client.write(b"a request")
    if closed:
        with contextlib.suppress(ssl.SSLWantReadError):
            client.unwrap()
    pair.pipes["server"].write(pair.outs["client"].read())
    with pytest.raises(ssl.SSLError, match="not again"):
        pair.ends["server"].do_handshake()
    pair.pipes["client"].write(pair.outs["server"].read())
    with pytest.raises(ssl.SSLError) as told:
        client.read(10)
    assert told.value.reason == "TLSV1_ALERT_ACCESS_DENIED"
