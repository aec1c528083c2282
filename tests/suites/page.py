"""docs/suites.md, from expected.toml, libraries.py and sdists.txt."""

from __future__ import annotations

import re
from collections import Counter

from tests.suites.environment import REQUIREMENTS, ROOT, VERSION
from tests.suites.libraries import LIBRARIES, Library
from tests.suites.table import expected

PAGE = ROOT / "docs" / "suites.md"

HEAD = """# Libraries' own tests

Written by `python -m tests.suites --write`. The tests that a library's authors wrote for its TLS, under
`python -m veritls run -m pytest`, beside a run with `ssl` at the same time on the same machine. They come
from the library's sdist, of the version and hash in [sdists.txt](../tests/suites/sdists.txt), or are in
its wheel. [expected.toml](../tests/suites/expected.toml) holds the counts as floors, and the reason for each
test that passes with `ssl` alone. CI runs those that are quick.
"""

TAIL = """Some of urllib3's tests want a hypercorn of its own, which no registry has; they fail with `ssl`.

Not here: websockets, of whose sdists none holds the tests that use TLS, and asyncpg, whose tests
start PostgreSQL, which refuses root. [compatibility.md](compatibility.md) has what is tried with them.
"""


def version(library: Library) -> str:
    """The version in the environment."""
    found = re.search(rf"^{library.package}==(\S+)$", REQUIREMENTS.read_text(), re.M)
    assert found, f"{library.package} is not in requirements.txt"
    return found[1]


def files(library: Library) -> str:
    """Which files of it are run."""
    names = ", ".join(f"`{file}`" for file in library.files)
    chosen = f"; `-k '{library.chosen}'`" if library.chosen else ""
    chosen += f"; `-m '{library.marked}'`" if library.marked else ""
    return names + chosen + (f": {library.about}" if library.about else "")


def page() -> str:
    """The whole page."""
    lines = [HEAD, f"Passed, of those that pass with `ssl`, on Python {VERSION}:", ""]
    lines += ["| library | version | passed | in CI | tests |", "| --- | --- | --- | --- | --- |"]
    for library in LIBRARIES.values():
        counts = expected(library.name)
        ci = "yes" if library.quick else "no"
        cells = (library.name, version(library), f"{counts.floor} of {counts.ssl}", ci, files(library))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", TAIL, "Why the others do not:", "", "| library | tests | reason |", "| --- | --- | --- |"]
    for library in LIBRARIES.values():
        wanted = expected(library.name)
        reasons = Counter(
            reason + (" (or passes)" if test in wanted.flaky else "")
            for test, reason in wanted.reasons.items()
        )
        lines += [f"| {library.name} | {count} | {reason} |" for reason, count in sorted(reasons.items())]
    return "\n".join(lines) + "\n"


def write() -> None:
    """Writes docs/suites.md."""
    PAGE.write_text(page())
