"""The blocks of code of a page."""

from __future__ import annotations

import re
import shlex
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

    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console block, each with its output; output of an earlier command has none."""
        found: list[list[str]] = []
        for line in self.text.splitlines(keepends=True):
            if line.startswith("$ "):
                found.append([line[2:], ""])
            elif found and found[-1][0].endswith("\\\n") and not found[-1][1]:
                found[-1][0] += line.removeprefix("> ")
            else:
                if not found:
                    found.append(["", ""])
                found[-1][1] += line
        return [(command.strip(), output) for command, output in found]

    def words(self) -> list[list[str]]:
        """The words of each command that it runs in a shell."""
        if self.language == "sh":
            lines = self.text.replace("\\\n", " ").splitlines()
        elif self.language == "console":
            lines = [command.replace("\\\n", " ") for command, _ in self.commands()]
        else:
            lines = []
        found: list[list[str]] = []
        for line in lines:
            found.append([])
            parts = shlex.shlex(line, posix=True, punctuation_chars=True)
            parts.whitespace_split = True
            for word in parts:
                if set(word) <= set("&|;"):
                    found.append([])
                else:
                    found[-1].append(word)
        return [words for words in found if words]


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
