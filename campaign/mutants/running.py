"""Runs mutants: each worker has its own copy and one pytest that has collected and forks for each mutant."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from campaign.mutants import copies, engine
from campaign.mutants.mutant import Mutant


@dataclass(frozen=True)
class Job:
    """A mutant and the tests that it has to survive."""

    mutant: Mutant
    tests: list[str]
    seconds: float
    """What the tests took when they were recorded."""
    runs_at_import: bool = False
    """Its line runs when veritls is imported, too: a fork may be too late to become it."""

    @property
    def limit(self) -> float:
        """Seconds until it counts as killed: a loaded machine must not look like an endless loop."""
        return 20 + 8 * self.seconds


class Worker:
    """A copy, and the pytest that serves it."""

    def __init__(self, of: str, number: int, tests: list[str], engine: Path | None) -> None:
        self.of = of
        self.folder = copies.copy(f"worker-{of}-{number}", engine)
        self.tests = tests
        self.process: subprocess.Popen[bytes] | None = None
        self.jobs: IO[str]
        self.answers: IO[str]

    def _start(self) -> None:
        read_jobs, write_jobs = os.pipe()
        read_answers, write_answers = os.pipe()
        command, environment = copies.pytest_command(self.folder, *self.tests, seconds=20)
        environment["VERITLS_MUTANTS_JOBS"] = f"{read_jobs},{write_answers}"
        with (self.folder / "pytest.log").open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                pass_fds=(read_jobs, write_answers),
            )
        os.close(read_jobs)
        os.close(write_answers)
        self.jobs, self.answers = os.fdopen(write_jobs, "w"), os.fdopen(read_answers)
        if not self.answers.readline():
            raise RuntimeError(f"pytest did not collect: see {self.folder}/pytest.log")

    def run(self, job: Job) -> dict[str, Any]:
        """The verdict on a mutant: {"verdict": "killed" | "survived", "test": the one that noticed}."""
        if self.of == "rust":
            answer = self._forked(job)
            return answer if answer["verdict"] == "killed" else self._unit_tests(job)
        if not job.mutant.at_import:
            answer = self._forked(job)
            if answer["verdict"] == "broken":
                answer = self._forked(job)
            again = answer["verdict"] == "survived" and job.runs_at_import
            if answer["verdict"] not in ("import", "broken") and not again:
                return answer
        return self._fresh(job)

    def _forked(self, job: Job) -> dict[str, Any]:
        if self.process is None:
            self._start()
        mutant = job.mutant
        original = copies.ROOT / mutant.file if self.of == "rust" else self._original(mutant)
        wanted = {"of": self.of, "number": mutant.number, "file": mutant.file, "original": str(original)}
        try:
            print(
                json.dumps({**wanted, "tests": job.tests, "seconds": job.limit}), file=self.jobs, flush=True
            )
            answer: dict[str, Any] = json.loads(self.answers.readline())
            return answer
        finally:
            self._restore(mutant)

    def _original(self, mutant: Mutant) -> Path:
        kept = self.folder / "original" / mutant.file
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text((self.folder / mutant.file).read_text())
        return kept

    def _restore(self, mutant: Mutant) -> None:
        if self.of == "python":
            (self.folder / mutant.file).write_text(self._original(mutant).read_text())

    def _unit_tests(self, job: Job) -> dict[str, Any]:
        """The engine's own tests: there are few, and they are fast."""
        environment = {**os.environ, "VERITLS_MUTANT": str(job.mutant.number)}
        try:
            ended = subprocess.run(
                [engine.tests_path(), "-q"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=120,
            )
        except subprocess.TimeoutExpired:
            return {"verdict": "killed", "test": "timeout"}
        return {"verdict": "survived" if ended.returncode == 0 else "killed", "test": "cargo test"}

    def _fresh(self, job: Job) -> dict[str, Any]:
        """A whole pytest of its own, which imports the mutant."""
        import ast

        from campaign.mutants.python_source import mutated

        tree, _ = mutated(self._original(job.mutant).read_text(), job.mutant.number)
        (self.folder / job.mutant.file).write_text(ast.unparse(tree))
        command, environment = copies.pytest_command(
            self.folder, "-x", "-p", "no:terminal", *job.tests, seconds=20
        )
        try:
            ended = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=60 + job.limit,
            )
        except subprocess.TimeoutExpired:
            return {"verdict": "killed", "test": "timeout"}
        finally:
            self._restore(job.mutant)
        return {"verdict": "survived" if ended.returncode == 0 else "killed", "test": None}

    def close(self) -> None:
        """Ends the pytest."""
        if self.process is not None:
            self.jobs.close()
            self.answers.close()
            self.process.wait(60)


def run(
    workers: list[Worker], jobs: Iterable[Job], done: Callable[[Job, dict[str, Any]], None], until: float
) -> None:
    """Shares the jobs among the workers until none is left or `time.monotonic()` is past `until`."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for each in jobs:
        waiting.put(each)

    def work(worker: Worker) -> None:
        while time.monotonic() < until:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                break
            done(job, worker.run(job))
        worker.close()

    threads = [threading.Thread(target=work, args=(each,)) for each in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
