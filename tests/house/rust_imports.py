"""The imports of a Rust crate, read from its tokens: `use` trees, and paths that name a module of the crate.

What `#[cfg(test)]` marks is left out, with the files that it declares. `mod` lines are no arrows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.graph import Arrow, Tree

_TOKEN = re.compile(
    r"""
      (?P<skip> \s+ | //[^\n]*
      | b?c?r(?P<hash>\#*)".*?"(?P=hash)                          # raw strings
      | [bc]?"(?:\\.|[^"\\])*"                                    # strings
      | b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^\\'])'         # characters
      | '(?:r\#)?\w+ )                                            # lifetimes
    | (?P<open_comment> /\* )
    | (?P<token> (?:r\#)?[A-Za-z_]\w* | \d\w* | :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_ITEM = {"fn", "impl", "mod", "struct", "enum", "trait", "union", "extern", "macro_rules"}
_TO_SEMICOLON = {"use", "const", "static", "let", "type"}
_OPEN, _CLOSE = {"(", "[", "{"}, {")", "]", "}"}

Token = tuple[str, int]
Module = tuple[str, ...]


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at, line = 0, 1
    while match := _TOKEN.match(text, at):
        end = match.end()
        if match["open_comment"]:
            depth = 1
            while depth and (edge := _COMMENT.search(text, end)):
                depth += 1 if edge[0] == "/*" else -1
                end = edge.end()
        elif match["token"]:
            found.append((match["token"].removeprefix("r#"), line))
        line += text.count("\n", at, end)
        at = end
    return found


def _closing(tokens: list[Token], at: int) -> int:
    """The index after the bracket that closes the one at `at`."""
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index][0] in _OPEN) - (tokens[index][0] in _CLOSE)
        if not depth:
            return index + 1
    return len(tokens)


def _is_test(attribute: list[str]) -> bool:
    return attribute[:3] == ["cfg", "(", "test"] or attribute[:5] == ["cfg", "(", "all", "(", "test"]


def _after_item(tokens: list[Token], at: int) -> int:
    """The index after the item, statement or field at `at`, with the attributes before it."""
    while at < len(tokens) and tokens[at][0] == "#":
        at = _closing(tokens, at + 1)
    seen: set[str] = set()
    while at < len(tokens):
        token = tokens[at][0]
        if token in _CLOSE:
            return at
        if token in _OPEN:
            at = _closing(tokens, at)
            if token == "{" and not (seen & _TO_SEMICOLON and not seen & _ITEM):
                return at
            continue
        at += 1
        if token == ";" or (token == "," and not seen & (_ITEM | _TO_SEMICOLON)):
            return at
        seen.add(token)
    return at


class _File:
    """One file's tokens without its tests, and the modules that its tests declare."""

    def __init__(self, text: str) -> None:
        tokens = _tokens(text)
        self.tokens: list[Token] = []
        self.tests: set[str] = set()
        self.children: set[str] = set()
        self.is_test = False
        at = 0
        while at < len(tokens):
            inner = at + 1 < len(tokens) and tokens[at][0] == "#" and tokens[at + 1][0] == "!"
            bracket = at + 1 + inner
            if tokens[at][0] != "#" or bracket >= len(tokens) or tokens[bracket][0] != "[":
                self.tokens.append(tokens[at])
                at += 1
                continue
            end = _closing(tokens, bracket)
            if _is_test([token for token, _ in tokens[bracket + 1 : end]]):
                if inner:
                    self.is_test = True
                    return
                start, end = end, _after_item(tokens, end)
                self.tests |= _declared(tokens[start:end])
            at = end
        self.children = _declared(self.tokens)


def _declared(tokens: list[Token]) -> set[str]:
    """The names in `mod name;`."""
    words = [token for token, _ in tokens]
    return {b for a, b, c in zip(words, words[1:], words[2:], strict=False) if a == "mod" and c == ";"}


