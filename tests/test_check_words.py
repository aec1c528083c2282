"""What the commands print is in their own words: options, never the names that a program uses."""

from __future__ import annotations

import ast
import re
import ssl
from pathlib import Path

import pytest

import veritls
from tests.reports.broken import leaf, middle, root
from tests.reports.chains import CASES
from veritls._report.checks import STEPS
from veritls._report.tree import tree
from veritls.cli.alerts import problem
from veritls.cli.words import OPTIONS, as_dict, in_options

SOURCES = Path(veritls.__file__).parent
NAMES = {
    name
    for each in (veritls, ssl, veritls.SSLContext, veritls.SSLSocket)
    for name in dir(each)
    if "_" in name.strip("_") and not name.startswith("_")
}
"""The names of the library that no sentence of a person's has by chance."""

OF_PROGRAMS_ONLY = {
    # Errors of servers, of callbacks and of log files: no command has them.
    "no shared cipher: no certificate is loaded on this server (load_cert_chain)",
    "callback failed: sni_callback refused the client",
    "keylog_filename",
    "sni_callback",
}


def texts() -> list[str]:
    """Every text that the modules of reports and explanations consist of, but their documentation."""
    found = []
    for path in [*(SOURCES / "_explaining").rglob("*.py"), *(SOURCES / "_report").rglob("*.py")]:
        module = ast.parse(path.read_text())
        docs = {id(each.value) for each in ast.walk(module) if isinstance(each, ast.Expr)}
        found += [
            each.value
            for each in ast.walk(module)
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in docs
        ]
    return found


def names_in(text: str) -> set[str]:
    return {*re.findall(r"\w+", text)} & NAMES | {*re.findall(r"__\w+__", text)}


def test_no_text_of_a_report_keeps_the_name_of_something_in_a_program() -> None:
    named = [each for each in texts() if names_in(each) and each not in OF_PROGRAMS_ONLY]
    assert len(named) > 20
    switches = {step.switch: f"not enabled ({step.switch})" for step in STEPS}
    shown = {each: in_options(switches.get(each, each)) for each in named}
    assert {each: text for each, text in shown.items() if names_in(text)} == {}


def test_every_entry_of_the_table_is_of_a_text_that_there_is() -> None:
    every = "\n".join([*texts(), *(step.switch for step in STEPS)])
    parenthesized = {f"({step.switch})" for step in STEPS}
    unused = {each for each in OPTIONS if each not in every and each not in parenthesized}
    assert unused == set()


@pytest.mark.parametrize("name", CASES)
def test_no_report_of_a_broken_chain_has_such_a_name_in_the_words_of_the_command(name: str) -> None:
    try:
        report = CASES[name]().verify()
    except ssl.SSLCertVerificationError as refused:
        report = refused.report  # type: ignore[attr-defined]
    shown = as_dict(report)
    lines = [shown["sentence"], *shown["remedies"], *(each["evidence"] for each in shown["checks"])]
    assert not any(names_in(each) for each in lines), lines


def trusted() -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root().pem.decode())
    return context


def test_the_tree_says_nothing_of_checks_that_nobody_asked_for() -> None:
    report = trusted().verify_chain([leaf().der, middle().der], server_hostname="db.internal")
    checks = next(each for each in tree(as_dict(report)).below if each.text == "checks")
    assert {each.verdict for each in checks.below} == {"passed"}
    assert not any(word in str(checks) for word in ("OCSP", "callback", "revocation", "pinned", "allowed"))


def test_the_tree_has_one_line_for_the_checks_that_another_prevented() -> None:
    with pytest.raises(veritls.SSLCertVerificationError) as caught:
        trusted().verify_chain([leaf().der], server_hostname="db.internal")
    checks = next(each for each in tree(caught.value.report.as_dict()).below if each.text == "checks")
    assert [each.verdict for each in checks.below] == ["failed", "not checked"]
    assert checks.below[1].text.endswith(" and host name: another check failed")


def test_an_alert_has_the_name_that_the_standard_gives_it() -> None:
    refused = ssl.SSLError(1, "[SSL: TLSV1_UNRECOGNIZED_NAME] tlsv1 unrecognized name")
    refused.reason, refused.library = "TLSV1_UNRECOGNIZED_NAME", "SSL"
    assert problem(refused) == "the server ended the handshake (alert unrecognized name)"


def test_an_error_without_a_connection_names_no_reason_of_programs() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    for name in ("", ".x", "x" * 400, "a..b", "a b"):
        with pytest.raises((ValueError, ssl.SSLError)) as caught:
            context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname=name)
        assert not names_in(problem(caught.value)) and "[" not in problem(caught.value)
    refused = ssl.SSLError(1, "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure")
    refused.reason, refused.library = "SSLV3_ALERT_HANDSHAKE_FAILURE", "SSL"
    assert problem(refused) == "the server ended the handshake (alert handshake failure)"
