"""`python -m tests.compatibility [python …]`: measures, and writes docs/compatibility.md.

CPython's suites run on this interpreter and on those given, each with veritls installed; the walk over the
interface and the libraries on this one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from tests.cpython.suites import SUITES
from tests.differences import NEITHER, NOT_OFFERED, SAFER
from tests.peers.peer import version
from tests.peers.registry import PEERS

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "compatibility.md"

HEAD = """# Compatibility with `ssl`

Written by `python -m tests.compatibility`; the tests of CI hold it: the interface walk, the floors and
reasons of [expected.toml](../tests/cpython/expected.toml), the libraries, other TLS programs. What a program
has to change: [migrating.md](migrating.md). What libraries' own tests say: [suites.md](suites.md).
"""

PEERS_WORDS = [
    "Each in the roles that it has, with TLS 1.2 and 1.3, in each of the three modes: a client without a",
    "certificate, with a valid one, one of another CA, an expired one; a server of another CA; resumption.",
    "What is skipped and why, and what a program does in a way of its own: `tests/peers/__init__.py`.",
]

FREE_THREADED_WORDS = [
    "The engine leaves the GIL off. It was tried on CPython 3.13.15 with `--disable-gil`, with PyO3's check",
    "of the version off: PyO3 supports 3.14 and newer, which was not to be had. CI does not try it. A test",
    "that forks under load did not end there. That, and how it scales:",
    "[decision 0065](decisions/0065-without-a-gil.md).",
]


def cpython(python: str, folder: Path) -> tuple[str, dict[str, tuple[int, int]]]:
    """The version of an interpreter, and of each of its suites how many tests pass, of how many with ssl."""
    report = folder / "cpython.json"
    command = [python, "-W", "ignore", "-m", "tests.cpython", *SUITES, "--json", str(report)]
    subprocess.run(command, cwd=TESTS.parent, check=True, timeout=900, stdout=subprocess.DEVNULL)
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    counts = {}
    for name, content in json.loads(report.read_text()).items():
        good = sum(outcome == "passed" for outcome in content["baseline"].values())
        counts[name] = (good - len(content["missed"]), good)
    return version, counts


def cpython_section(pythons: list[str], folder: Path) -> str:
    measured = dict(cpython(python, folder) for python in pythons)
    lines = ["## CPython's own tests", "", "Passed, of those that pass with `ssl`:", ""]
    lines += ["| suite | " + " | ".join(measured) + " |", "| --- |" + " --- |" * len(measured)]
    for suite in SUITES:
        cells = (counts.get(suite) for counts in measured.values())
        shown = (f"{cell[0]} of {cell[1]}" if cell else "not there" for cell in cells)
        lines.append(f"| {suite} | " + " | ".join(shown) + " |")
    expected = tomllib.loads((TESTS / "cpython" / "expected.toml").read_text())
    reasons: Counter[str] = Counter()
    for tests in expected["reasons"].values():
        reasons.update(entry if isinstance(entry, str) else entry["reason"] for entry in tests.values())
    lines += ["", "Why the others do not:", "", "| tests | reason |", "| --- | --- |"]
    lines += [f"| {count} | {reason} |" for reason, count in sorted(reasons.items())]
    return "\n".join(lines)


def cases(folder: str, where: Path) -> Counter[tuple[str, str]]:
    """The tests of a folder or file: (library, or module where none is named; outcome) -> how many."""
    report = where / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", folder, f"--junit-xml={report}"]
    subprocess.run(command, cwd=TESTS.parent, timeout=900, stdout=subprocess.DEVNULL)
    found: Counter[tuple[str, str]] = Counter()
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"skipped", "failure", "error"}
        named = case.find("properties/property[@name='library']")
        # What stands before the module depends on where the checkout is.
        modules = [part for part in case.get("classname", "").split(".") if part.startswith("test_")]
        row = modules[-1].removeprefix("test_") if named is None else named.get("value", "")
        found[row, kinds.pop() if kinds else "passed"] += 1
    return found


def table(found: Counter[tuple[str, str]], title: str) -> list[str]:
    lines = [f"| {title} | passed | skipped | failed |", "| --- | --- | --- | --- |"]
    for row in sorted({row for row, _ in found}, key=str.lower):
        failed = found[row, "failure"] + found[row, "error"]
        lines.append(f"| {row} | {found[row, 'passed']} | {found[row, 'skipped']} | {failed} |")
    return lines


def peers_section(where: Path) -> str:
    """The TLS programs of others."""
    versions = {peer.name: version(peer) for peer in PEERS}
    found = Counter(
        {
            (f"{name}, {versions[name]}", outcome): count
            for (name, outcome), count in cases("tests/peers", where).items()
        }
    )
    return "\n".join(["## Other TLS programs", "", *PEERS_WORDS, "", *table(found, "program")])


def list_section(title: str, head: str, content: dict[str, str]) -> str:
    rows = [f"| {what} | {answer} |" for what, answer in content.items()]
    return "\n".join([f"## {title}", "", head, "| --- | --- |", *rows])


def list_sections() -> list[str]:
    """What is written down, not measured: free-threaded Python, and the lists of `tests.differences`."""
    return [
        "\n".join(["## Free-threaded Python", "", *FREE_THREADED_WORDS]),
        list_section("Not offered", "| what | how the interface says so |", NOT_OFFERED),
        list_section("Safer", "| what | what a program sees |", SAFER),
        "\n".join(["## Not in `ssl` either", "", *(f"- {what}" for what in NEITHER)]),
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sections = [HEAD.rstrip(), cpython_section([sys.executable, *sys.argv[1:]], folder)]
        walk = cases("tests/test_interface.py", folder)
        words = "Every public name, member and parameter of this interpreter's `ssl`, one test each:"
        sections.append("\n".join(["## The interface", "", words, "", *table(walk, "walk")]))
        if (TESTS / "ecosystem").is_dir():
            words = "Unmodified, with mutual TLS, each against a real server or client:"
            libraries = table(cases("tests/ecosystem", folder), "library")
            sections.append("\n".join(["## Libraries", "", words, "", *libraries]))
        sections.append(peers_section(folder))
    sections += list_sections()
    PAGE.write_text("\n\n".join(sections) + "\n")
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
