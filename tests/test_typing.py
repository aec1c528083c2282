"""The types that a user's program sees: clean under mypy --strict and pyright, and not `Any`."""

from __future__ import annotations

import re
import ssl
from importlib.resources import files as package_files

import pytest

import veritls
from tests.typing.checking import TOUCHING, WRONG, errors, findings
from veritls.errors import SSLCertVerificationError

CHECKERS = ("mypy", "pyright")


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_finds_in_a_users_program_what_is_wrong_and_nothing_else(checker: str) -> None:
    assert package_files("veritls").joinpath("py.typed").is_file()
    wrong = {number for number, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# wrong")}
    assert {each.line for each in errors(checker, "wrong.py")} == wrong


@pytest.mark.parametrize("program", TOUCHING)
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_finds_nothing_in_a_program_that_touches_every_public_name(
    checker: str, program: str
) -> None:
    """tests/typing/test_program.py: it does touch every one."""
    assert errors(checker, program) == []


@pytest.mark.parametrize("checker", CHECKERS)
def test_every_public_name_has_a_type(checker: str) -> None:
    said = [
        each
        for each in findings(checker)
        if each.file == "names.py" and ("evealed" in each.text or "ype of" in each.text)
    ]
    assert len({each.line for each in said}) == len(veritls.__all__)
    assert not errors(checker, "names.py")
    untyped = re.compile(r'(is|type) "(Any|Unknown)"$')
    assert not [each.text for each in said if untyped.search(each.text)]


def test_the_class_that_checkers_see_is_the_one_that_is_raised_and_caught() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    with pytest.raises(veritls.SSLCertVerificationError) as raised:
        context.verify_chain(b"junk")
    assert type(raised.value) is SSLCertVerificationError
    assert isinstance(raised.value.report, veritls.VerificationReport)
    assert veritls.SSLCertVerificationError is veritls.CertificateError is ssl.SSLCertVerificationError
