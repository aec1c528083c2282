"""What BoGo says of veritls, as the page docs/conformance-bogo.md, and what in it has no reason."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.bogo.runner import HERE, Results
from tests.differences import NEITHER, NOT_OFFERED, SAFER

DOCUMENT = HERE.parents[1] / "docs" / "conformance-bogo.md"

HEAD = """# The state-machine tests of BoringSSL (BoGo)

Written by `python -m tests.bogo --write`. BoGo is a TLS implementation that can be told to break the protocol
in a named way. Its runner has {total:,} tests; each starts [a program](../tests/bogo/shim.py) on veritls's
public interface. It is made of packages alone ([build.py](../tests/bogo/build.py)); nothing of it is in this
repository.

A test *passes* where both sides end as it says, with the error ([config.json](../tests/bogo/config.json) has
veritls's words for each) and the alert that it names. It is *unimplemented* where an argument demands what is
not offered. It may *fail* only with a reason in [expected.toml](../tests/bogo/expected.toml). No test is
disabled.
"""

BESIDE = """## Beside rustls's own program

rustls has a program of its own for these tests. That of 0.23.43, built with rustls 0.23.46 and run once by
the same runner (2026-11-26, by hand), implements 1,022 of the tests that veritls implements on `wrap_socket`.
It passes 818 of them, and veritls 948. Of the 38 that pass there and fail here, 24 take a stapled OCSP
response that is not good, 12 resume a session by its ID, one resumes a session after the groups changed, and
one chooses among certificates for the same names.
"""

TITLES = {
    "socket": "`wrap_socket`, blocking and not",
    "bio": "`wrap_bio`",
    "loop": "the event loop of veritls.aio",
}

SECTIONS = {
    "differs": ("Failed: veritls decides otherwise", "| tests | what veritls does |"),
    "engine": ("Failed: rustls decides otherwise", "| tests | what rustls does |"),
    "open": ("Failed: to be mended", "| tests | what is wrong |"),
}


@dataclass(frozen=True)
class Group:
    """Why tests fail: a line of docs/compatibility.md ("not_offered"), or a reason in a section's words."""

    kind: str
    why: str
    patterns: tuple[re.Pattern[str], ...]

    def covers(self, test: str) -> bool:
        return any(pattern.fullmatch(test) for pattern in self.patterns)


def load_expected() -> list[Group]:
    raw: dict[str, dict[str, list[str]]] = tomllib.loads((HERE / "expected.toml").read_text())
    return [
        Group(kind, why, tuple(re.compile(each) for each in patterns))
        for kind, reasons in raw.items()
        for why, patterns in reasons.items()
    ]


def load_causes() -> dict[str, tuple[str, str]]:
    """Cause of "unimplemented" -> ("line", of docs/compatibility.md) or ("nothing", what `ssl` lacks too)."""
    raw: dict[str, dict[str, Any]] = tomllib.loads((HERE / "not_offered.toml").read_text())
    return {
        cause: (kind, why)
        for kind in ("line", "nothing")
        for why, causes in raw[kind].items()
        for cause in causes
    }


@dataclass
class Report:
    """Results with the reason of each that did not pass. `whole`: all tests ran: each reason needs one."""

    results: Results
    whole: bool = True
    groups: list[Group] = field(default_factory=load_expected)
    causes: dict[str, tuple[str, str]] = field(default_factory=load_causes)

    @cached_property
    def reasons(self) -> dict[str, Group]:
        """Of each failed test that has one."""
        found = {}
        for test in self.results.failed:
            group = next((each for each in self.groups if each.covers(test)), None)
            if group is not None:
                found[test] = group
        return found

    def problems(self) -> list[str]:
        """What must not be: failures and causes without a reason, reasons without a failure."""
        lines = {*NOT_OFFERED, *SAFER, *NEITHER}
        named = {why for _, why in self.causes.values()}
        named |= {each.why for each in self.groups if each.kind == "not_offered"}
        found = [f"docs/compatibility.md has no line {why!r}" for why in sorted(named - lines)]
        for test in sorted(self.results.failed.keys() - self.reasons.keys()):
            found.append(f"{test} failed without a reason: {self.results.failed[test]}")
        unknown = set(self.results.unimplemented.values()) - self.causes.keys()
        found += [f"{cause!r} is in no group of not_offered.toml" for cause in sorted(unknown)]
        for group in self.groups:
            names = {each.pattern for each in group.patterns} & self.results.passed
            found += [f"{name} passes, but has a reason to fail: {group.why}" for name in sorted(names)]
        if self.whole:
            ran = self.results.failed
            for group in self.groups:
                idle = [each.pattern for each in group.patterns if not any(map(each.fullmatch, ran))]
                found += [f"no failed test is called {each!r} ({group.why})" for each in idle]
        return found

    def counts(self) -> tuple[int, int, int]:
        results = self.results
        return len(results.passed), len(results.failed), len(results.unimplemented)

    def sections(self) -> list[str]:
        """The tables of reasons."""
        return [*self._not_offered(), *(self._failed(kind) for kind in SECTIONS)]

    def _failed(self, kind: str) -> str:
        title, columns = SECTIONS[kind]
        tests = Counter(group.why for group in self.reasons.values() if group.kind == kind)
        return table(title, "", columns, [(tests[why], why) for why in sorted(tests, key=str.lower)])

    def _not_offered(self) -> list[str]:
        failed = Counter(group.why for group in self.reasons.values() if group.kind == "not_offered")
        unimplemented = Counter(self.causes[cause] for cause in self.results.unimplemented.values())
        lines = sorted({why for kind, why in unimplemented if kind == "line"} | failed.keys(), key=str.lower)
        neither = sorted((why for kind, why in unimplemented if kind == "nothing"), key=str.lower)
        words = (
            "By the line of [compatibility.md](compatibility.md) that says so. An older version, a suite or\n"
            "a kind of key is not told by arguments: such tests fail."
        )
        return [
            table(
                "Not offered, or safer",
                words,
                "| line | unimplemented | failed |",
                [(why, unimplemented["line", why], failed[why]) for why in lines],
            ),
            table(
                "`ssl` has no interface for it either",
                "",
                "| what | unimplemented |",
                [(why, unimplemented["nothing", why]) for why in neither],
            ),
        ]


def table(title: str, words: str, columns: str, rows: Sequence[Sequence[object]]) -> str:
    """A section with a table, each of whose rows is given by its cells."""
    lines = [
        f"## {title}",
        "",
        *([words, ""] if words else []),
        columns,
        "| --- " * (columns.count("|") - 1) + "|",
    ]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]) + "\n"


def document(reports: Mapping[str, Report]) -> str:
    """The page, of a report for each transport; reasons are those of the first."""
    first = next(iter(reports.values()))
    rows = [(TITLES[kind], *report.counts()) for kind, report in reports.items()]
    columns = "| interface | passed | failed | unimplemented |"
    counts = table("Over each interface", "", columns, rows)
    return "\n".join([HEAD.format(total=sum(first.counts())), counts, BESIDE, *first.sections()])
