"""A pytest plugin: records which test reaches what, or runs chosen tests against one mutant after the other.

Loaded with ``-p campaign.mutants.plugin``. It collects once. Each mutant then gets a fork of this process, so
that a turn costs its tests alone: no interpreter starts, nothing is collected.
"""

from __future__ import annotations

import ast
import ctypes
import gc
import json
import os
import resource
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import IO, Any

import pytest

MEMORY = 6 << 30
"""Bytes that a mutant may map."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if "VERITLS_MUTANTS_RECORD" in os.environ:
        _record(session, Path(os.environ["VERITLS_MUTANTS_RECORD"]))
        return True
    if "VERITLS_MUTANTS_JOBS" in os.environ:
        jobs, answers = (int(each) for each in os.environ.pop("VERITLS_MUTANTS_JOBS").split(","))
        _serve(session, os.fdopen(jobs), os.fdopen(answers, "w"))
        return True
    return None


class _Outcome:
    """The first failure of a run, and whether every test passed or was skipped."""

    def __init__(self) -> None:
        self.failed: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def _run(session: pytest.Session, items: list[pytest.Item], outcome: _Outcome) -> None:
    for index, item in enumerate(items):
        following = items[index + 1] if index + 1 < len(items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if outcome.failed is not None:
            return


# Recording


def _record(session: pytest.Session, target: Path) -> None:
    """Writes, a line for each test: its name, seconds, whether it passed, and what it reached."""
    reached: Any = _Reached() if os.environ["VERITLS_MUTANTS_OF"] == "rust" else _Lines()
    with target.open("w") as out:
        for index, item in enumerate(session.items):
            following = session.items[index + 1] if index + 1 < len(session.items) else None
            outcome = _Outcome()
            session.config.pluginmanager.register(outcome)
            begun = time.monotonic()
            reached.begin()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            reached_now = reached.end()
            session.config.pluginmanager.unregister(outcome)
            row = {
                "test": item.nodeid,
                "seconds": round(time.monotonic() - begun, 3),
                "passed": outcome.failed is None,
                "reached": reached_now,
            }
            out.write(json.dumps(row) + "\n")
            out.flush()


class _Lines:
    """The lines of src/veritls that run: file -> numbers."""

    def __init__(self) -> None:
        import coverage

        self.root = os.getcwd()
        self.coverage = coverage.Coverage(
            data_file=None, source=[f"{self.root}/src/veritls"], config_file=False
        )

    def begin(self) -> None:
        self.coverage.erase()
        self.coverage.start()

    def end(self) -> dict[str, list[int]]:
        self.coverage.stop()
        data = self.coverage.get_data()
        return {
            os.path.relpath(file, self.root): sorted(data.lines(file) or ()) for file in data.measured_files()
        }


def _engine() -> ctypes.CDLL:
    import veritls._engine

    return ctypes.CDLL(veritls._engine.__file__)


class _Reached:
    """The numbers of the engine's mutants whose place runs."""

    def __init__(self) -> None:
        self.engine = _engine()
        self.engine.veritls_mutants_take.restype = ctypes.c_size_t
        self.buffer = (ctypes.c_uint8 * self.engine.veritls_mutants_take(None))()

    def begin(self) -> None:
        self.engine.veritls_mutants_take(self.buffer)

    def end(self) -> list[int]:
        self.engine.veritls_mutants_take(self.buffer)
        return [number for number, flag in enumerate(bytes(self.buffer)) if flag]


# Serving


def _serve(session: pytest.Session, jobs: IO[str], answers: IO[str]) -> None:
    items = {item.nodeid: item for item in session.items}
    functions = _functions()
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": len(items)}), file=answers, flush=True)
    for line in jobs:
        job = json.loads(line)
        chosen = [items[each] for each in job["tests"] if each in items]
        print(json.dumps(_turn(session, job, chosen, functions)), file=answers, flush=True)


def _turn(
    session: pytest.Session, job: dict[str, Any], items: list[pytest.Item], functions: _Index
) -> dict[str, Any]:
    """Runs the tests against a mutant in a fork: {"verdict": …, "test": the one that noticed}."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        answer: dict[str, Any] = {"verdict": "broken"}
        try:
            if not _put_in(job, functions):
                answer = {"verdict": "import"}
            else:
                outcome = _Outcome()
                session.config.pluginmanager.register(outcome)
                _run(session, items, outcome)
                verdict = "survived" if outcome.failed is None else "killed"
                answer = {"verdict": verdict, "test": outcome.failed}
        except BaseException as why:
            answer = {"verdict": "broken", "test": repr(why)}
        finally:
            os.write(writing, json.dumps(answer).encode())
            os._exit(0)
    os.close(writing)
    try:
        return _answer(reading, job["seconds"])
    finally:
        os.close(reading)
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _answer(reading: int, seconds: float) -> dict[str, Any]:
    said = b""
    end = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return {"verdict": "killed", "test": "timeout"}
        data = os.read(reading, 65536)
        said += data
        if not data or said.endswith(b"}"):
            return json.loads(said) if said else {"verdict": "killed", "test": "crash"}


_Index = dict[tuple[str, str, int], list[FunctionType]]


def _functions() -> _Index:
    """Each live function of veritls by file, qualified name and first line."""
    root = f"{os.getcwd()}/src/veritls/"
    found: _Index = {}
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename.startswith(root):
            found.setdefault(_place(each.__code__), []).append(each)
    return found


def _place(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _put_in(job: dict[str, Any], functions: _Index) -> bool:
    """Makes this process the mutant, and the processes that it starts. False: only an import can do it."""
    if job["of"] == "rust":
        os.environ["VERITLS_MUTANT"] = str(job["number"])
        _engine().veritls_mutants_set(ctypes.c_uint32(job["number"]))
        return True
    from campaign.mutants.python_source import mutated

    path = Path(os.getcwd(), job["file"])
    tree, outermost = mutated(Path(job["original"]).read_text(), job["number"])
    # For the processes that a test starts: they import this copy through PYTHONPATH.
    path.write_text(ast.unparse(tree))
    changed = {_place(code): code for code in _codes(compile(tree, str(path), "exec", dont_inherit=True))}
    put = False
    for place, code in changed.items():
        if place[1] == outermost:
            for function in functions.get(place, ()):
                if function.__code__.co_freevars != code.co_freevars:
                    return False
                function.__code__ = code
                put = True
    return put


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)
