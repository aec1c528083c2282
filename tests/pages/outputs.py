"""Whether a program said what a page shows."""

from __future__ import annotations

import re

_TIME = r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?: [+-]\d{4})?)?)?"

VOLATILE = {
    r"\.\.\.": r"[\s\S]*?",
    r"(?<=127\.0\.0\.1:)\d+": r"\d+",
    _TIME: _TIME,
    r"\b[0-9A-F]{32,64}\b": r"[0-9A-F]{32,64}",
    r"\b[0-9a-f]{32,64}\b": r"[0-9a-f]{32,64}",
    r"\bsha256/[\w+/]{43}=": r"sha256/[\w+/]{43}=",
    r"(?<=Testing CA #)[\w-]+": r"[\w-]+",
    r"(?<=Testing cert #)[\w-]+": r"[\w-]+",
    r"(?<=trustme v)[\d.]+": r"[\d.]+",
    r"(?<=[\[(])\d{4,7}(?=[\])])": r"\d+",
    r"(?<=curl: \()\d+": r"\d+",  # by when it learns of a refusal: while it writes, or reads
    r"\d+(?= packets captured)": r"\d+",
    r"─{10,}": r"─+",
    r"(?<=pid: )\d+": r"\d+",
}
"""What a page shows -> what a program may say instead. Three dots are anything, over several lines too."""

_TOKEN = re.compile("|".join(f"({each})" for each in VOLATILE))


def pattern(shown: str) -> re.Pattern[str]:
    """What matches the output that a page shows."""
    made, end = "", 0
    replacements = list(VOLATILE.values())
    for token in _TOKEN.finditer(shown):
        assert token.lastindex is not None
        made += re.escape(shown[end : token.start()]) + replacements[token.lastindex - 1]
        end = token.end()
    return re.compile(made + re.escape(shown[end:]))


def plain(said: str) -> str:
    """Without spaces at the ends of lines, and empty lines at the end."""
    lines = "".join(f"{line.rstrip()}\n" for line in said.splitlines())
    return lines.rstrip("\n") + "\n" if lines.strip() else ""
