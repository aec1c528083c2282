"""The suites: each runs, or reads what was run, and gives its row of the page and its section."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.bettertls.corpus import Corpus, default_file as bettertls_file
from tests.bogo import table as bogo_table
from tests.limbo import table as limbo_table
from tests.limbo.corpus import default_file as limbo_file, load as load_limbo
from tests.pkits import table as pkits_table
from tests.pkits.corpus import default_folder as pkits_folder, load as load_pkits
from tests.pkits.runner import run as run_pkits


@dataclass(frozen=True)
class Part:
    """A suite's part of the page. `problems`: outcomes that the suite's expected file does not explain."""

    cases: str
    agree: str
    section: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """`title`: the heading of its section. `about`: what it asks. `run`: makes its part of the page."""

    title: str
    about: str
    run: Callable[[], Part]


def limbo() -> Part:
    """Runs x509-limbo. `python -m tests.limbo --write` makes its own page."""
    results = limbo_table.run_all(load_limbo(limbo_file()))
    disagree = [both for both in results if not both.strict.agrees]
    accepted = [both for both in disagree if both.strict.accepted]
    agree = len(results) - len(disagree)
    section = [
        "Certificate chains with the result that a validator should reach, by C2SP, asked of",
        f"`SSLContext.verify_chain` with VERIFY_X509_STRICT: {agree} of {len(results)} agree.",
        f"Against the corpus {len(disagree) - len(accepted)} are refused and {len(accepted)} accepted.",
        "[limbo.md](limbo.md) has the groups, the outcomes without the flag, and each reason.",
        "A newer state of the corpus (upstream at 8a2e6f4, 2026-06-29, made by its own program, without",
        "what it takes from the web and from BetterTLS) was run once by hand: 165 of 194 agree, and every",
        "other has one of the same reasons.",
    ]
    return Part(
        cases=f"{len(results)}",
        agree=f"{agree} with VERIFY_X509_STRICT",
        section="\n".join(section),
        problems=tuple(limbo_table.problems(results)),
    )


def bettertls_section(cases: Counter[str], disagree: Counter[str]) -> str:
    """The section about BetterTLS: cases, and those that disagree, by suite."""
    lines = [
        "Name constraints and path building by Netflix, generated: chains and names, asked of",
        "`SSLContext.verify_chain` with a `server_hostname` and default flags.",
        "",
        "| suite | cases | agree |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {suite} | {cases[suite]:,} | {cases[suite] - disagree[suite]:,} |" for suite in sorted(cases)
    ]
    return "\n".join(lines)


def bettertls() -> Part:
    """Runs all of BetterTLS: some seconds."""
    corpus = Corpus(bettertls_file())
    cases, disagree = Counter[str](), Counter[str]()
    problems = []
    for case in corpus.cases:
        suite = case.id.split("/")[0]
        cases[suite] += 1
        why = corpus.refusal(case)
        if (not why) != case.succeeds:
            disagree[suite] += 1
            problems.append(f"{case.id}: {why or 'accepted'}")
    total = cases.total()
    return Part(
        cases=f"{total:,}",
        agree=f"{total - disagree.total():,}",
        section=bettertls_section(cases, disagree),
        problems=tuple(problems),
    )


def pkits() -> Part:
    """Runs PKITS; what OpenSSL and Go say of it is read from tests/pkits/others.toml."""
    outcomes = [run_pkits(case) for case in load_pkits(pkits_folder())]
    agree = sum(outcome.agrees for outcome in outcomes)
    return Part(
        cases=f"{len(outcomes)}",
        agree=f"{agree}",
        section=pkits_table.section(outcomes),
        problems=tuple(pkits_table.problems(outcomes)),
    )


def bogo() -> Part:
    """Reads BoGo's page and its expected.toml. `python -m tests.bogo` runs it: minutes."""
    page = bogo_table.DOCUMENT.read_text()
    rows = [
        (title, *map(int, numbers))
        for title, *numbers in re.findall(r"^\| (.*) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.M)
        if title in bogo_table.TITLES.values()
    ]
    kinds = Counter(group.kind for group in bogo_table.load_expected())
    titles = {
        "not_offered": "Not offered, or safer",
        **{kind: of[0] for kind, of in bogo_table.SECTIONS.items()},
    }
    _, passed, failed, unimplemented = rows[0]
    section = [
        "The state-machine tests of BoringSSL, over each interface. They are not run for this page: the",
        "figures are those of [conformance-bogo.md](conformance-bogo.md), which has the meaning of the",
        "words, and each reason.",
        "",
        "| interface | passed | failed, with a reason | unimplemented |",
        "| --- | --- | --- | --- |",
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
        "",
        "| reasons to fail ([expected.toml](../tests/bogo/expected.toml)) | how many |",
        "| --- | --- |",
        *(f"| {titles[kind]} | {count} |" for kind, count in kinds.items()),
    ]
    return Part(
        cases=f"{passed + failed + unimplemented:,}",
        agree=f"{passed:,} passed, {failed:,} failed with a reason, {unimplemented:,} unimplemented",
        section="\n".join(section),
    )


SUITES = {
    "limbo": Suite("x509-limbo", "chains of certificates, RFC 5280 and the web's rules", limbo),
    "bettertls": Suite("BetterTLS", "name constraints and path building", bettertls),
    "pkits": Suite("NIST PKITS", "path validation and CRLs, all of RFC 5280", pkits),
    "bogo": Suite("BoGo", "the TLS state machine, on `wrap_socket`", bogo),
}


def run(name: str) -> Part:
    """One suite's part. Warnings of cryptography about odd certificates are the suites' point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SUITES[name].run()
