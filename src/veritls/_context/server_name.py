"""server_hostname as it is sent (RFC 6066, section 3)."""

from __future__ import annotations

import socket

from veritls import _engine

_MAX_HOSTNAME = 253

_MOST_KNOWN = 1024
_known: dict[str, str] = {}
"""Names that were asked for, as they are sent; a new mapping takes its place when it is full.

Not an `lru_cache`: without a GIL all threads would wait for its lock.
"""


def on_the_wire(name: str | bytes) -> str:
    """An A-label or an address. Raises TypeError, UnicodeError or ValueError for anything else."""
    if isinstance(name, bytes):
        name = name.decode("ascii")
    if not isinstance(name, str):
        raise TypeError(f"server_hostname must be a str, not {type(name).__name__}")
    if type(name) is not str:  # it may compare and print as it likes
        return _encoded(name)
    return _known.get(name) or _kept(name)


def _kept(name: str) -> str:
    global _known
    encoded = _encoded(name)
    known = _known if len(_known) < _MOST_KNOWN else {}
    known[name] = encoded
    _known = known
    return encoded


def _encoded(name: str) -> str:
    if "\x00" in name:
        raise TypeError("server_hostname: embedded null character")
    if not name or name.startswith("."):
        raise UnicodeError("server_hostname cannot be an empty string or start with a leading dot.")
    address = _address(name.strip("[]") if name.startswith("[") else name)
    if address is not None:
        return address
    try:
        encoded = name.encode("idna").decode("ascii") if not name.isascii() else name
    except UnicodeError as why:
        raise ValueError(f"server_hostname {name!r} is not a host name: {why}") from None
    if len(encoded.rstrip(".")) > _MAX_HOSTNAME:
        raise ValueError(f"server_hostname is longer than {_MAX_HOSTNAME} bytes")
    if not _engine.is_server_name(encoded):
        raise ValueError(f"server_hostname {name!r} is not a host name")
    return encoded


def _address(name: str) -> str | None:
    """An address in its usual form; None for anything else."""
    if ":" in name:
        import ipaddress

        try:
            return str(ipaddress.ip_address(name))
        except ValueError:
            return None
    if not name[-1:].isdigit():
        return None
    try:
        return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, name))
    except (OSError, ValueError):
        return None
