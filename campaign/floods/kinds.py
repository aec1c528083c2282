"""The floods: what each sends, to whom, and how veritls ends it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from campaign.floods.attacker import V12, V13, Attacker
from tests.support.forger import ALERT, DATA, HANDSHAKE, KEY_UPDATE, message

KIB = 1024
Pieces = Callable[[Attacker], Iterator[bytes]]


@dataclass(frozen=True)
class Flood:
    """`pieces` begins with a connection on which nothing was sent yet.

    `error`: the words of the error that veritls ends it with where a program can see it, and None where
    nothing ends it, because it is data. `most`: the bytes that it takes, beside what the kernel holds.
    """

    name: str
    against: str
    version: str
    pieces: Pieces
    error: str | None
    most: int = 0

    @property
    def label(self) -> str:
        return f"{self.name}, against a {self.against}, {self.version.replace('TLSv1_', 'TLS 1.')}"


def _established(record: Callable[[Attacker, int], bytes], together: int = 50) -> Pieces:
    """After a handshake, without end, `together` records at a time."""

    def pieces(attacker: Attacker) -> Iterator[bytes]:
        attacker.handshake()
        attacker.listen()
        for number in itertools.count(0, together):
            yield b"".join(record(attacker, number + each) for each in range(together))

    return pieces


def _one_byte(attacker: Attacker, _: int) -> bytes:
    return bytes(attacker.forger.record(DATA, b"x"))


def _full(attacker: Attacker, _: int) -> bytes:
    return bytes(attacker.forger.record(DATA, b"x" * 16_384))


def _empty(attacker: Attacker, _: int) -> bytes:
    return bytes(attacker.forger.record(DATA, b""))


def _empty_and_warning(attacker: Attacker, number: int) -> bytes:
    if number % 33 == 32:
        return bytes(attacker.forger.record(ALERT, bytes([1, 90])))
    return _empty(attacker, number)


def _warning(attacker: Attacker, _: int) -> bytes:
    return bytes(attacker.forger.record(ALERT, bytes([1, 90])))


def _key_update(attacker: Attacker, _: int) -> bytes:
    return bytes(attacker.forger.key_update(requested=False))


def _asking_key_update(attacker: Attacker, _: int) -> bytes:
    return bytes(attacker.forger.key_update(requested=True))


def _key_update_and_empty(attacker: Attacker, _: int) -> bytes:
    return bytes(attacker.forger.key_update(requested=True) + attacker.forger.record(DATA, b""))


def _key_update_and_byte(attacker: Attacker, _: int) -> bytes:
    return bytes(attacker.forger.key_update(requested=True) + attacker.forger.record(DATA, b"x"))


def _change_cipher_spec(attacker: Attacker, _: int) -> bytes:
    if attacker.version == V12:
        return bytes(attacker.forger.record(20, b"\x01"))
    return b"\x14\x03\x03\x00\x01\x01"


def _ticket(attacker: Attacker, number: int) -> bytes:
    return bytes(attacker.forger.ticket(number))


def _small_tickets(attacker: Attacker, _: int) -> bytes:
    ticket = message(4, bytes(8) + b"\0" + b"\0\1x" + bytes(2))
    return bytes(attacker.forger.record(HANDSHAKE, ticket * 900))


def _unknown(attacker: Attacker, _: int) -> bytes:
    return bytes(attacker.forger.record(HANDSHAKE, message(99, b"what is this")))


def _renegotiation(attacker: Attacker, _: int) -> bytes:
    kind, body = (0, b"") if attacker.against == "client" else (1, _hello_body(b""))
    return bytes(attacker.forger.record(HANDSHAKE, message(kind, body)))


def _endless(kind: int, piece: int) -> Callable[[Attacker, int], bytes]:
    """A handshake message that says that it is 16 MiB long, or as long as its kind may be."""

    def record(attacker: Attacker, number: int) -> bytes:
        start = message(kind, b"", length=2**24 - 1 if piece > 1 else 60_000) if number == 0 else b""
        return bytes(attacker.forger.record(HANDSHAKE, start + bytes(piece)))

    return record


def _plain(kind: int, content: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(content).to_bytes(2, "big") + content


def _extension(number: int, body: bytes) -> bytes:
    return number.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def _hello_body(shares: bytes) -> bytes:
    """A ClientHello for TLS 1.3 and X25519; without `shares` it is answered with HelloRetryRequest."""
    extensions = (
        _extension(43, b"\x02\x03\x04")
        + _extension(10, b"\x00\x02\x00\x1d")
        + _extension(13, b"\x00\x02\x04\x03")
        + _extension(51, len(shares).to_bytes(2, "big") + shares)
    )
    body = b"\x03\x03" + os.urandom(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    return body + len(extensions).to_bytes(2, "big") + extensions


def _hello(length: int, piece: int, *, retried: bool = False) -> Pieces:
    """A first handshake message without end, in records of `piece` bytes."""

    def pieces(attacker: Attacker) -> Iterator[bytes]:
        if retried:
            attacker.raw.sendall(_plain(HANDSHAKE, message(1, _hello_body(b""))))
            if not attacker.raw.recv(65_536).startswith(b"\x16"):
                raise AssertionError("no HelloRetryRequest came")
        attacker.listen()
        kind = 1 if attacker.against == "server" else 2
        yield _plain(HANDSHAKE, message(kind, b"", length=length))
        while True:
            yield _plain(HANDSHAKE, bytes(piece)) * max(1, 2000 // piece)

    return pieces


def _before_the_hello(kind: int, content: bytes) -> Pieces:
    def pieces(attacker: Attacker) -> Iterator[bytes]:
        attacker.listen()
        while True:
            yield _plain(kind, content) * 100

    return pieces


def _certificates(size: int) -> Pieces:
    """10,000 certificates of `size` bytes in one message, where one may come."""

    def pieces(attacker: Attacker) -> Iterator[bytes]:
        flight = attacker.half_a_handshake()
        entry = size.to_bytes(3, "big") + b"\x30" * size
        if attacker.version == V13:
            entry += b"\x00\x00"
        entries = entry * 10_000
        certificates = len(entries).to_bytes(3, "big") + entries
        body = message(11, b"\x00" + certificates if attacker.version == V13 else certificates)
        start = 0
        if attacker.against == "client":
            start = 5 + int.from_bytes(flight[3:5], "big")
        attacker.listen()
        if attacker.version == V12:
            before: list[bytes] = []
            after: list[bytes] = []
            for each in _messages(flight) if attacker.against == "client" else []:
                if each[0] != 11:
                    (after if before else before).append(each)
            yield b"".join(_plain(HANDSHAKE, each) for each in before)
            for at in range(0, len(body), 16_384):
                yield _plain(HANDSHAKE, body[at : at + 16_384])
            yield b"".join(_plain(HANDSHAKE, each) for each in after)
            return
        if attacker.against == "client":
            yield flight[:start] + attacker.forger.record(HANDSHAKE, message(8, b"\x00\x00"))
        for at in range(0, len(body), 16_384):
            yield attacker.forger.record(HANDSHAKE, body[at : at + 16_384])
        yield attacker.forger.record(HANDSHAKE, message(15, b"\x04\x03" + b"\x00\x40" + bytes(64)))

    return pieces


def _messages(flight: bytes) -> Iterator[bytes]:
    """The handshake messages of records that nothing encrypts."""
    content = b""
    while flight:
        end = 5 + int.from_bytes(flight[3:5], "big")
        content, flight = content + flight[5:end], flight[end:]
    while content:
        end = 4 + int.from_bytes(content[1:4], "big")
        yield content[:end]
        content = content[end:]


def _both(
    name: str, record: Callable[[Attacker, int], bytes], error: str | None, most: int, *versions: str
) -> list[Flood]:
    return [
        Flood(name, against, version, _established(record), error, most)
        for version in versions
        for against in ("server", "client")
    ]


FLOODS = [
    *_both("data in whole records", _full, None, 0, V13, V12),
    *_both("records of one byte", _one_byte, None, 0, V13, V12),
    *_both("empty records", _empty, "TooManyEmptyFragments", 2 * KIB, V13, V12),
    *_both("warnings", _warning, "TooManyWarningAlerts", 2 * KIB, V13, V12),
    *_both(
        "empty records, each 33rd a warning", _empty_and_warning, "TooManyWarningAlerts", 8 * KIB, V13, V12
    ),
    *_both("key updates", _key_update, "TooManyKeyUpdate", 2 * KIB, V13),
    *_both("key updates that ask for an answer", _asking_key_update, "TooManyKeyUpdate", 2 * KIB, V13),
    *_both("key updates and empty records", _key_update_and_empty, "without any data", 1024 * KIB, V13),
    *_both("key updates and records of one byte", _key_update_and_byte, None, 0, V13),
    *_both("change_cipher_spec", _change_cipher_spec, "", 2 * KIB, V13, V12),
    Flood("tickets", "client", V13, _established(_ticket), "without any data", 1024 * KIB),
    Flood(
        "tickets, 900 in a record",
        "client",
        V13,
        _established(_small_tickets, 1),
        "without any data",
        1024 * KIB,
    ),
    Flood("tickets", "server", V13, _established(_ticket), "", 2 * KIB),
    *_both("messages of unknown type", _unknown, "", 2 * KIB, V13, V12),
    *_both("requests to renegotiate", _renegotiation, "", 2 * KIB, V12),
    *_both("a message of 16 MiB", _endless(KEY_UPDATE, 16_000), "", 128 * KIB, V13),
    *_both("a message in records of one byte", _endless(KEY_UPDATE, 1), "", 128 * KIB, V13),
    Flood("a hello of 16 MiB", "server", V13, _hello(2**24 - 1, 16_000), "", 128 * KIB),
    Flood("a hello in records of one byte", "server", V13, _hello(60_000, 1), "", 128 * KIB),
    Flood("a hello in records of one byte", "client", V13, _hello(60_000, 1), "", 128 * KIB),
    Flood(
        "a second hello in records of one byte", "server", V13, _hello(60_000, 1, retried=True), "", 128 * KIB
    ),
    Flood("change_cipher_spec before a hello", "server", V13, _before_the_hello(20, b"\x01"), "", 2 * KIB),
    Flood("warnings before a hello", "server", V13, _before_the_hello(ALERT, bytes([1, 90])), "", 2 * KIB),
    Flood("empty records before a hello", "server", V13, _before_the_hello(HANDSHAKE, b""), "", 2 * KIB),
    *(
        Flood(f"10,000 certificates of {size} bytes", against, version, _certificates(size), "", 128 * KIB)
        for size in (1, 400)
        for version in (V13, V12)
        for against in ("server", "client")
    ),
]
"""Data comes first: what an honest peer costs."""
