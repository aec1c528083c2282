"""What became of each mutant that was tried, kept in the scratch folder while its file stays as it is."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

from campaign.mutants import copies
from campaign.mutants.mutant import Mutant


class Results:
    """Name of a mutant -> {"verdict": "killed" | "survived" | "broken", "test": …}."""

    def __init__(self) -> None:
        self._file = copies.scratch() / "results.jsonl"
        self._lock = threading.Lock()
        self._digests: dict[str, str] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        if self._file.exists():
            for line in self._file.read_text().splitlines():
                row = json.loads(line)
                self._rows[row["name"]] = row

    def _digest(self, file: str) -> str:
        if file not in self._digests:
            self._digests[file] = hashlib.sha256((copies.ROOT / file).read_bytes()).hexdigest()[:16]
        return self._digests[file]

    def of(self, mutant: Mutant) -> dict[str, Any] | None:
        """What is known of it. None where it was not tried, or its file has changed since."""
        row = self._rows.get(mutant.name)
        return row if row is not None and row["digest"] == self._digest(mutant.file) else None

    def add(self, mutant: Mutant, verdict: str, test: str | None, tests: int) -> None:
        """Keeps it at once: a run may be stopped at any time."""
        row = {
            "name": mutant.name,
            "digest": self._digest(mutant.file),
            "verdict": verdict,
            "test": test,
            "tests": tests,
        }
        with self._lock:
            self._rows[mutant.name] = row
            with self._file.open("a") as out:
                out.write(json.dumps(row) + "\n")
