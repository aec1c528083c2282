"""Faults of the system around a connection, each in a process of its own.

Options: `--set only=NAME,NAME` takes these alone, `--set pythons=PATH:PATH` are further interpreters, with
`cryptography`, whose shutdown is tried.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from campaign.faults import clocks, running
from campaign.faults.running import Seen
from campaign.part import Finding, Part, Result, Scale, Table


@dataclass(frozen=True)
class Fault:
    """`what` is done, and what has to hold; `runs` gives the outcomes, each with what it ran on."""

    module: str
    what: str
    runs: Callable[[str, float, Scale], Sequence[tuple[str, Seen]]]


def _once(module: str, seconds: float, _: Scale) -> Sequence[tuple[str, Seen]]:
    return [("", running.run(module, seconds))]


def _with_the_clock(module: str, seconds: float, _: Scale) -> Sequence[tuple[str, Seen]]:
    environment = clocks.environment()
    if environment is None:
        return [("", Seen(skipped="libfaketime is not installed"))]
    return [("", running.run(module, seconds, environment=environment))]


def _on_each_interpreter(module: str, seconds: float, scale: Scale) -> Sequence[tuple[str, Seen]]:
    given = [each for each in scale.options.get("pythons", "").split(":") if each]
    programs = [sys.executable, *given]
    share = seconds / len(programs)
    return [(each, running.run(module, share, arguments=[each])) for each in programs]


FAULTS = (
    Fault("descriptors", "no descriptor is left: accept, connect, load, send a file", _once),
    Fault("memory", "memory ends: send, receive, load", _once),
    Fault("signalled", "1,000 signals a second, with handlers that raise", _once),
    Fault("stopped", "SIGSTOP and SIGCONT, of the peer and of ourselves", _once),
    Fault("forked", "forks amid everything: no random number, key or ticket twice", _once),
    Fault("numbers", "closing under use, while the numbers become other files'", _once),
    Fault("clocks", "the clock jumps by years: certificates, sessions, CRLs, timeouts", _with_the_clock),
    Fault("lossy", "a link with delay, loss and reordering", _once),
    Fault("ending", "the interpreter ends while threads and loops are at work", _on_each_interpreter),
    Fault("changing", "200 threads on a context that changes", _once),
)


def _numbers(seen: Seen) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(seen.counts.items())) or "-"


def run(scale: Scale) -> Result:
    only = scale.options.get("only", ",".join(each.module for each in FAULTS)).split(",")
    chosen = [each for each in FAULTS if each.module in only]
    seconds = 0.5 if scale.quick else scale.seconds / max(1, len(chosen))
    result, rows = Result(), []
    for fault in chosen:
        for where, seen in fault.runs(fault.module, seconds, scale):
            name = f"{fault.module} {where}".strip()
            outcome = f"left out: {seen.skipped}" if seen.skipped else "as promised"
            if seen.skipped and os.environ.get("CI") and fault.module != "lossy":
                seen.wrong.append(f"left out: {seen.skipped}")
            if seen.wrong:
                outcome = f"{len(seen.wrong)} things were not"
                result.failures += [f"{name}: {each}" for each in seen.wrong]
            rows.append((name, fault.what, _numbers(seen), outcome))
    result.tables.append(Table("Each fault", ("fault", "what is done", "seen", "outcome"), rows))
    return result


PART = Part(
    "faults",
    "Faults",
    "Nothing is lost, half-open or accepted wrongly. No crash, a clear error, and then all works again.",
    run,
    (
        Finding(
            "A `recv` that found no memory for its bytes lost what it had decrypted, or the connection.",
            "Mended: the next read gives it, tests/test_no_memory.py.",
        ),
        Finding(
            "`sendfile` without a descriptor left raised an OSError without its number.",
            "Mended: EMFILE, tests/test_closing.py.",
        ),
    ),
)
