"""Every block of code of the documentation is run; see tests/pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.blocks import blocks
from tests.pages.story import Story, told

TUTORIAL = "docs/tutorial.md"


@pytest.mark.parametrize("page", [TUTORIAL])
def test_a_page_runs_from_top_to_bottom(page: str, tmp_path: Path) -> None:
    with told(blocks(page), Story(tmp_path)):
        pass
