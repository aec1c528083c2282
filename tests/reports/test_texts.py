"""Each text that a refused certificate or a failure of the engine shows to users, once, by all its words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reports import texts
from tests.reports.chains import CASES
from tests.support.messages import messages
from veritls import _explaining
from veritls._report.checks import STEPS

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

CODE = Path(str(_explaining.__file__)).parent
MODULES = [
    *sorted((CODE / "explanations").glob("*.py")),
    *(CODE / f"{name}.py" for name in ("explanation", "evidence", "engine_words", "failures")),
]


@pytest.mark.parametrize(
    ("section", "key"), [(section, key) for section, (keys, _) in texts.MADE.items() for key in keys]
)
def test_the_text_is_the_expected_one_for(section: str, key: str) -> None:
    expected = texts.EXPECTED[section].get(key)
    assert expected is not None, "this has no text in texts.toml"
    assert texts.MADE[section][1](key) == expected


def test_no_text_is_expected_of_what_is_gone() -> None:
    assert {name: list(keys) for name, keys in texts.EXPECTED.items()} == {
        name: keys for name, (keys, _) in texts.MADE.items()
    }


def expected() -> Iterator[str]:
    for section in texts.EXPECTED.values():
        for text in section.values():
            yield from [text] if isinstance(text, str) else text
    yield from (make().explanation for make in CASES.values())


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_message_of_a_module_is_in_a_text_that_is_tested(module: Path) -> None:
    known = [*expected(), *(step.name for step in STEPS)]
    untested = [
        f"line {line}: {pattern}"
        for pattern, line in messages(module).items()
        if not any(re.search(pattern, text) for text in known)
    ]
    assert untested == []
