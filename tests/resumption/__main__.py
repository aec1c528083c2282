"""Writes docs/resumption.md."""

from pathlib import Path

from tests.resumption.attacks import as_markdown

Path("docs/resumption.md").write_text(as_markdown())
