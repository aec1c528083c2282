"""A report as a tree of lines: as nodes, and as plain text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from veritls._report.checks import NOT_ENABLED, NOT_REACHED, RUNS_LATER, UNKNOWN
from veritls._report.rendering import listing, span

_MOST_NAMES = 12


@dataclass(frozen=True)
class Node:
    """A line and the lines below it. `verdict`: that of a check ("passed" ...), else empty."""

    text: str
    below: tuple[Node, ...] = field(default=())
    verdict: str = ""


def _certificate(shown: dict[str, Any], at: str) -> Node:
    source = "sent by the peer" if shown["source"] == "peer" else "in the trust set"
    if shown["problem"]:
        return Node(f"{shown['role']}, {source}: cannot be parsed", (Node(shown["problem"]),))
    end = shown["not_after"]
    names = shown["names"][:_MOST_NAMES]
    more = len(shown["names"]) - len(names) + shown["names_left_out"]
    lines = [
        f"for {', '.join(names)}{f' and {more:,} more' if more > 0 else ''}" if names else "",
        f"issued by {shown['issuer']}",
        f"valid from {_day(shown['not_before'])} to {_day(end)} ({_left(end, at)})",
        f"serial {shown['serial']}",
        f"SHA-256 {shown['sha256']}",
    ]
    title = f"{shown['role']}, {source}: {shown['subject'] or '(no subject)'}"
    return Node(title, tuple(Node(line) for line in lines if line))


def _day(text: str | None) -> str:
    return f"{text[:10]} {text[11:16]} UTC" if text is not None else "?"


def _left(end: str | None, at: str) -> str:
    if end is None:
        return "unknown"
    left = datetime.fromisoformat(end) - datetime.fromisoformat(at)
    return f"{span(left)} left" if left >= timedelta(0) else f"ended {span(-left)} before"


def _checks(report: dict[str, Any]) -> list[Node]:
    """A line for each check that was made, and one for those that another's failure prevented.

    Nothing of those that nobody asked for. What failed is in the sentence, which stands above.
    """
    made, names = [], dict[str, list[str]]()
    for each in report["checks"]:
        name, verdict, evidence = each["name"], each["verdict"], each["evidence"]
        if verdict != "not checked":
            shown = evidence if evidence != report["sentence"] else ""
            made.append(Node(": ".join(filter(None, (name, shown))), (), verdict))
        elif not evidence.startswith((NOT_ENABLED, RUNS_LATER)):
            why = "another check failed" if evidence in (UNKNOWN, NOT_REACHED) else evidence
            names.setdefault(why, []).append(name)
    return [
        *made,
        *(Node(f"{listing(each, len(each))}: {why}", (), "not checked") for why, each in names.items()),
    ]


def tree(report: dict[str, Any]) -> Node:
    """The tree of a report, given as by `VerificationReport.as_dict`."""
    request = report["question"]
    name = f" for {request['server_hostname']}" if request["server_hostname"] else ""
    asked = f"request: a {request['purpose']}'s chain{name}, at {_day(request['at'])}"
    certificates = [_certificate(each, request["at"]) for each in report["certificates"]]
    if report["certificates_left_out"]:
        certificates.append(Node(f"and {report['certificates_left_out']:,} more that were sent"))
    below = [
        Node(asked),
        Node("certificates", tuple(certificates)),
        Node("checks", tuple(_checks(report))),
    ]
    if report["remedies"]:
        below.append(Node("what to do", tuple(map(Node, report["remedies"]))))
    result = "trusted" if report["trusted"] else "not trusted"
    return Node(f"{result}: {report['sentence']}", tuple(below))


def _lines(node: Node, indent: str) -> Iterator[str]:
    for number, each in enumerate(node.below):
        last = number + 1 == len(node.below)
        verdict = f"{each.verdict:<12}" if each.verdict else ""
        yield f"{indent}{'└─' if last else '├─'} {verdict}{each.text}"
        yield from _lines(each, indent + ("   " if last else "│  "))


def drawn(report: dict[str, Any]) -> str:
    """The tree as text."""
    root = tree(report)
    return "\n".join([root.text, *_lines(root, "")])
