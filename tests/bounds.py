"""python -m tests.bounds: what costly chains take of a processor, in ordinary verifications."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import veritls
from tests.shapes import SHAPES, Shape, ordinary
from veritls import _engine

ORDINARY_RUNS, RUNS = 40, 5


def refusal(shape: Shape, context: veritls.SSLContext) -> veritls.SSLCertVerificationError | None:
    """The refusal of a shape; None where it is trusted."""
    try:
        context.verify_chain(shape.chain, server_hostname=shape.name, ocsp_response=shape.ocsp)
    except veritls.SSLCertVerificationError as refused:
        return refused
    return None


def _shown(report: veritls.VerificationReport) -> tuple[str, Any]:
    return str(report), report.as_json()


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    before = time.thread_time()
    outcome = work()
    return time.thread_time() - before, outcome


class Measured:
    """Seconds of a processor for the verification with its error, and for the whole rendering; and units."""

    def __init__(self, make: Callable[[], Shape], runs: int) -> None:
        verifying, shown, units = [], [], []
        for _ in range(runs):
            shape = make()
            context = shape.context()
            refusal(ordinary(), context)  # the context is frozen
            _engine.work_spent()
            seconds, refused = _timed(partial(refusal, shape, context))
            units.append(_engine.work_spent())
            verifying.append(seconds)
            self.kind = "trusted" if refused is None else str(refused.report.kind)
            if refused is not None:
                report = refused.report
                shown.append(_timed(partial(_shown, report))[0])
        self.verification = statistics.median(verifying)
        self.shown = statistics.median(shown) if shown else 0.0
        self.units = max(units)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bounds", description=__doc__)
    parser.add_argument("--only", default="", help="shapes whose names hold this")
    only = parser.parse_args().only
    unit = Measured(ordinary, ORDINARY_RUNS)
    print(f"an ordinary verification: {unit.verification * 1e6:.0f} us, {unit.units} units\n")
    print("| what the peer sends | outcome | units | verification and error | with the whole report |")
    print("| --- | --- | --- | --- | --- |")
    for name, make in SHAPES.items():
        if only in name:
            found = Measured(make, RUNS)
            verified = found.verification / unit.verification
            whole = (found.verification + found.shown) / unit.verification
            print(f"| {name} | {found.kind} | {found.units:,} | {verified:.1f} | {whole:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
