"""What the fuzz targets start from."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fuzz import seeds

FUZZ = Path(__file__).parents[2] / ".ci" / "fuzz"


def test_the_seeds_in_the_repository_are_what_the_script_makes() -> None:
    for path, content in seeds.files().items():
        assert path.read_bytes() == content, path


def test_every_target_is_run_and_has_seeds() -> None:
    targets = {path.stem for path in (seeds.SEEDS.parent / "fuzz_targets").glob("*.rs")}
    run = re.search(r"^targets=\((.*?)\)", FUZZ.read_text(), re.DOTALL | re.MULTILINE)
    assert run and set(run[1].split()) == targets
    for target in targets:
        assert any((seeds.SEEDS / target).iterdir())
