"""Every block of code of the documentation is run; see tests/pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pages import postgresql
from tests.pages.blocks import ROOT, Block, blocks
from tests.pages.story import Story, told

TUTORIAL = "docs/tutorial.md"
HOW_TO = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs/howto").glob("*.md"))
SERVER = "docs/howto/http-server.md", "serve.py"
CLIENT = TUTORIAL, "client.py"
GIVEN = {
    "docs/howto/httpx.md": SERVER,
    "docs/howto/requests.md": SERVER,
    "docs/howto/pins.md": SERVER,
    "docs/howto/crls-and-ocsp.md": CLIENT,
}
"""A page -> the program of another page that it tells its readers to use."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with those that the tutorial makes."""
    [making] = [block for block in blocks(TUTORIAL) if block.file == "make_certificates.py"]
    folder = tmp_path_factory.mktemp("certificates")
    with told([making], Story(folder)) as story:
        story.run("python make_certificates.py")
    return folder


def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path) -> None:
    with told(blocks(TUTORIAL), Story(tmp_path)):
        pass


@pytest.mark.parametrize("page", HOW_TO)
def test_a_how_to_page_runs_with_the_certificates_of_the_tutorial(
    page: str, certificates: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(certificates, tmp_path / "here")
    (folder / "examples").symlink_to(ROOT / "examples")
    given: list[Block] = []
    if page in GIVEN:
        source, name = GIVEN[page]
        given = [next(block for block in blocks(source) if block.file == name)]
    with told(given + blocks(page), Story(folder, players={"sql": postgresql.serving})):
        pass
