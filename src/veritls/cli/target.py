"""HOST[:PORT] as a user writes it, and files of them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from veritls.cli.reading import from_stdin

PORTS = {None: 443, "smtp": 25, "imap": 143, "pop3": 110, "ftp": 21, "postgres": 5432}
"""Protocol that starts TLS by a command (None: TLS begins at once) -> the usual port."""

_LARGEST_FILE = 1024 * 1024


@dataclass(frozen=True)
class Target:
    """Where to connect to. `host`: a name or an address, without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _host(text: str, whole: str) -> str:
    if not text or not text.isprintable() or any(each.isspace() or each in "/@?#\\" for each in text):
        raise ValueError(f"{whole!r} is not HOST or HOST:PORT")
    if ":" in text:
        return str(ipaddress.IPv6Address(text))
    try:
        text.encode("idna")  # as the look-up of its address will
    except UnicodeError:
        raise ValueError(f"{whole!r} is no host name") from None
    return text


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise ValueError(f"{whole!r}: the port is a number from 1 to 65535")
    return int(text)


def parse(text: str, default_port: int) -> Target:
    """The target that ``host``, ``host:port``, ``[::1]:port``, ``[::1]`` or ``::1`` names.

    Raises ValueError, with a message for the user, for anything else.
    """
    if "://" in text:
        raise ValueError(f"{text!r} is a URL: give HOST or HOST:PORT")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not [ADDRESS] or [ADDRESS]:PORT")
        return Target(_host(host, text), _port(rest[1:], text) if rest else default_port)
    if text.count(":") > 1:
        return Target(_host(text, text), default_port)
    host, colon, port = text.partition(":")
    return Target(_host(host, text), _port(port, text) if colon else default_port)


def in_file(path: Path, default_port: int) -> list[Target]:
    """The targets in a file, one per line; ``-`` is standard input. Blank lines and comments (#) are skipped.

    Raises OSError for a file that cannot be read, ValueError for one over 1 MiB and, naming the line, for a
    line that is no target.
    """
    if str(path) == "-":
        data = from_stdin(_LARGEST_FILE + 1)
    else:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ValueError(f"the file is larger than {_LARGEST_FILE:,} bytes")
    targets = []
    for number, line in enumerate(data.decode("utf-8-sig", "backslashreplace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        try:
            if text:
                targets.append(parse(text, default_port))
        except ValueError as why:
            raise ValueError(f"line {number}: {why}") from None

    return targets
