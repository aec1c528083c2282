"""What a release's wheels hold, and what the workflow that makes them may do."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.supply import __main__ as command, wheels
from tests.supply.crates import MANIFEST, ROOT

WORKFLOW = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
VERSION = tomllib.loads(MANIFEST.read_text("utf-8"))["package"]["version"]
ENGINE, METADATA, SBOM = "veritls/_engine.abi3.so", "METADATA", "sboms/veritls-engine.cyclonedx.json"


def sound() -> dict[str, bytes]:
    """The members of a wheel, those of its dist-info by their names there."""
    return {
        ENGINE: b"",
        METADATA: f"Name: veritls\nVersion: {VERSION}\n".encode(),
        SBOM: json.dumps({"components": []}).encode(),
        **{f"licenses/{path.name}": path.read_bytes() for path in wheels.LICENCES},
    }


def write(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name if "veritls/" in name else f"veritls-{VERSION}.dist-info/{name}", data)
    return path


def test_a_wheel_with_licences_an_sbom_and_the_version_is_sound(tmp_path: Path) -> None:
    assert wheels.problems(write(tmp_path / "one.whl", sound())) == []


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("licenses/LICENSE", None, "LICENSE is missing"),
        ("licenses/THIRD-PARTY-LICENSES", b"others", "THIRD-PARTY-LICENSES is missing, or not that"),
        (METADATA, b"Version: 0.0.1\n", "the version is 0.0.1"),
        (METADATA, None, "the version is None"),
        (ENGINE, None, "no engine"),
        (SBOM, None, "holds no SBOM"),
        (SBOM, b'{"components": [{"name": "left-pad", "version": "1.0.0"}]}', "left-pad 1.0.0 is not in"),
    ],
)
def test_what_a_wheel_lacks_is_named_and_is_exit_code_1(
    tmp_path: Path, name: str, data: bytes | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    members = sound()
    if data is None:
        del members[name]
    else:
        members[name] = data
    one, other = write(tmp_path / "one.whl", members), write(tmp_path / "other.whl", sound())
    assert command.say_wheels([one, other]) == 1
    said = capsys.readouterr().out.splitlines()
    assert words in said[0] and said[1].endswith("those of the checkout")


def test_every_action_is_pinned_by_its_commit_with_its_version_beside_it() -> None:
    uses = re.findall(r"uses: (.+)", WORKFLOW)
    assert len(uses) > 10
    assert [use for use in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []
    assert len({use.partition("@")[0] for use in uses}) == len(set(uses))


def test_only_the_jobs_that_sign_and_publish_may_more_than_read_and_they_run_nothing_of_ours() -> None:
    head, *jobs = re.split(r"^  (?=[\w-]+:\n    name:)", WORKFLOW, flags=re.M)
    assert "permissions: {}" in head
    writing = [job for job in jobs if ": write" in job]
    assert [job.partition(":")[0] for job in writing] == ["attest", "publish"]
    assert not [job for job in writing if "run:" in job or "actions/checkout" in job]
    assert all("contents: read" in job for job in jobs if job not in writing)


def test_nothing_is_published_before_every_kind_of_wheel_was_tried() -> None:
    needs = dict(re.findall(r"^  ([\w-]+):\n    name:.*\n    needs: (.+)", WORKFLOW, re.M))
    assert needs["publish"] == "attest" and needs["attest"] == "[try, try-musl, look]"
    built = set(re.findall(r"\{ name: ([\w-]+), runner: [\w.-]+, target", WORKFLOW))
    tried = set(re.findall(r"\{ name: ([\w-]+), runner: [\w.-]+ \}", WORKFLOW))
    assert built == tried and len(built) == 5


def test_the_short_suite_names_tests_that_exist() -> None:
    paths = (ROOT / "tests/supply/short.txt").read_text("utf-8").split()
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).is_file()] == []
