"""Each text of what is refused before a connection, once: settings, names, files, trust."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import veritls
from tests.settings import texts
from tests.support.messages import raised

CODE = Path(str(veritls.__file__)).parent
MODULES = [
    *sorted((CODE / "_context").glob("*.py")),
    *sorted((CODE / "_loading").glob("*.py")),
    CODE / "peers.py",
    *(CODE / "tickets" / name for name in ("__init__.py", "_file.py", "_secrets.py")),
]


@pytest.mark.parametrize("name", texts.CASES)
def test_the_text_is_the_expected_one_for(name: str) -> None:
    found = texts.text(name)
    assert texts.matches(texts.EXPECTED[name], found), found


def test_no_text_is_expected_of_what_is_gone() -> None:
    assert list(texts.EXPECTED) == list(texts.CASES)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_every_message_that_a_module_raises_is_in_a_text_that_is_tested(module: Path) -> None:
    # Warnings bear the same name in the code as what is raised.
    warned = ("is\\ deprecated", "are\\ deprecated", "have\\ no\\ effect", "is\\ deprecated\\.")
    known = [words for _, words in texts.EXPECTED.values()]
    untested = [
        f"line {line}: {pattern}"
        for pattern, line in raised(module).items()
        if not any(re.search(pattern, text) for text in known) and not any(each in pattern for each in warned)
    ]
    assert untested == []
