"""Builds the engine that holds every mutant, in a copy; what does not compile is dropped and named."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from campaign.mutants import copies, files
from campaign.mutants.mutant import Mutant
from campaign.mutants.rust_source import Switch, mutants_of, put_in, switches_of

MODULE = """//! The switches of the mutants.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

const UNSET: u32 = u32::MAX;
const COUNT: usize = COUNT_OF_MUTANTS;
static ACTIVE: AtomicU32 = AtomicU32::new(UNSET);
static REACHED: [AtomicU8; COUNT] = [const { AtomicU8::new(0) }; COUNT];

pub fn on(number: u32) -> bool {
    REACHED[number as usize].store(1, Relaxed);
    match ACTIVE.load(Relaxed) {
        UNSET => first() == number,
        active => active == number,
    }
}

#[cold]
fn first() -> u32 {
    let number = std::env::var("VERITLS_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(UNSET - 1);
    ACTIVE.store(number, Relaxed);
    number
}

#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn veritls_mutants_set(number: u32) {
    ACTIVE.store(number, Relaxed);
}

/// Writes a byte for each mutant, 1 where its place was reached, and forgets them. Returns their number.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn veritls_mutants_take(target: *mut u8) -> usize {
    if !target.is_null() {
        for (index, each) in REACHED.iter().enumerate() {
            unsafe { target.add(index).write(each.swap(0, Relaxed)) };
        }
    }
    COUNT
}
"""


def mutants() -> list[Mutant]:
    """All mutants of the engine, those that do not compile among them."""
    listed: list[Mutant] = []
    for file in files.engine():
        listed += mutants_of(file, (copies.ROOT / file).read_bytes(), len(listed))
    return listed


def build() -> Path:
    """The engine with every mutant that compiles. Its path; `dropped()` names the others."""
    folder = copies.copy("engine")
    switches: dict[str, dict[int, Switch]] = {}
    count = 0
    for file in files.engine():
        found = switches_of((copies.ROOT / file).read_bytes())
        switches[file] = {count + place: each for place, each in enumerate(found)}
        count += len(found)
    library = folder / "engine/src/lib.rs"
    library.write_text(library.read_text().replace("mod memory;", "mod memory;\nmod mutants;"))
    module = MODULE.replace("COUNT_OF_MUTANTS", str(count))
    (folder / "engine/src/mutants.rs").write_text(module)
    dropped: set[int] = set()
    while True:
        places = {}
        for file, chosen in switches.items():
            text, placed = put_in((copies.ROOT / file).read_bytes(), chosen)
            (folder / file).write_bytes(text)
            places[file.removeprefix("engine/")] = placed
        built, errors = _cargo(folder, "build")
        if built is not None:
            break
        broken = {number for error in errors for number in _blamed(places, error)}
        if not broken:
            raise RuntimeError(
                f"the engine does not build without any mutant to blame: see {folder}/cargo.log"
            )
        print(f"{len(errors)} errors, {len(broken)} mutants dropped", flush=True)
        dropped |= broken
        for chosen in switches.values():
            for number in broken & chosen.keys():
                del chosen[number]
    shutil.copy2(built, library_path())
    tests, _ = _cargo(folder, "test", "--no-run")
    if tests is None:
        raise RuntimeError(f"the engine's own tests do not build: see {folder}/cargo.log")
    shutil.copy2(tests, tests_path())
    kept = {"sources": _digest(), "dropped": sorted(dropped)}
    (copies.scratch() / "dropped.json").write_text(json.dumps(kept))
    return library_path()


def library_path() -> Path:
    """The engine that holds the mutants."""
    return copies.scratch() / "engine-with-mutants.so"


def tests_path() -> Path:
    """The program of the engine's own tests, with the mutants."""
    return copies.scratch() / "engine-tests-with-mutants"


def dropped() -> set[int]:
    """The numbers of the mutants that do not compile. The engine must be the one that was built."""
    kept = json.loads((copies.scratch() / "dropped.json").read_text())
    if kept["sources"] != _digest():
        raise SystemExit("the engine has changed since it was built: use --build and --record")
    return set(kept["dropped"])


def _digest() -> str:
    """Of the sources that hold mutants: a change gives other numbers."""
    sources = b"".join((copies.ROOT / file).read_bytes() for file in files.engine())
    return hashlib.sha256(sources).hexdigest()


_Span = tuple[str, int, int]
"""A file, and the first and last byte."""


def _cargo(folder: Path, *what: str) -> tuple[Path | None, list[list[_Span]]]:
    """What is built, or for each of rustc's errors where it is, the primary span first."""
    command = ["cargo", *what, "--profile", "daily", "--lib", "--message-format=json"]
    ended = subprocess.run(command, cwd=folder / "engine", capture_output=True, text=True)
    (folder / "cargo.log").write_text(ended.stdout + ended.stderr)
    errors = []
    library = None
    for line in ended.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == "_engine":
            made = [message["executable"], *message["filenames"]]
            library = next((each for each in made if each and not each.endswith(".rlib")), None)
        if message["reason"] == "compiler-message" and message["message"]["level"] == "error":
            spans = sorted(message["message"]["spans"], key=lambda span: not span["is_primary"])
            errors.append([(each["file_name"], each["byte_start"], each["byte_end"]) for each in spans])
    if ended.returncode == 0 and library is not None:
        return Path(library), []
    return None, errors


def _blamed(places: dict[str, list[tuple[int, int, int]]], spans: list[_Span]) -> set[int]:
    """The innermost mutant around an error, or around what it points to; else whatever lies in between."""
    for file, start, end in spans:
        around = [
            (last - first, number)
            for number, first, last in places.get(file, ())
            if first <= start and end <= last
        ]
        if around:
            return {min(around)[1]}
    if not spans:
        return set()
    file = spans[0][0]
    start = min(span[1] for span in spans if span[0] == file)
    end = max(span[2] for span in spans if span[0] == file)
    return {number for number, first, last in places.get(file, ()) if start <= first and last <= end}
