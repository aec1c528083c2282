"""docs/conformance.md, made of the suites' parts, and taken apart again to replace one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.conformance.suites import SUITES, Part
from tests.support.shared import ROOT

DOCUMENT = ROOT / "docs" / "conformance.md"

HEAD = """\
# Conformance

Written by `python -m tests.conformance --write`, one suite of it with `--only NAME` (limbo, bettertls, pkits,
bogo). The data lies where [CONTRIBUTING.md](../CONTRIBUTING.md) says. An outcome may differ from a suite's
only with a reason.

| suite | asks about | cases | agree |
| --- | --- | --- | --- |
"""


def row(name: str, part: Part) -> str:
    """The line of the first table."""
    suite = SUITES[name]
    anchor = suite.title.lower().replace(" ", "-")
    return f"| [{suite.title}](#{anchor}) | {suite.about} | {part.cases} | {part.agree} |"


def document(parts: Mapping[str, Part]) -> str:
    """The page."""
    rows = [row(name, parts[name]) + "\n" for name in SUITES]
    sections = [f"\n## {SUITES[name].title}\n\n{parts[name].section}\n" for name in SUITES]
    return "".join([HEAD, *rows, *sections])


def parts_of(page: str) -> dict[str, Part]:
    """The parts of a page that `document` made."""
    found = {}
    for name, suite in SUITES.items():
        title = re.escape(suite.title)
        cells = re.search(rf"^\| \[{title}\]\(.*\) \| .* \| (.*) \| (.*) \|$", page, re.M)
        section = re.search(rf"^## {title}\n\n(.*?)\n(?=\n## |\Z)", page, re.M | re.S)
        if cells and section:
            found[name] = Part(cells[1], cells[2], section[1])
    return found
