"""THIRD-PARTY-LICENSES: the licence texts of the crates whose code a wheel contains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.supply.crates import ROOT, Crate, contained

PAGE = ROOT / "THIRD-PARTY-LICENSES"

SAME_REPOSITORY = {"asn1-rs-impl": "asn1-rs"}
"""Crates that come without a text: the crate of the same repository, and the same licence, that has it."""

WITHIN = {"aws-lc-sys": ("aws-lc/LICENSE", "aws-lc/third_party/fiat/LICENSE")}
"""Texts further down in a crate: of what it carries of others."""

NAMES = ("license", "licence", "copying", "unlicense", "notice", "copyright")

HEAD = """The licences of what veritls's wheels contain beside veritls
=============================================================

Written by `python -m tests.supply licences`. A wheel contains compiled code of the crates below. Each line
has a crate and the licence that it declares; the numbers are those of the texts that come with it.
"""


class NoText(RuntimeError):
    """A crate without the text of its licence. The message names it."""


def texts_of(crate: Crate) -> Iterator[str]:
    """The licence texts that a crate comes with."""
    paths = [
        path for path in crate.folder.iterdir() if path.name.lower().startswith(NAMES) and path.is_file()
    ]
    paths += [crate.folder / name for name in WITHIN.get(crate.name, ())]
    for path in sorted(paths):
        yield _tidy(path)


def _tidy(path: Path) -> str:
    lines = path.read_text("utf-8").replace("\f", "\n").expandtabs().splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def page(crates: list[Crate]) -> str:
    """The whole file. Raises NoText."""
    by_name = {crate.name: crate for crate in crates}
    numbers: dict[str, int] = {}
    """Of each text, compared without its spaces and lines, so that each stands here once."""
    bodies: list[str] = []
    lines = [HEAD]
    for crate in crates:
        texts = list(texts_of(by_name.get(SAME_REPOSITORY.get(crate.name, ""), crate)))
        if not texts or not crate.licence:
            raise NoText(
                f"{crate.name} {crate.version} comes without the text of its licence, {crate.licence!r}"
            )
        mine = []
        for text in texts:
            key = "".join(text.split())
            if key not in numbers:
                numbers[key] = len(numbers) + 1
                bodies.append(text)
            mine.append(numbers[key])
        lines.append(
            f"{crate.name} {crate.version}: {crate.licence}: {', '.join(map(str, sorted(set(mine))))}"
        )
    for number, text in enumerate(bodies, 1):
        lines += ["", "-" * 100, f"Text {number}", "-" * 100, "", text]
    return "\n".join(lines) + "\n"


def write() -> None:
    """Writes the file. Raises NoText."""
    PAGE.write_text(page(contained()), "utf-8")
