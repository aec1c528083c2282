"""Files that a user names, read with a bound."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

STDIN = Path("-")
LARGEST_FILE = 1024 * 1024
_LONGEST_PASSWORD = 1024


def content(path: Path) -> bytes:
    """The bytes of a file, or of stdin. Raises OSError; ValueError for no regular file and a larger one."""
    if path == STDIN:
        data = from_stdin(LARGEST_FILE + 1)
    else:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("it is not a regular file")
            data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it is larger than {LARGEST_FILE // 1024 // 1024} MiB")
    return data


def _without_waiting(path: str, flags: int) -> int:
    """A FIFO without a writer would be waited for."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def from_stdin(most: int) -> bytes:
    """The first `most` bytes of standard input. Raises ValueError where it is closed."""
    if sys.stdin is None:
        raise ValueError("standard input is closed")
    return sys.stdin.buffer.read(most)


def refuse_device(path: Path) -> None:
    """Raises ValueError for a device, which may have no end. A pipe is none: a shell makes it of <(...)."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # who opens it says why it cannot be read
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise ValueError("it is a device")


def password_in(path: Path) -> bytes:
    """The first line of a file. Raises as `content`, and ValueError for a line that is too long."""
    line = content(path).split(b"\n", 1)[0].removesuffix(b"\r")
    if len(line) > _LONGEST_PASSWORD:
        raise ValueError(f"a password has {_LONGEST_PASSWORD:,} bytes at most")
    return line
