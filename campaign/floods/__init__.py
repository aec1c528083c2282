"""Floods: peers that send what no honest one would, for as long as they can; beside `ssl` in the same run.

Options: `--set only=TEXT` takes the floods whose name holds it, `--set transports=loop,uvloop` these alone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from campaign.floods.attacker import Files
from campaign.floods.kinds import FLOODS, KIB, Flood
from campaign.floods.measuring import Seen, Victim, certificates, latencies, meanwhile, measure, victim
from campaign.floods.slow import Slow, dribble
from campaign.part import Finding, Part, Result, Scale, Table

MODULES = ("veritls", "ssl")
TRANSPORTS = ("blocking", "loop", "uvloop")
IN_THE_KERNEL = 400 * KIB
"""What was sent and nobody has read yet, and what one read takes."""
HELD = 8 * KIB * KIB
"""More than any one connection may hold, and Python's own memory meanwhile."""

SLOW_HELD = 100 * KIB
"""A thread's stack, or Python's objects of a loop's connection, and a record."""
CALM = "nothing else"

Key = tuple[Flood, str, str]
"""Flood, module, transport."""


@dataclass
class _Run:
    costs: dict[Key, Seen] = field(default_factory=dict)
    times: dict[tuple[str, str, str], float] = field(default_factory=dict)
    slow: dict[tuple[str, str], Slow] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def wrong(flood: Flood, seen: Seen) -> str | None:
    """What is not as promised of veritls."""
    if flood.error is None:
        return f"{flood.label}: data was refused ({seen.error})" if seen.ended else None
    if not seen.ended:
        return f"{flood.label}: it went on after {seen.sent} bytes"
    if flood.error not in seen.error:
        return f"{flood.label}: it ended with {seen.error}"
    if seen.sent > flood.most + IN_THE_KERNEL:
        return f"{flood.label}: it ended after {seen.sent} bytes only"
    if seen.held > HELD:
        return f"{flood.label}: {seen.held} bytes were held"
    return None


def _lasts(flood: Flood) -> bool:
    """Whether a server's other clients could feel it: it is not over after the first few records."""
    return flood.against == "server" and (flood.error is None or flood.most >= 128 * KIB)


def _words(error: str) -> str:
    """The end of a connection, short."""
    text = error.split("] ", 1)[-1].split(" (_ssl.c")[0].removeprefix("peer misbehaved: ")
    return text if len(text) < 70 else text[:67] + "..."


def _end(seen: list[Seen]) -> tuple[str, str]:
    """How it ended and after how much, the same on all transports."""
    first = max(seen, key=lambda each: len(each.error))
    if not first.ended:
        return "nothing", "-"
    most = max(each.sent for each in seen)
    return _words(first.error) or "closed", f"{most / KIB:,.0f} KiB"


def _costs(seen: dict[Key, Seen], floods: list[Flood], transports: list[str]) -> Table:
    rows = []
    for flood in floods:
        row = [flood.label]
        for module in MODULES:
            found = [seen[key] for each in transports if (key := (flood, module, each)) in seen]
            if not found:
                continue
            # A few thousand bytes say nothing of what one costs.
            rate = " / ".join(f"{each.per_byte:.0f}" if each.sent > 64 * KIB else "-" for each in found)
            held = max(each.held for each in found)
            row += [*_end(found), rate, f"{held / KIB:,.0f} KiB"]
        rows.append(row)
    head = ["flood"]
    for module in MODULES[: 2 if len(rows[0]) > 5 else 1]:
        head += [f"{module}: ended by", "after at most", f"ns a byte, {' / '.join(transports)}", "held"]
    return Table(
        "What a flood costs the victim's processor, what it makes it hold, and what ends it", head, rows
    )


def _others(times: dict[tuple[str, str, str], float], rows: list[str], transports: list[str]) -> Table:
    head = ["the server meanwhile", *(f"{module}, {each}" for each in transports for module in MODULES)]
    cells = [
        [row, *(f"{times[row, module, each]:.1f}" for each in transports for module in MODULES)]
        for row in rows
    ]
    return Table("An honest client's connection, handshake and echo, median, ms", head, cells)


