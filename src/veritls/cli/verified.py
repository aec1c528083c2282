"""What was found out about one file, and what that comes to: a word, an exit status, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from veritls._report.rendering import plain
from veritls.cli.certificate_files import Input
from veritls.cli.result import first_to_end, too_few_days
from veritls.cli.words import as_dict
from veritls.report import VerificationReport

STATUSES = {1: "not trusted", 2: "not readable", 3: "expires soon", 0: "trusted"}
"""Exit status -> what it says of a file, the gravest first; as those of check."""
SKIPPED = "no certificate"
_LONGEST_PATH = 4096


@dataclass(frozen=True)
class Verified:
    """The result for one file: a report, or why there is none.

    `skipped`: it was found in a folder, and is something else than a chain. `warn_days`: days that every
    certificate of the path should have left; None asks for nothing.
    """

    file: Input
    report: VerificationReport | None = None
    problem: str = ""
    skipped: bool = False
    warn_days: int | None = None

    @property
    def name(self) -> str:
        """The file's path, escaped."""
        return plain(str(self.file), _LONGEST_PATH)

    @cached_property
    def _first_to_end(self) -> tuple[int, str] | None:
        return first_to_end(self.report) if self.report is not None else None

    @property
    def days_left(self) -> int | None:
        """Of the certificate of the path that ends first, or of the file's own; None where not known."""
        return self._first_to_end[0] if self._first_to_end is not None else None

    @property
    def status(self) -> int:
        """A key of `STATUSES`."""
        if self.report is None:
            return 0 if self.skipped else 2
        if not self.report.trusted:
            return 1
        left = self.days_left
        return 3 if self.warn_days is not None and left is not None and left < self.warn_days else 0

    @property
    def word(self) -> str:
        """The status in words."""
        return SKIPPED if self.skipped else STATUSES[self.status]

    @property
    def sentence(self) -> str:
        """Why, in one sentence."""
        if self.report is None:
            return self.problem
        if self.status == 3 and self._first_to_end is not None:
            return too_few_days(*self._first_to_end, self.warn_days or 0)
        words: str = as_dict(self.report)["sentence"]
        return words

    def as_dict(self) -> dict[str, Any]:
        """The result with JSON's types."""
        return {
            "file": self.name,
            "status": self.word,
            "problem": self.problem or None,
            "days_left": self.days_left,
            "report": as_dict(self.report) if self.report is not None else None,
        }


def status_of(results: Sequence[Verified]) -> int:
    """The exit status: the gravest of all; 2 where there is no certificate in any."""
    if all(result.skipped for result in results):
        return 2
    found = {result.status for result in results}
    return next(status for status in STATUSES if status in found)
