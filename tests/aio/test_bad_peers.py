"""Peers that cut, lie, refuse, flood and never answer: a clear error, and nothing held or left open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

import veritls
from tests.aio.ends import LoopFactory, Recorder, both_contexts, run
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, server_context
from tests.support.forger import ALERT, DATA, Forger


class Hand:
    """The client's end by hand: records are made by `ssl` in memory and sent as the test likes."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        self.raw = raw
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.run(self.tls.do_handshake)

    def run(self, operation: Callable[[], Any]) -> Any:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self.raw.sendall(self.outgoing.read())
                data = self.raw.recv(65536)
                self.incoming.write(data) if data else self.incoming.write_eof()
                continue
            self.raw.sendall(self.outgoing.read())
            return result

    def records(self, data: bytes) -> bytes:
        """The records that carry `data`, not sent."""
        self.tls.write(data)
        return self.outgoing.read()

    def close_notify(self) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()


@asynccontextmanager
async def by_hand(
    files: Files,
    script: Callable[[Hand], Any],
    server: Recorder | None = None,
    keylog: Path | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Recorder, Any]]:
    """(the protocol of our server, the script's future), with `script` at the client's end in a thread."""
    own = server_context(files.server)
    recorder = server or Recorder()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: recorder, "127.0.0.1", 0, ssl=own, **options)
    address = listening.sockets[0].getsockname()

    made = threading.Event()

    def client() -> Any:
        with socket.create_connection(address, timeout=SECONDS) as raw:
            context = client_context(files.ca, ssl)
            context.keylog_filename = keylog
            hand = Hand(raw, context)
            # What comes in one piece with the end of the handshake counts as a part of it.
            assert made.wait(SECONDS)
            return script(hand)

    async with listening:
        done = asyncio.wrap_future(in_thread(client))
        try:
            await recorder.told("made")
            made.set()
            yield recorder, done
        finally:
            if recorder.transport is not None:
                recorder.transport.abort()
            await asyncio.gather(done, return_exceptions=True)


def test_an_end_without_close_notify_is_an_end_and_told_apart(
    files: Files, loop_factory: LoopFactory
) -> None:
    def script(hand: Hand) -> None:
        hand.raw.sendall(hand.records(b"cut"))
        hand.raw.shutdown(socket.SHUT_WR)

    async def main() -> None:
        server = Recorder(keep_open=True)
        async with by_hand(files, script, server) as (_, done):
            await server.told("eof")
            assert server.transport.get_extra_info("close_notify") is False
            await server.told("lost")
            assert (bytes(server.received), server.error) == (b"cut", None)
            await done

    run(loop_factory, main())


def test_data_before_a_broken_record_is_delivered_and_the_error_said(
    files: Files, loop_factory: LoopFactory
) -> None:
    def script(hand: Hand) -> Any:
        broken = bytearray(hand.records(b"forged"))
        broken[-1] ^= 1
        hand.raw.sendall(hand.records(b"before") + broken)
        with pytest.raises(ssl.SSLError) as refused:
            hand.run(lambda: hand.tls.read(100))
        return refused.value.reason

    async def main() -> None:
        async with by_hand(files, script) as (server, done):
            await server.told("lost")
            assert isinstance(server.error, ssl.SSLError)
            assert await done == "SSLV3_ALERT_BAD_RECORD_MAC"
            assert server.events == ["made", "lost"]

    run(loop_factory, main())


def test_a_flood_of_empty_records_is_answered_with_unexpected_message(
    files: Files, loop_factory: LoopFactory, tmp_path: Path
) -> None:
    keylog = tmp_path / "keys"

    def script(hand: Hand) -> Any:
        forger = Forger(keylog, "CLIENT")
        hand.raw.sendall(b"".join(forger.record(DATA, b"") for _ in range(40)))
        with pytest.raises(ssl.SSLError) as refused:
            hand.run(lambda: hand.tls.read(100))
        return refused.value.reason

    async def main() -> None:
        async with by_hand(files, script, keylog=keylog) as (server, done):
            await server.told("lost")
            assert isinstance(server.error, ssl.SSLError)
            assert await done == "SSLV3_ALERT_UNEXPECTED_MESSAGE"

    run(loop_factory, main())


