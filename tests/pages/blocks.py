"""The blocks of code of a page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
_MARK = re.compile(r"<!-- ([\w ]+): (.+) -->\n?")
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block. `line`: where it begins, from 1; `mark`: what the comment before it says."""

    page: str
    line: int
    language: str
    text: str
    mark: tuple[str, str] = ("", "")

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that it is."""
        found = _FILE.match(self.text)
        return found[1] if found and self.language not in ("console", "sh") else None

    @property
    def terminal(self) -> str:
        return self.mark[1] if self.mark[0] == "terminal" else ""

    @property
    def not_run(self) -> str:
        """Why it is not run."""
        return self.mark[1] if self.mark[0] == "not run" else ""


def blocks_of(text: str, page: str) -> list[Block]:
    found, comment = [], ""
    for token in MarkdownIt().parse(text):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            mark = _MARK.fullmatch(comment)
            given = (mark[1], mark[2]) if mark else ("", "")
            found.append(Block(page, token.map[0] + 1, token.info.strip(), token.content, given))
        comment = token.content if token.type == "html_block" else ""
    return found


def blocks(page: str) -> list[Block]:
    """Those of a page that is named by its path in the checkout."""
    return blocks_of((ROOT / page).read_text("utf-8"), page)