def _slow(seen: dict[tuple[str, str], Slow]) -> Table:
    rows = [
        [
            f"{module}, {transport}",
            f"{each.held / KIB:.1f} KiB",
            f"{each.before:.1f}",
            f"{each.meanwhile:.1f}",
            f"{each.kept} of {each.count}",
        ]
        for (module, transport), each in seen.items()
    ]
    head = ["server", "held for each", "honest client before, ms", "meanwhile, ms", "kept"]
    return Table("Connections that dribble a hello", head, rows)


def _targets(files: Files, transports: list[str], modules: tuple[str, ...]) -> Iterator[Victim]:
    for transport in transports:
        for module in modules:
            with victim(files, module, transport) as target:
                yield target


def _measure_one(
    files: Files, target: Victim, scale: Scale, floods: list[Flood], seconds: float, run: _Run
) -> None:
    place = (target.module, target.transport)
    most = 1200 * KIB if scale.quick else 2048 * KIB
    for flood in floods:
        cheap = scale.quick and flood.error is None
        run.costs[(flood, *place)] = seen = measure(files, target, flood, 64 * KIB if cheap else most, 20)
        if target.module == "veritls" and (why := wrong(flood, seen)):
            run.failures.append(f"{target.transport}: {why}")
    if not scale.quick:
        run.times[(CALM, *place)] = 1000 * statistics.median(latencies(files, target, 1))
        for flood in floods:
            if _lasts(flood):
                run.times[(flood.label, *place)] = meanwhile(files, target, flood, seconds)
    run.slow[place] = dribble(files, target, 50 if scale.quick else 500, 0.5 if scale.quick else 2 + seconds)
    if target.module == "veritls" and run.slow[place].held > SLOW_HELD:
        run.failures.append(
            f"{target.transport}: a hello that is not whole holds {run.slow[place].held} bytes"
        )
    if target.module == "veritls" and not target.alive:
        run.failures.append(f"{target.transport}: the process ended")


def run(scale: Scale) -> Result:
    began = time.monotonic()
    wanted = scale.options.get("transports", "loop" if scale.quick else ",".join(TRANSPORTS))
    transports = wanted.split(",")
    modules = MODULES[:1] if scale.quick else MODULES
    floods = [each for each in FLOODS if scale.options.get("only", "") in each.label]
    against_servers = [each.label for each in floods if _lasts(each)]
    seconds = max(0.5, scale.seconds / (2 * len(transports) * len(modules) * max(1, len(against_servers))))
    seen = _Run()
    with certificates() as files:
        for target in _targets(files, transports, modules):
            _measure_one(files, target, scale, floods, seconds, seen)
    result = Result(failures=seen.failures)
    result.tables.append(_costs(seen.costs, floods, transports))
    if seen.times:
        result.tables.append(_others(seen.times, [CALM, *against_servers], transports))
    result.tables.append(_slow(seen.slow))
    result.notes.append(f"{len(seen.costs)} floods in {time.monotonic() - began:.0f} s.")
    return result


PART = Part(
    "floods",
    "Floods",
    "Whatever a peer sends, it holds little and costs little for each byte; what is not data ends with an "
    "error and an alert at the bound of decision 0021, and other clients are served meanwhile.",
    run,
    (
        Finding(
            "Key updates and empty records by turns had no end: a key update ends rustls's row of empty "
            "records, and an empty record its row of key updates.",
            "Mended: 1 MiB without a byte of data, tests/test_bounds.py.",
        ),
        Finding(
            "A client took tickets without end, as with `ssl`.",
            "Mended by the same bound, tests/test_bounds.py.",
        ),
        Finding(
            "A hello that was not whole held 269 KiB of a server on a loop, the batch that it was read into.",
            "Mended: about what has come of it, tests/test_held.py.",
        ),
        Finding(
            "BoGo's AlternateTooManyEmptyRecordsAndWarningAlerts ends in an unexpected success: a warning "
            "ends the row of empty records, in rustls and in OpenSSL.",
            "No fault: warnings are counted for the whole connection, and the fifth ends it, so that a peer "
            "sends 160 empty records at most. The rows with each 33rd a warning show it.",
        ),
    ),
)