def test_warnings_before_the_hello_are_answered_in_the_clear(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> bytes:
        listening = await asyncio.get_running_loop().create_server(
            Recorder, "127.0.0.1", 0, ssl=server_context(files.server)
        )
        async with listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(bytes([ALERT, 3, 3, 0, 2, 1, 90]) * 6)
            answer = await reader.read()
            writer.close()
        return answer

    assert run(loop_factory, main()) == bytes([ALERT, 3, 3, 0, 2, 2, 10])


def test_data_after_close_notify_is_not_delivered(files: Files, loop_factory: LoopFactory) -> None:
    def script(hand: Hand) -> None:
        last = hand.records(b"last")
        hand.raw.sendall(last + hand.close_notify() + last + b"no TLS at all")

    async def main() -> None:
        server = Recorder(keep_open=True)
        async with by_hand(files, script, server) as (_, done):
            await server.told("eof")
            await done
            assert bytes(server.received) == b"last"
            server.transport.write(b"still mine to say")
            server.transport.close()
            await server.told("lost")

    run(loop_factory, main())


class Forge:
    """Records of a TLS 1.3 client that no library makes (RFC 8446, section 5.2), by the keys in its log."""

    def __init__(self, hand: Hand, keylog: Path) -> None:
        lines = [line.split() for line in keylog.read_text().splitlines()]
        secret = next(bytes.fromhex(line[2]) for line in lines if line[0] == "CLIENT_TRAFFIC_SECRET_0")
        digest: Any = hashes.SHA384() if len(secret) == 48 else hashes.SHA256()

        def expand(label: bytes, length: int) -> bytes:
            info = length.to_bytes(2, "big") + bytes([len(label) + 6]) + b"tls13 " + label + b"\0"
            return bytes(HKDFExpand(digest, length, info).derive(secret))

        name, _, bits = hand.tls.cipher()  # type: ignore[misc]
        self.cipher: Any = (ChaCha20Poly1305 if "CHACHA" in name else AESGCM)(expand(b"key", bits // 8))
        self.nonce = int.from_bytes(expand(b"iv", 12), "big")
        self.sequence = 0

    def record(self, kind: int, content: bytes) -> bytes:
        inner = content + bytes([kind])
        header = bytes([23, 3, 3]) + (len(inner) + 16).to_bytes(2, "big")
        nonce = (self.nonce ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return header + bytes(self.cipher.encrypt(nonce, inner, header))


EMPTY = (23, b"")
KEY_UPDATE = (22, b"\x18\0\0\1\1")
WARNING = (21, b"\x01\x5a")


@pytest.mark.parametrize("kind", [EMPTY, WARNING], ids=["empty", "warning"])
def test_an_endless_stream_of_records_that_carry_nothing_is_refused(
    files: Files, loop_factory: LoopFactory, kind: tuple[int, bytes], tmp_path: Path
) -> None:
    keylog = tmp_path / "keys"

    def script(hand: Hand) -> None:
        forge = Forge(hand, keylog)
        with pytest.raises(OSError):
            while True:
                hand.raw.sendall(b"".join(forge.record(*kind) for _ in range(100)))

    async def main() -> None:
        async with by_hand(files, script, keylog=keylog) as (server, done):
            await server.told("lost")
            await done
            assert isinstance(server.error, ssl.SSLError) and server.received == b""

    run(loop_factory, main())


def test_answers_to_key_updates_do_not_pile_up(
    files: Files, loop_factory: LoopFactory, tmp_path: Path
) -> None:
    keylog = tmp_path / "keys"

    def script(hand: Hand) -> None:
        # Each needs an answer under the next key: the first is answered, the next is not under its key.
        forge = Forge(hand, keylog)
        with contextlib.suppress(OSError):
            hand.raw.sendall(b"".join(forge.record(*KEY_UPDATE) for _ in range(1000)))
            while hand.raw.recv(65536):
                pass

    async def main() -> None:
        async with by_hand(files, script, keylog=keylog) as (server, done):
            await server.told("lost")
            await done
            assert isinstance(server.error, ssl.SSLError)
            assert server.transport._stream.unsent_size() < 1000

    run(loop_factory, main())


def test_a_peer_that_resets_is_an_error_of_the_connection(files: Files, loop_factory: LoopFactory) -> None:
    def script(hand: Hand) -> None:
        hand.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async def main() -> None:
        async with by_hand(files, script) as (server, done):
            await done
            await server.told("lost")
            assert isinstance(server.error, ConnectionResetError)
            assert server.events == ["made", "lost"]

    run(loop_factory, main())


def test_a_reset_behind_data_is_noticed_by_a_protocol_that_only_reads(
    files: Files, loop_factory: LoopFactory
) -> None:
    go = threading.Event()

    def script(hand: Hand) -> None:
        assert go.wait(SECONDS)
        hand.raw.sendall(hand.records(b"x" * 1000))
        hand.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async def main() -> None:
        async with by_hand(files, script) as (server, done):
            server.transport.pause_reading()
            go.set()
            await done
            server.transport.resume_reading()
            await server.told("lost")
            assert isinstance(server.error, ConnectionResetError)

    run(loop_factory, main())


def test_a_peer_that_never_answers_our_close_notify_is_left_after_the_shutdown_timeout(
    files: Files, loop_factory: LoopFactory
) -> None:
    over = threading.Event()

    def script(hand: Hand) -> bytes:
        assert over.wait(SECONDS)
        return bytes(hand.run(lambda: hand.tls.read(100)))

    async def main() -> None:
        async with by_hand(files, script, ssl_shutdown_timeout=0.05) as (server, done):
            server.transport.write(b"goodbye")
            server.transport.close()
            await server.told("lost")
            over.set()
            assert isinstance(server.error, TimeoutError)
            assert await done == b"goodbye"

    run(loop_factory, main())


def test_a_peer_that_sends_for_ever_after_our_close_is_left_after_the_shutdown_timeout(
    files: Files, loop_factory: LoopFactory
) -> None:
    def script(hand: Hand) -> None:
        with contextlib.suppress(OSError):
            while True:
                hand.raw.sendall(hand.records(bytes(16_384)))

    async def main() -> None:
        async with by_hand(files, script, ssl_shutdown_timeout=0.2) as (server, done):
            await server.has(1)
            server.transport.close()
            had = len(server.received)
            await server.told("lost")
            await done
            assert isinstance(server.error, TimeoutError) and len(server.received) == had

    run(loop_factory, main())


def test_what_waits_for_a_peer_that_does_not_read_is_bounded_by_what_was_written(
    files: Files, loop_factory: LoopFactory
) -> None:
    over = threading.Event()

    def script(hand: Hand) -> None:
        over.wait(SECONDS)

    async def main() -> None:
        async with by_hand(files, script) as (server, _):
            total = 16 << 20
            server.transport.write(bytes(total))
            assert "pause" in server.events
            assert server.transport.get_write_buffer_size() < total
            # One batch of records at most is made before the kernel takes it.
            assert server.transport._stream.unsent_size() < 300_000
            over.set()

    run(loop_factory, main())


def test_a_client_refused_for_its_certificate_is_told_why_when_the_connection_is_lost(
    files: Files, loop_factory: LoopFactory
) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        own.load_verify_locations(files.ca)
        own.verify_mode = veritls.CERT_REQUIRED
        other.load_cert_chain(files.stranger)
        client = Recorder()
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Recorder, "127.0.0.1", 0, ssl=own) as listening:
            port = listening.sockets[0].getsockname()[1]
            await loop.create_connection(
                lambda: client, "127.0.0.1", port, ssl=other, server_hostname="localhost"
            )
            await client.told("lost")
        assert isinstance(client.error, ssl.SSLError)
        assert client.error.reason == "TLSV1_ALERT_UNKNOWN_CA"
        assert client.events == ["made", "lost"]

    run(loop_factory, main())


def test_a_refused_client_that_writes_is_told_why_too(files: Files, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        own, other = both_contexts(files)
        own.load_verify_locations(files.ca)
        own.verify_mode = veritls.CERT_REQUIRED
        client = Recorder()
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Recorder, "127.0.0.1", 0, ssl=own) as listening:
            port = listening.sockets[0].getsockname()[1]
            await loop.create_connection(
                lambda: client, "127.0.0.1", port, ssl=other, server_hostname="localhost"
            )
            client.transport.pause_reading()
            while "lost" not in client.events:
                client.transport.write(b"are you there?")
                await asyncio.sleep(0)
        assert isinstance(client.error, ssl.SSLError)
        assert client.error.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"

    run(loop_factory, main())
