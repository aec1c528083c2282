"""Docstrings as the reference shows them: parameters as lists, what is raised by itself, names as links."""

from __future__ import annotations

import re
from collections.abc import Callable

_NAMES = r"`[\w.*]+`(?:(?:, | and | or )`[\w.*]+`)*"
_TOLD = re.compile(rf"(?:(?<=^)|(?<=[.!?:)] ))({_NAMES}): ")
"""Names at the beginning of a sentence and a colon: what follows is said of them."""
_RAISES = re.compile(r"(?<=[.)] )(?=Raises )")
_FENCE = re.compile(r"(```.*?```|`[^`]+`)", re.S)
_PAGE = re.compile(r"(?<![\w/(\[])docs/((?:[\w-]+/)*[\w-]+)(\.md)?(?![\w/-])")


def shaped(docstring: str) -> str:
    """A docstring as Markdown."""
    paragraphs = re.split(r"\n\s*\n", docstring.strip("\n"))
    return "\n\n".join(_code(each) if each.startswith("    ") else _paragraph(each) for each in paragraphs)


def summary(docstring: str) -> str:
    """Its first sentence, without the full stop."""
    first = " ".join(docstring.strip().split("\n\n")[0].split())
    match = re.match(r".*?[^.\s]\.(?=\s|$)", first)
    return re.sub(r"``(.+?)``", r"`\1`", (match.group() if match else first).rstrip(".:"))


def _code(paragraph: str) -> str:
    lines = [line.removeprefix("    ") for line in paragraph.rstrip().split("\n")]
    return "\n".join(["```python", *lines, "```"])


def _paragraph(paragraph: str) -> str:
    if re.match(r"\s*(?:[-*|>]|\d+\.) ", paragraph):
        return paragraph  # Markdown's own list or table
    text = re.sub(r"``(.+?)``", r"`\1`", " ".join(paragraph.split()))
    parts = _TOLD.split(text)
    before, told = parts[0].strip(), list(zip(parts[1::2], parts[2::2], strict=True))
    blocks: list[str] = []
    if before:
        blocks += _with_raises(before)
    items, after = [], []
    for position, (names, said) in enumerate(told):
        pieces = _with_raises(said.strip())
        items.append(f"- {names}: {pieces[0]}")
        if position == len(told) - 1:
            after = pieces[1:]
        elif pieces[1:]:
            items[-1] += " " + " ".join(pieces[1:]).replace("**Raises**", "Raises")
    if items:
        blocks.append("\n".join(items))
    return "\n\n".join(blocks + after)


def _with_raises(text: str) -> list[str]:
    """The text before its first "Raises", and from there on."""
    pieces = _RAISES.split(text, maxsplit=1)
    return [re.sub(r"^Raises ", "**Raises** ", piece.strip()) for piece in pieces]


def linked(text: str, link: Callable[[str], str | None], page: Callable[[str], str | None]) -> str:
    """The Markdown `text` with links.

    `link`: where the name in a piece of code is described, None where it is not. `page`: the same of a page
    of docs/, without its suffix.
    """
    parts = _FENCE.split(text)
    for index, part in enumerate(parts):
        if index % 2 == 0:
            parts[index] = _PAGE.sub(lambda match: _page_link(match, page), part)
        elif not part.startswith("```") and (target := link(part.strip("`"))):
            parts[index] = f"[{part}]({target})"
    return "".join(parts)


def _page_link(match: re.Match[str], page: Callable[[str], str | None]) -> str:
    target = page(match.group(1))
    return f"[{match.group()}]({target})" if target else match.group()
