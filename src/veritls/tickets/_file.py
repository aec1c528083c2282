"""Secrets from a file that is rotated in place.

Text of base64, a secret a line, the newest first; or anything else, which is one secret as it is. A change
counts once two looks in a row found the same, so that a file is not read while it is being written; and after
lines, only with the end of the last one.
"""

from __future__ import annotations

import base64
import os
import stat
import string
import time

from veritls import _engine
from veritls._report.rendering import plain
from veritls._value import TicketSecret
from veritls.tickets._refreshing import Refresher, logger, reason
from veritls.tickets._secrets import AHEAD, BACK, EPOCH, LAST_EPOCH, SHORTEST, as_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from veritls._loading.pem import StrPath

LONGEST = 4096
"""Bytes of a file at most."""
MOST = 8
"""Secrets that are held at once: those of the file, and what was in it before."""
PERIOD, UNSETTLED = 2.0, 0.25
"""Seconds between two looks; after one that found something new."""

_BASE64 = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"+/=\r\n")


def read(path: StrPath) -> tuple[TicketSecret, int]:
    """The content of a file, and its mode. Raises OSError, ValueError where it is too long."""
    # A pipe would be waited for.
    with open(
        path, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)
    ) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("it is not a regular file")
        content = bytearray()
        while piece := file.read(LONGEST + 1 - len(content)):
            content += piece
    if len(content) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} bytes")
    return TicketSecret(content), mode


def secrets_of(content: TicketSecret, ends: bool = False) -> list[TicketSecret]:
    """The secrets in a file's content. `ends`: a line has to end. Raises ValueError where there is none."""
    if not _BASE64.issuperset(content):
        return [as_secret(content)]
    lines = [TicketSecret(line) for line in content.split()]
    if not lines:
        raise ValueError("it is empty")
    if len(lines) > MOST:
        raise ValueError(f"it has more than {MOST} secrets")
    whole = content.endswith(b"\n")
    if ends and not whole:
        raise ValueError("its last line has no end: it is not all there")
    try:
        return [as_secret(TicketSecret(base64.b64decode(line, validate=True))) for line in lines]
    except ValueError as error:
        if not whole and len(lines) == 1 and len(content) >= SHORTEST:
            return [content]  # letters and digits that are no base64
        raise ValueError(f"a line is not base64 of a secret: {error}") from None


class FileRefresher(Refresher):
    """Holds the secrets of a file; those that were in it before open what they sealed."""

    def __init__(self, keyring: _engine.TicketKeyring, path: StrPath) -> None:
        super().__init__(keyring)
        self._path = path
        self._name = plain(os.fsdecode(path))
        self._content: TicketSecret | None = None
        self._unsettled: TicketSecret | None = None
        self._has_lines = False
        """Whether the last good content ended with a line: one that does not is half of such a file."""
        self._held: list[tuple[TicketSecret, int]] = []
        """Secrets, each with the last epoch whose tickets it opens."""

    def load(self) -> None:
        """The first look, in the caller's thread. Raises OSError or ValueError."""
        try:
            content, mode = read(self._path)
            self._take(content)
        except ValueError as error:
            raise ValueError(f"the ticket secret in {self._name} cannot be used: {error}") from None
        if mode & stat.S_IROTH:
            logger.warning(
                "The ticket secret in %s can be read by every user of this host: whoever reads it "
                "can resume as any client",
                self._name,
            )

    def look(self) -> None:
        content, _ = read(self._path)
        if content == self._content:
            self._unsettled = None
            return
        secrets_of(content, self._has_lines)
        if content != self._unsettled:
            self._unsettled = content
            return
        self._unsettled = None
        self._take(content)
        logger.info("The ticket secret in %s is another: tickets are made with it from now on", self._name)

    def _take(self, content: TicketSecret) -> None:
        found = secrets_of(content, self._has_lines)
        now = int(time.time()) // EPOCH
        # Others may take notice of the change later, or have a clock that is ahead.
        before = [(each, min(last, now + AHEAD)) for each, last in self._held if each not in found]
        listed = [(each, LAST_EPOCH) for each in dict.fromkeys(found)]
        self._held = (listed + [each for each in before if each[1] >= now - BACK])[:MOST]
        self.keyring.hold([(secret, None, 0, last) for secret, last in self._held])
        self._content, self._has_lines = content, content.endswith(b"\n") and _BASE64.issuperset(content)

    def pause(self) -> float:
        return PERIOD if self._unsettled is None else UNSETTLED

    def failed(self, error: Exception) -> None:
        self._unsettled = None
        if self._failures == 1:
            logger.warning(
                "The ticket secret in %s cannot be read, the last one goes on: %s", self._name, reason(error)
            )

    def recovered(self) -> None:
        logger.info("The ticket secret in %s can be read again", self._name)
