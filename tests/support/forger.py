"""A peer that sends what no library would: records made from the secrets of a key log."""

from __future__ import annotations

import hmac
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


def _logged(keylog: Path, label: str) -> list[bytes]:
    """The client's random and the secret of the one line with `label`."""
    lines = (line.split() for line in keylog.read_text().splitlines())
    (found,) = (line[1:] for line in lines if line[0] == label)
    return [bytes.fromhex(each) for each in found]


class Forger:
    """Continues for one side, "CLIENT" or "SERVER", after `sent` records under its first traffic keys.

    For TLS_AES_128_GCM_SHA256. `keys`: "HANDSHAKE_TRAFFIC_SECRET" for those of the handshake.
    """

    def __init__(self, keylog: Path, side: str, sent: int = 0, keys: str = "TRAFFIC_SECRET_0") -> None:
        _, secret = _logged(keylog, f"{side}_{keys}")
        self._use_secret(secret)
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


class Forger12:
    """The same for TLS 1.2 and AES_128_GCM_SHA256, after `sent` records; `server_random`: of its hello."""

    def __init__(self, keylog: Path, side: str, server_random: bytes, sent: int = 1) -> None:
        client_random, secret = _logged(keylog, "CLIENT_RANDOM")
        seed = b"key expansion" + server_random + client_random
        block, step = b"", seed
        # RFC 5246, sections 5 and 6.3.
        for _ in range(2):
            step = hmac.digest(secret, step, "sha256")
            block += hmac.digest(secret, step + seed, "sha256")
        at = ("CLIENT", "SERVER").index(side)
        self._key = AESGCM(block[16 * at :][:16])
        self._iv = block[32 + 4 * at :][:4]
        self._sequence = sent

    def record(self, kind: int, content: bytes) -> bytes:
        """One encrypted record (RFC 5288, section 3)."""
        explicit = self._sequence.to_bytes(8, "big")
        self._sequence += 1
        additional = explicit + bytes([kind, 3, 3]) + len(content).to_bytes(2, "big")
        body = explicit + self._key.encrypt(self._iv + explicit, content, additional)
        return bytes([kind, 3, 3]) + len(body).to_bytes(2, "big") + body
