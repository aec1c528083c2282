"""Every block of code of the documentation is run; see tests/pages."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.pages import postgresql
from tests.pages.blocks import ROOT, Block, blocks
from tests.pages.story import Story, told
from tests.pages.workloads import attested

TUTORIAL = "docs/tutorial.md"
HOW_TO = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs/howto").glob("*.md"))
SERVER = "docs/howto/http-server.md", "serve.py"
CLIENT = TUTORIAL, "client.py"
GIVEN = {
    "docs/howto/httpx.md": SERVER,
    "docs/howto/requests.md": SERVER,
    "docs/howto/pins.md": SERVER,
    "docs/howto/key-log-and-wireshark.md": SERVER,
    "docs/howto/crls-and-ocsp.md": CLIENT,
}
"""A page -> the program of another page that it tells its readers to use."""

ELSEWHERE = {
    ("README.md", "python sh text"): "tests/pages/test_user_pages.py",
    ("docs/index.md", "python"): "tests/pages/test_user_pages.py",
    ("docs/migrating.md", "python sh text"): "tests/pages/test_user_pages.py",
    ("docs/verification.md", "sh"): "tests/pages/test_user_pages.py",
    ("docs/verification.md", "python mermaid"): "tests/test_verification_page.py",
    ("docs/deploying.md", "console"): "tests/pages/test_user_pages.py",
    ("docs/deploying.md", "python ini yaml"): "tests/operate/test_deploying_page.py",
    ("docs/operating.md", "python sh text yaml"): "tests/pages/test_operating_page.py",
}
"""A page and languages of its blocks -> the test that runs them all, or fails for one that is new."""

FOR_DEVELOPERS = {
    *("CONTRIBUTING.md", "SECURITY.md"),
    *("docs/architecture.md", "docs/mutants.md", "docs/platforms.md"),
}
"""Commands that install, build or need the network, diagrams of the code, and what a command has written."""


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
    story = Story(folder, players={"sql": postgresql.serving}, replaced={"/run/spire": str(folder)})
    with attested(folder) if "/spiffe." in page else nullcontext(), told(given + blocks(page), story):
        pass


def test_every_block_of_every_page_is_run_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = [str(page.relative_to(ROOT)) for page in pages if page.parent.name != "decisions"]
    found = {(page, block.language) for page in named for block in blocks(page)}
    here = {TUTORIAL, *HOW_TO} | FOR_DEVELOPERS
    known = {(page, language) for page, languages in ELSEWHERE for language in languages.split()}
    assert {each for each in found if each[0] not in here} - known == set()
    for (page, _), test in ELSEWHERE.items():
        assert page in (ROOT / test).read_text("utf-8")


def test_the_blocks_that_are_not_run_are_these() -> None:
    left_out = [block.place for page in [TUTORIAL, *HOW_TO] for block in blocks(page) if block.not_run]
    assert left_out == []
