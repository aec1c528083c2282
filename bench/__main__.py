"""``python -m bench``: veritls beside its rivals and its limits, turn by turn in one run."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path

from bench import machine, report, results
from bench.certificates import Certificates
from bench.harness import Pairs, take_turns
from bench.measurements import ALL
from bench.measurements.plan import Measurement, Plan

_ROOT = Path(__file__).parent.parent
_RESULTS = _ROOT / "docs" / "bench" / "results.json"
_QUIET = 0.5
"""The load of a machine that has nothing else to do."""
_QUICK_NAMES = frozenset({"ssl", "veritls", "TCP", "rustls"})


def measure(measurement: Measurement, plan: Plan, pairs: Pairs, *, quiet: bool = False) -> results.Record:
    """Takes the figures of one measurement."""
    began = time.monotonic()
    rounds = min(plan.rounds, measurement.most_rounds or plan.rounds)
    cases = measurement.cases(plan)
    tell = (lambda _: None) if quiet else (lambda words: print(words, flush=True))
    take_turns(pairs, cases, rounds, plan.seconds * measurement.time, tell)
    return results.record(measurement, plan, cases, time.monotonic() - began)


def _arguments() -> argparse.Namespace:
    names = [measurement.name for measurement in ALL]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"these alone: {', '.join(names)}"
    )
    parser.add_argument("--contestants", metavar="NAMES", help="these alone, separated by semicolons")
    parser.add_argument("--seconds", type=float, help="length of one turn (default: 0.25)")
    parser.add_argument("--rounds", type=int, help="turns of each (default: 7)")
    parser.add_argument(
        "--quick", action="store_true", help="a glance: fewer cases and rivals, short turns, nothing kept"
    )
    parser.add_argument("--results", type=Path, help="the file to add to (default: docs/bench/results.json)")
    parser.add_argument("--draw", action="store_true", help="measure nothing: tables and pictures anew")
    options = parser.parse_args()
    options.seconds = options.seconds or (0.05 if options.quick else 0.25)
    options.rounds = options.rounds or (3 if options.quick else 7)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be more than 0")
    return options


def _contestants(options: argparse.Namespace) -> frozenset[str] | None:
    if options.contestants:
        return frozenset(name.strip() for name in options.contestants.split(";"))
    if options.quick:
        from bench.loops import LOOPS
        from bench.servers import SERVERS

        return _QUICK_NAMES | frozenset(LOOPS) | frozenset(SERVERS)
    return None


def main() -> None:
    options = _arguments()
    kept = options.results or (None if options.quick else _RESULTS)
    found = results.load(kept) if kept else {}
    if not options.draw:
        busy = float(machine.describe()["load"])
        if busy > _QUIET:
            print(f"The load is {busy}: the figures will say as much about the other work as about TLS.")
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(Pairs()) as pairs:
            plan = Plan(
                Certificates(Path(folder)),
                options.rounds,
                options.seconds,
                options.quick,
                _contestants(options),
            )
            for measurement in ALL:
                if options.only and measurement.name not in options.only:
                    continue
                print(f"{measurement.name}: {measurement.title}", flush=True)
                found[measurement.name] = measure(measurement, plan, pairs)
                print(report.text(found[measurement.name]), flush=True)
                if kept:
                    results.save(kept, found)
    if kept == _RESULTS and found:
        report.write(found, _ROOT)
    print(report.promises_text(found))


if __name__ == "__main__":
    main()
