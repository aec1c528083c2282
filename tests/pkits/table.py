"""PKITS section by section, and each disagreement with its reason and with those that share it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.pkits.others import Other, load_others, section_of
from tests.pkits.runner import Outcome

EXPECTED = Path(__file__).with_name("expected.toml")

SECTIONS = {
    "4.1": "Signature verification",
    "4.2": "Validity periods",
    "4.3": "Name chaining",
    "4.4": "Basic certificate revocation",
    "4.5": "Self-issued certificates",
    "4.6": "Basic constraints",
    "4.7": "Key usage",
    "4.8": "Certificate policies",
    "4.9": "Require explicit policy",
    "4.10": "Policy mappings",
    "4.11": "Inhibit policy mapping",
    "4.12": "Inhibit any policy",
    "4.13": "Name constraints",
    "4.14": "Distribution points",
    "4.15": "Delta CRLs",
    "4.16": "Private certificate extensions",
}

INTRODUCTION = """\
The Public Key Interoperability Test Suite of NIST: paths and CRLs, and whether RFC 5280 accepts them.
`SSLContext.verify_chain` is asked about each, with VERIFY_CRL_CHECK_CHAIN, as a client's certificate. The
suite's policy inputs have no argument and are left out; so are CRLs that `load_crls` refuses with an error.
`openssl verify -crl_check_all` is asked the same; Go's `Verify` reads no CRLs and is asked where a case needs
none (`python -m tests.pkits.others`)."""

KINDS = {
    "refused": "refused",
    "accepted": "accepted",
    "accepted_without_the_inputs": "accepted without the policy inputs",
}
"""The tables of expected.toml, in the page's words."""


def load_expected() -> dict[str, dict[str, str]]:
    """Table of expected.toml -> case -> reason."""
    return tomllib.loads(EXPECTED.read_text())


def kind_of(outcome: Outcome) -> str:
    """The table of expected.toml to which the disagreement belongs; empty where the case agrees."""
    if outcome.agrees:
        return ""
    if not outcome.accepted:
        return "refused"
    return "accepted" if outcome.case.default_inputs else "accepted_without_the_inputs"


def problems(outcomes: Sequence[Outcome]) -> list[str]:
    """What is not as expected.toml says, in words."""
    expected = load_expected()
    found = []
    for outcome in outcomes:
        name, is_now = outcome.case.name, kind_of(outcome)
        listed = [kind for kind, reasons in expected.items() if name in reasons]
        if listed != [is_now] * bool(is_now):
            found.append(f"{name}: {is_now or 'agrees'}, the table says {listed or 'agrees'}")
    names = {outcome.case.name for outcome in outcomes}
    found += [f"{name} is no case" for reasons in expected.values() for name in reasons.keys() - names]
    return found


def _share(other: Other, kind: str, name: str) -> str:
    if not other.asked(section_of(name)):
        return "not asked"
    same = other.refused if kind == "refused" else other.accepted
    return "the same" if name in same else "as PKITS"


def _counts(outcomes: Sequence[Outcome], others: Mapping[str, Other]) -> list[str]:
    versions = " | ".join(other.version for other in others.values())
    lines = [
        f"| section | cases | agree | refused, but valid | accepted, but invalid | {versions} |",
        "| --- " * (5 + len(others)) + "|",
    ]
    groups = {
        f"{number} {title}": [each for each in outcomes if section_of(each.case.name) == number]
        for number, title in SECTIONS.items()
    }
    for title, group in {**groups, "all": outcomes}.items():
        agree = sum(each.agrees for each in group)
        refused = sum(kind_of(each) == "refused" for each in group)
        agreeing = [_agreeing(other, group) for other in others.values()]
        cells = [title, len(group), agree, refused, len(group) - agree - refused, *agreeing]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _agreeing(other: Other, group: Sequence[Outcome]) -> str:
    """How many of a group agree with another implementation's outcome, of those that it was asked about."""
    asked = [each.case.name for each in group if other.asked(section_of(each.case.name))]
    if not asked:
        return "not asked"
    agree = sum(name not in other.refused | other.accepted for name in asked)
    return f"{agree}" if len(asked) == len(group) else f"{agree} of {len(asked)}"


def _disagreements(others: Mapping[str, Other]) -> list[str]:
    names = " | ".join(other.version for other in others.values())
    lines = [f"| case | here | {names} | reason |", "| --- " * (3 + len(others)) + "|"]
    for kind, reasons in load_expected().items():
        for case, why in reasons.items():
            shared = " | ".join(_share(other, kind, case) for other in others.values())
            lines.append(f"| {case} | {KINDS[kind]} | {shared} | {why} |")
    return lines


def section(outcomes: Sequence[Outcome]) -> str:
    """The section of docs/conformance.md."""
    others = load_others()
    wrongly = [each for each in outcomes if kind_of(each).startswith("accepted")]
    with_default_inputs = sum(each.case.default_inputs for each in wrongly)
    default = sum(each.case.default_inputs for each in outcomes)
    accepted = {name: len(other.accepted) for name, other in others.items()}
    return "\n".join(
        [
            INTRODUCTION,
            "",
            *_counts(outcomes, others),
            "",
            f"Accepted against the suite: {len(wrongly)} by veritls, {accepted['openssl']} by OpenSSL,"
            f" {accepted['go']} by Go.",
            f"{len(wrongly) - with_default_inputs} of veritls's set policy inputs that it does not offer;"
            f" {with_default_inputs} are among the",
            f"{default} cases with default inputs. [Record 0050](decisions/0050-pkits.md) has what each",
            "group is about and would take.",
            "",
            "### Each disagreement",
            "",
            *_disagreements(others),
        ]
    )
