"""A program on a terminal of a given width."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(
    command: Sequence[str], columns: int = 80, environment: Mapping[str, str] | None = None
) -> str:
    """What it prints there, with its escape sequences. `environment`: variables to set besides."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    unset = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    given = {key: each for key, each in os.environ.items() if key not in unset}
    child = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**given, "TERM": "xterm-256color", **(environment or {})},
    )
    os.close(theirs)
    shown = b""
    try:
        while more := os.read(ours, 4096):
            shown += more
    except OSError:  # the other end is closed
        pass
    finally:
        child.wait(60)
        os.close(ours)
    return shown.decode()


def lines(shown: str) -> list[str]:
    """The lines that stay, as they are seen: of a line that is written anew, the last."""
    last = [line.rpartition("\r")[2] for line in shown.replace("\r\n", "\n").split("\n")]
    return [_CONTROL.sub("", line).rstrip() for line in last]
