"""Which rules a request's path falls under, however it may be read.

The path of an ASGI scope is decoded, and no two applications read the odd ones alike: whether ``//admin``,
``/x/../admin``, ``/admin;a=b``, ``/ADMIN`` or ``/%2561dmin`` is ``/admin`` depends on what serves it. So a
path is read in every way that is in use, and the rules of all readings have to be met. A plain path has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")

Segments = tuple[str, ...]

LONGEST = 8192
"""Characters of a path; a longer one is not read."""
LONGEST_ODD = 2048
"""Characters of a path that has several readings: each is work that a stranger asks for."""
_DECODED = 2
"""How often a path that is decoded is decoded again, as long as it has escapes."""

_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9_~.-]+)*/?")
"""Paths with one reading."""
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class BadPath(ValueError):
    """A path that no rule can be relied on for."""


def _within(path: str, root: str) -> str:
    """The path below the mount, as Starlette has it: as it is where it does not begin with `root`."""
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path


def _resolved(segments: list[str]) -> list[str]:
    """Without ``.`` and ``..`` (RFC 3986, section 5.2.4)."""
    found: list[str] = []
    for segment in segments:
        if segment == "..":
            del found[-1:]
        elif segment != ".":
            found.append(segment)
    return found


def _folded(segments: list[str]) -> Segments:
    return tuple(segment.casefold() for segment in segments if segment)


def _spellings(path: str) -> Iterator[str]:
    """`path`, and what is left where it is decoded again. Raises BadPath where there is no end to that."""
    for _ in range(_DECODED + 1):
        yield path
        if not _ESCAPE.search(path):
            return
        path = unquote(path)
    raise BadPath("it is encoded more than twice")


def _read(path: str, root: str) -> Iterator[Segments]:
    for spelled in _spellings(path):
        if _CONTROL.search(spelled):
            raise BadPath("it has control characters")
        for text in {spelled, spelled.replace("\\", "/")}:
            # The mount is left out before anything else, or afterwards.
            collapsed = "/" + "/".join(filter(None, text.split("/")))
            resolved = ("/".join(["", *_resolved(each.split("/")[1:])]) for each in (text, collapsed))
            for below in {_within(each, root) for each in (text, collapsed, *resolved)}:
                for kept in {below, re.sub(";[^/]*", "", below), re.split("[?#]", below)[0]}:
                    segments = kept.split("/")
                    yield _folded(segments)
                    yield _folded(_resolved(segments))
                    yield _folded(_resolved([segment for segment in segments if segment]))


def _undivided(raw: bytes, root: str) -> Iterator[Segments]:
    """A path with an encoded slash, for what divides it before it decodes."""
    if re.search(b"(?i)%(2f|5c)", raw):
        below = _within(raw.decode("latin-1"), root)
        yield _folded([unquote(segment) for segment in below.split("/")])


def readings(scope: Mapping[str, Any]) -> set[Segments]:
    """The ways to read the path of a scope, as segments without case. Raises BadPath."""
    path, raw, root = scope.get("path"), scope.get("raw_path"), scope.get("root_path") or ""
    if not isinstance(path, str) or not isinstance(root, str):
        raise BadPath("it is not text")
    root = root.rstrip("/")
    if not path.startswith("/") and path != "":
        raise BadPath("it does not begin with /")
    if len(path) > LONGEST:
        raise BadPath(f"it is longer than {LONGEST:,} characters")
    plain = _PLAIN.fullmatch(path)
    if not plain and len(path) > LONGEST_ODD:
        raise BadPath(f"it is longer than {LONGEST_ODD:,} characters, and not plain")
    below = _within(path, root)
    # The mount is left out of the path as it is, or of what is left where that is decoded again.
    found = {_folded(below.split("/"))} if plain else {*_read(below, ""), *_read(path, root)}
    if isinstance(raw, bytes) and len(raw) <= 3 * LONGEST:
        found.update(_undivided(raw, root))
    return found


def rule_path(path: object) -> Segments:
    """The segments of the path of a rule. Raises TypeError or ValueError for what no request has."""
    if not isinstance(path, str):
        raise TypeError(f"the path of a rule is a str, not {type(path).__name__}")
    if not path.startswith("/"):
        raise ValueError(f"the path of a rule begins with /, not so {path!r}")
    if re.search("[*{}<>]", path):
        raise ValueError(f"the path of a rule is for all below it, and no pattern: {path!r}")
    segments = path.removesuffix("/").split("/")[1:]
    odd = any(segment in ("", ".", "..") or segment != segment.strip() for segment in segments) or re.search(
        r"[;\\?#]", path
    )
    if odd or _ESCAPE.search(path) or _CONTROL.search(path):
        raise ValueError(
            "the path of a rule is decoded and plain, without empty segments, dots, spaces at an end, "
            f"; ? # and \\: {path!r}"
        )
    return _folded(segments)


class Rules(Generic[T]):
    """What each path is under: the longest rule whose segments begin it."""

    def __init__(self, rules: Mapping[str, T]) -> None:
        """Raises ValueError for two rules of one path."""
        self._rules: dict[Segments, T] = {}
        for path, rule in rules.items():
            segments = rule_path(path)
            if segments in self._rules:
                raise ValueError(
                    f"there are two rules for {path!r}: case and a slash at the end do not count"
                )
            self._rules[segments] = rule
        self._longest = max(map(len, self._rules), default=0)

    def of(self, segments: Segments) -> T | None:
        """None where no rule begins `segments`."""
        for length in range(min(len(segments), self._longest), -1, -1):
            rule = self._rules.get(segments[:length])
            if rule is not None:
                return rule
        return None
