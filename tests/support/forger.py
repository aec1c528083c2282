"""A TLS 1.3 peer that sends what no library would: records made from the secrets of a key log."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

ALERT, HANDSHAKE, DATA = 21, 22, 23
NEW_SESSION_TICKET, KEY_UPDATE = 4, 24
OVERHEAD = 5 + 1 + 16


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label without a context (RFC 8446, section 7.1)."""
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\x00"
    return HKDFExpand(SHA256(), length, info).derive(secret)


def message(kind: int, body: bytes, length: int | None = None) -> bytes:
    """A handshake message; `length`: what it says of itself, if that is not the truth."""
    return bytes([kind]) + (len(body) if length is None else length).to_bytes(3, "big") + body


class Forger:
    """Continues for one side, "CLIENT" or "SERVER", after `sent` records under its first traffic keys.

    For TLS_AES_128_GCM_SHA256.
    """

    def __init__(self, keylog: Path, side: str, sent: int = 0) -> None:
        lines = (line.split() for line in keylog.read_text().splitlines())
        (secret,) = (line[2] for line in lines if line[0] == f"{side}_TRAFFIC_SECRET_0")
        self._use_secret(bytes.fromhex(secret))
        self._sequence = sent

    def _use_secret(self, secret: bytes) -> None:
        self._secret = secret
        self._key = AESGCM(_expand(secret, b"key", 16))
        self._iv = int.from_bytes(_expand(secret, b"iv", 12), "big")
        self._sequence = 0

    def record(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        """One encrypted record (RFC 8446, section 5.2)."""
        inner = content + bytes([kind]) + bytes(padding)
        header = bytes([DATA, 3, 3]) + (len(inner) + 16).to_bytes(2, "big")
        nonce = (self._iv ^ self._sequence).to_bytes(12, "big")
        self._sequence += 1
        return header + self._key.encrypt(nonce, inner, header)

    def key_update(self, *, requested: bool, piece: int = 100) -> bytes:
        """A key update, and new keys for what follows (RFC 8446, section 4.6.3).

        `piece`: how many of its bytes each record holds.
        """
        whole = message(KEY_UPDATE, bytes([requested]))
        records = [self.record(HANDSHAKE, whole[at : at + piece]) for at in range(0, len(whole), piece)]
        self._use_secret(_expand(self._secret, b"traffic upd", 32))
        return b"".join(records)

    def ticket(self, number: int) -> bytes:
        """A new_session_ticket (RFC 8446, section 4.6.1)."""
        nonce, ticket = number.to_bytes(4, "big"), b"ticket" * 20
        body = (7200).to_bytes(4, "big") + bytes(4) + bytes([len(nonce)]) + nonce
        body += len(ticket).to_bytes(2, "big") + ticket + bytes(2)
        return self.record(HANDSHAKE, message(NEW_SESSION_TICKET, body))