def _use_tree(tokens: list[Token], at: int, head: Module) -> Iterator[tuple[Module, int]]:
    """The paths of the use tree that begins at `at`, which ends before `;`, `,` or the closing brace."""
    path = head
    while at < len(tokens):
        token, line = tokens[at]
        if token == "{":
            end = _closing(tokens, at) - 1
            at += 1
            while at < end:
                yield from _use_tree(tokens, at, path)
                while at < end and tokens[at][0] != ",":
                    at = _closing(tokens, at) if tokens[at][0] == "{" else at + 1
                at += 1
            return
        if token in (";", ",", "}", "as"):
            yield path, tokens[at - 1][1]
            return
        if token == "*":
            yield path, line
            return
        if token != "::" and not (token == "self" and path):
            path = (*path, token)
        at += 1


def _paths(file: _File) -> Iterator[tuple[Module, Module, int]]:
    """Each path that may name a module, with the inline modules in which it stands."""
    tokens = file.tokens
    inline: list[tuple[str, int]] = []
    depth = 0
    at = 0
    while at < len(tokens):
        token, line = tokens[at]
        before = tokens[at - 1][0] if at else ""
        after = tokens[at + 1][0] if at + 1 < len(tokens) else ""
        where = tuple(name for name, _ in inline)
        if token == "mod" and at + 2 < len(tokens) and tokens[at + 2][0] == "{":
            inline.append((after, depth))
        depth += (token == "{") - (token == "}")
        if token == "}" and inline and inline[-1][1] == depth:
            inline.pop()
        if token == "use" and after != "<":
            end = at
            while end < len(tokens) and tokens[end][0] != ";":
                end += 1
            for path, found in _use_tree([*tokens[at + 1 : end], (";", line)], 0, ()):
                yield path, where, found
            at = end
        elif after == "::" and before not in ("::", ".", "in") and (token[0].isalpha() or token[0] == "_"):
            path = (token,)
            at += 1
            while (
                at + 1 < len(tokens) and tokens[at][0] == "::" and re.match(r"[A-Za-z_]", tokens[at + 1][0])
            ):
                path = (*path, tokens[at + 1][0])
                at += 2
            yield path, where, line
            continue
        at += 1


def _resolved(
    path: Module, here: Module, where: Module, children: set[str], known: set[Module]
) -> Module | None:
    """The module of the crate that a path in the module `here` names; `()` is the root."""
    at = [*here, *where]
    rest = list(path)
    if not rest:
        return None
    if rest[0] == "crate":
        at, rest = [], rest[1:]
    elif rest[0] in ("self", "super"):
        while rest and rest[0] in ("self", "super"):
            if rest.pop(0) == "super" and at:
                at.pop()
    elif where or rest[0] not in children:
        return None
    full = (*at, *rest)
    while full not in known:
        full = full[:-1]
    return full


def read(root: Path) -> Tree:
    """The crate whose sources are in `root`. Modules are named as their files: `tls/connection`, `lib`."""
    files: dict[Module, _File] = {}
    for source in sorted(root.rglob("*.rs")):
        parts = source.relative_to(root).with_suffix("").parts
        module = parts[:-1] if parts[-1] == "mod" or parts == ("lib",) else parts
        files[module] = _File(source.read_text(encoding="utf-8"))
    tests = {(*module, name) for module, file in files.items() for name in file.tests}
    tests |= {module for module, file in files.items() if file.is_test}
    for module in list(files):
        if any(module[: len(test)] == test for test in tests):
            del files[module]

    def named(module: Module) -> str:
        return "/".join(module) or "lib"

    known = {(), *files}
    arrows: dict[tuple[str, str], Arrow] = {}
    for module, file in files.items():
        for path, where, line in _paths(file):
            target = _resolved(path, module, where, file.children, known)
            if target is not None and target != module:
                pair = (named(module), named(target))
                arrows.setdefault(pair, Arrow(*pair, line=line))
    return Tree(tuple(sorted(map(named, files))), tuple(sorted(arrows.values())), "/")
