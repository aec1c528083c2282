"""``python -m campaign mutants``: tries mutants of what decides, and writes docs/mutants.md."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from campaign.mutants import copies, engine, files, page, python_source, reach, verdicts
from campaign.mutants.mutant import Mutant
from campaign.mutants.reach import Reach
from campaign.mutants.results import Results
from campaign.mutants.running import Job, Worker, run

SEED = 13


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m campaign mutants", description=__doc__)
    parser.add_argument("files", nargs="*", help="only files whose path contains one of these")
    parser.add_argument("--of", choices=("python", "rust"), help="only these (default: both)")
    parser.add_argument("--sample", type=int, help="at most so many of each file, drawn with --seed")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--key", action="append", default=[], help="only the mutant with this key")
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="stop after so long")
    parser.add_argument("--seconds", type=float, default=6.0, help="of tests for each mutant, as recorded")
    parser.add_argument("--survivors", action="store_true", help="those that survived, once more")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--record", nargs="*", metavar="TEST", help="record first what all or these tests reach"
    )
    parser.add_argument("--build", action="store_true", help="build the engine that holds the mutants first")
    parser.add_argument("--list", action="store_true", help="only list them, with what is known of each")
    parser.add_argument("--write", action="store_true", help="write docs/mutants.md from what is known")
    return parser.parse_args(argv)


def mutants(of: str) -> list[Mutant]:
    """All mutants of a language that compile, the most important files first."""
    if of == "rust":
        missing = engine.dropped()
        return [each for each in engine.mutants() if each.number not in missing]
    return [each for file in files.python() for each in python_source.mutants_of(copies.ROOT, file)]


def _chosen(options: argparse.Namespace, of: str, results: Results) -> list[Mutant]:
    found = [
        each for each in mutants(of) if not options.files or any(part in each.file for part in options.files)
    ]
    if options.sample is not None:
        found = _sampled(found, options.sample, options.seed)
    if options.key:
        return [each for each in found if each.key in options.key]
    if options.survivors:
        named = verdicts.load()
        return [
            each
            for each in found
            if _verdict(results, each) not in (None, "killed") and each.name not in named
        ]
    return [each for each in found if _verdict(results, each) in (None, "broken")]


def _verdict(results: Results, mutant: Mutant) -> str | None:
    row = results.of(mutant)
    return None if row is None else str(row["verdict"])


def _sampled(found: Iterable[Mutant], most: int, seed: int) -> list[Mutant]:
    """A sample of each file that stays the same while the file does: drawn anew, a larger one contains it."""
    by_file: dict[str, list[Mutant]] = {}
    for each in found:
        by_file.setdefault(each.file, []).append(each)
    sample: list[Mutant] = []
    for file, inside in by_file.items():
        drawn = sorted(inside, key=lambda each: each.key)
        random.Random(f"{seed} {file}").shuffle(drawn)
        sample += drawn[:most]
    return sample


def _tests(
    mutant: Mutant, of: str, known: Reach, seconds: float, imported: set[tuple[str, int]]
) -> list[str]:
    file, place = ("", mutant.number) if of == "rust" else (mutant.file, mutant.line)
    tests: Iterable[str] = known.by_place.get((file, place), [])
    if mutant.at_import or (not tests and (file, place) in imported):
        # Such a line ran before the first test began: take the tests of the file's functions.
        tests = {test for (test, reached) in known.by_test if reached == file}
    # What runs in a forked child alone is not recorded.
    tests = tests or [test for test in known.seconds if "fork" in test.lower()]
    about = Path(mutant.file).stem.strip("_")
    return known.chosen(file, place, about, tests, seconds)


def _try(options: argparse.Namespace, of: str, results: Results, until: float) -> None:
    library: Path | None = None
    if of == "rust":
        library = engine.library_path()
        if options.build or not library.exists():
            library = engine.build()
    if options.record is not None:
        reach.record(of, copies.copy(f"record-{of}", library), options.record or copies.default_tests())
    known = reach.load(of)
    if not known.seconds:
        raise SystemExit("nothing is recorded: use --record")
    chosen = _chosen(options, of, results)
    workers = [Worker(of, number, copies.default_tests(), library) for number in range(options.workers)]
    imported = reach.at_import(workers[0].folder) if of == "python" else set()
    jobs = []
    for mutant in chosen:
        tests = _tests(mutant, of, known, options.seconds, imported)
        seconds = sum(known.seconds[each] for each in tests)
        jobs.append(Job(mutant, tests, seconds, (mutant.file, mutant.line) in imported))
    print(f"{of}: {len(jobs)} mutants to try", flush=True)

    def done(job: Job, answer: dict[str, Any]) -> None:
        results.add(job.mutant, answer["verdict"], answer["test"], len(job.tests))
        if answer["verdict"] != "killed":
            print(
                f"{job.mutant.key} {answer['verdict']} ({len(job.tests)} tests) {job.mutant.name}", flush=True
            )

    run(workers, jobs, done, until)


def main(argv: list[str]) -> int:
    options = _arguments(argv)
    languages = [options.of] if options.of else ["python", "rust"]
    results = Results()
    if options.list:
        for of in languages:
            for each in mutants(of):
                print(each.key, _verdict(results, each) or "untried", each.line, each.name)
        return 0
    if options.write:
        page.write(results, mutants("python"), mutants("rust"))
        return 0
    until = time.monotonic() + 60 * options.minutes
    for of in languages:
        _try(options, of, results, until)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
