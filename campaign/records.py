"""What is kept of a run: docs/campaign/NAME.json for each part, so that one can be run anew alone."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine
from campaign.part import Part, Picture, Result, Scale, Table

FOLDER = Path(__file__).parent.parent / "docs" / "campaign"

Record = dict[str, Any]


def run(part: Part, scale: Scale) -> tuple[Result, Record]:
    """Runs a part: what it saw, and that as it is kept."""
    began = time.monotonic()
    load = machine.describe()["load"]
    result = part.run(scale)
    record = {
        "command": _command(part, scale),
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": round(time.monotonic() - began, 1),
        "machine": machine.describe() | {"load": load},
        **asdict(result),
    }
    return result, record


def _command(part: Part, scale: Scale) -> str:
    much = "--quick" if scale.quick else f"--minutes {scale.seconds / 60:g}"
    return " ".join(
        [
            "python -m campaign",
            part.name,
            much,
            *(f"--set {key}={value}" for key, value in scale.options.items()),
        ]
    )


def result_of(record: Record) -> Result:
    """The result that a record was made of."""
    pictures = [
        Picture(
            **{**each, "lines": {name: [(x, y) for x, y in line] for name, line in each["lines"].items()}}
        )
        for each in record["pictures"]
    ]
    tables = [Table(**each) for each in record["tables"]]
    return Result(tables, pictures, record["notes"], record["failures"])


def load(folder: Path = FOLDER) -> dict[str, Record]:
    """Every record by its part's name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def save(name: str, record: Mapping[str, Any], folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text + "\n", "utf-8")
