"""The Rust that engine/Cargo.toml says is enough: what is newer in its sources, and clippy does not tell."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ENGINE = Path(__file__).parent.parent / "engine"
OLDEST = tomllib.loads((ENGINE / "Cargo.toml").read_text("utf-8"))["package"]["rust-version"]
LET_CHAIN = re.compile(r"&&\s*let\b|\bif let\b[^{};]*&&[^{};]*\{")
"""Stable since 1.88. clippy knows how old each function of the library is, and not this."""


def let_chains(source: str) -> list[str]:
    return LET_CHAIN.findall(re.sub(r"//[^\n]*", "", source))


def test_no_let_is_chained_before_the_rust_that_takes_it() -> None:
    assert tuple(map(int, OLDEST.split("."))) < (1, 88), "let may be chained now: this test can go"
    assert let_chains("if let Some(a) = b\n    && c\n{") and let_chains("if a && let Some(b) = c {")
    chained = {
        str(file.relative_to(ENGINE)): found
        for file in sorted((ENGINE / "src").rglob("*.rs"))
        if (found := let_chains(file.read_text("utf-8")))
    }
    assert chained == {}
