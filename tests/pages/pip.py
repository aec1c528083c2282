"""Stands where `pip` stands in a page: what should be installed has to be, and veritls has the extras.

python -m tests.pages.pip install 'veritls[cli]' trustme
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement

from tests.pages.blocks import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def requirements(words: list[str]) -> list[Requirement]:
    """What `pip install` is told to install: its words, those of the project's own extras included."""
    found = []
    for word in words:
        name, bracket, extras = word.partition("[")
        own = "veritls" if name.endswith((".", "/veritls", ".whl")) else name
        requirement = Requirement(own + bracket + extras)
        found.append(requirement)
        if requirement.name == "veritls":
            for extra in requirement.extras:
                found += requirements(PROJECT["optional-dependencies"][extra])
    return found


def missing(words: list[str]) -> list[str]:
    """What is not installed. KeyError: veritls has no such extra."""
    absent = []
    for requirement in requirements(words):
        if requirement.name != "veritls":
            try:
                version = distribution(requirement.name).version
            except PackageNotFoundError:
                absent.append(requirement.name)
            else:
                assert requirement.specifier.contains(version, prereleases=True), (str(requirement), version)
    return absent


def main() -> None:
    command, *words = sys.argv[1:]
    if command != "install" or (absent := missing(words)):
        sys.exit(f"not installed: {absent}" if command == "install" else f"pip {command}: not known here")


if __name__ == "__main__":
    main()
