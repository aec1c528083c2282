"""Tickets of a server opened and made with `cryptography`, by the construction in decision 0042."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import Any, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER, SALT, TAG = 37, 32, 16
EPOCH, SHARED_EPOCH = 6 * 3600, 2 * 3600


@dataclass(frozen=True)
class Keys:
    """What tickets are sealed with, of a context as it is."""

    secret: bytes
    fingerprint: bytes

    @classmethod
    def of(cls, server: Any, first: Any = None) -> Self:
        """`first`: the context that a connection had before `sni_callback`."""
        settings = server._settings if first is None else server._settings.after(first._settings)
        return cls(settings.ticket_secret, settings.frozen(True).settings.fingerprint)

    @classmethod
    def shared(cls, server: Any, secret: bytes, first: Any = None) -> Self:
        """Of a context with `TicketKeys.from_secret(secret)`."""
        fingerprint = cls.of(server, first).fingerprint
        return cls.of_epoch(secret, None, SHARED_EPOCH, 0, fingerprint)

    @classmethod
    def of_epoch(cls, secret: bytes, salt: bytes | None, period: int, epoch: int, fingerprint: bytes) -> Self:
        """Of a fleet, by decision 0072. Without a salt `epoch` is 0."""
        info = b"veritls fleet 1" + bytes([salt is not None])
        info += period.to_bytes(4, "big") + epoch.to_bytes(4, "big")
        return cls(HKDF(SHA256(), 32, salt, info).derive(secret), fingerprint)

    def _derive(self, epoch: int, salt: bytes) -> tuple[AESGCM, bytes]:
        info = b"veritls ticket 1" + self.fingerprint + epoch.to_bytes(4, "big")
        both = HKDF(SHA256(), 44, salt, info).derive(self.secret)
        return AESGCM(both[:32]), both[32:]

    def seal(self, plain: bytes, epoch: int, salt: bytes | None = None) -> bytes:
        salt = os.urandom(SALT) if salt is None else salt
        key, nonce = self._derive(epoch, salt)
        header = b"\x01" + epoch.to_bytes(4, "big") + salt
        return header + key.encrypt(nonce, plain, header)

    def open(self, ticket: bytes) -> tuple[int, bytes]:
        """(epoch, content). Raises InvalidTag for a ticket of other keys."""
        header, sealed = ticket[:HEADER], ticket[HEADER:]
        assert header[0] == 1
        epoch = int.from_bytes(header[1:5], "big")
        key, nonce = self._derive(epoch, header[5:])
        return epoch, key.decrypt(nonce, sealed, header)

    def since(self, ticket: bytes) -> int:
        """When the full handshake was that a ticket comes from."""
        return int.from_bytes(self.open(ticket)[1][:8], "big")

    def moved(self, ticket: bytes, *, since: int | None = None, epochs: int = 0) -> bytes:
        """The ticket as it were from another time."""
        epoch, plain = self.open(ticket)
        if since is not None:
            plain = since.to_bytes(8, "big") + plain[8:]
        return self.seal(plain, epoch + epochs)

    def with_secret(self, secret: bytes) -> Self:
        return replace(self, secret=secret)

    def with_fingerprint(self, fingerprint: bytes) -> Self:
        return replace(self, fingerprint=fingerprint)


def epoch_now() -> int:
    return int(time.time()) // EPOCH
