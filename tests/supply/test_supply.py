"""What the wheel contains that others wrote is what Cargo.lock says, with its licences and an SBOM."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.supply import __main__ as command, licences, newer, sbom
from tests.supply.crates import MANIFEST, ROOT, Crate, contained, locked

cargo = pytest.mark.skipif(
    not os.environ.get("CI") and shutil.which("cargo") is None, reason="cargo is not there"
)


def crate(folder: Path, name: str = "one", licence: str = "MIT") -> Crate:
    folder.mkdir(exist_ok=True)
    return Crate(name, "1.0.0", licence, folder)


def test_every_crate_is_of_one_registry_and_has_its_checksum() -> None:
    """cargo-deny, by engine/deny.toml, holds which one: that which cargo asks by itself."""
    assert [package["name"] for package in locked() if "source" not in package] == ["veritls-engine"]
    [source] = {package["source"] for package in locked() if "source" in package}
    assert source.startswith("registry+")
    assert all(len(package["checksum"]) == 64 for package in locked() if "source" in package)


@cargo
def test_third_party_licences_has_the_texts_of_the_crates_in_the_wheel() -> None:
    assert licences.PAGE.read_text("utf-8") == licences.page(contained()), "python -m tests.supply licences"


@cargo
def test_the_crates_in_the_wheel_are_those_of_the_lock_and_aws_lc_is_one_of_them() -> None:
    versions = {(package["name"], package["version"]) for package in locked()}
    crates = {(each.name, each.version) for each in contained()}
    assert crates <= versions
    assert {name for name, _ in crates} >= newer.NAMED


@cargo
def test_no_crate_in_the_wheel_parses_dates_of_rfc_2822() -> None:
    """Why engine/deny.toml ignores RUSTSEC-2026-0009. x509-parser only writes such dates."""
    callers = [
        f"{each.name}: {file.name}"
        for each in contained()
        if each.name != "time"
        for file in each.folder.rglob("*.rs")
        if re.search(r"pars\w*\([^;]*Rfc2822", file.read_text("utf-8", "replace"))
    ]
    assert callers == []
    assert not any("Rfc2822" in file.read_text("utf-8") for file in (ROOT / "engine/src").rglob("*.rs"))


def test_a_crate_without_the_text_of_its_licence_is_named(tmp_path: Path) -> None:
    with pytest.raises(licences.NoText, match=r"one 1\.0\.0 comes without the text"):
        licences.page([crate(tmp_path)])


def test_a_crate_that_declares_no_licence_is_named(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("as you like")
    with pytest.raises(licences.NoText, match=r"one 1\.0\.0"):
        licences.page([crate(tmp_path, licence="")])


def test_the_same_text_stands_once_and_another_copyright_stands_too(tmp_path: Path) -> None:
    for name, text in {"a": "(c) Ann\n\nDo.", "b": "(c)  Ann\nDo.\n", "c": "(c) Bob\n\nDo."}.items():
        crate(tmp_path / name)
        (tmp_path / name / "LICENSE-MIT").write_text(text)
    page = licences.page([crate(tmp_path / name, name) for name in "abc"])
    assert "a 1.0.0: MIT: 1\nb 1.0.0: MIT: 1\nc 1.0.0: MIT: 2\n" in page
    assert page.count("Ann") == page.count("Bob") == 1


def test_pyproject_puts_the_licences_into_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["license-files"]) == {"LICENSE", licences.PAGE.name}


def from_a_wheel() -> bool:
    """Whether veritls is installed as users have it; in a checkout it is not."""
    files = {str(file).rpartition("/")[2] for file in metadata.files("veritls") or []}
    return bool(os.environ.get("CI")) or "THIRD-PARTY-LICENSES" in files


@pytest.mark.skipif(not from_a_wheel(), reason="veritls is not installed from a wheel")
def test_the_installed_wheel_has_the_licences() -> None:
    [file] = [each for each in metadata.files("veritls") or [] if each.name == licences.PAGE.name]
    assert file.read_text("utf-8") == licences.PAGE.read_text("utf-8")


@cargo
@pytest.mark.skipif(not from_a_wheel(), reason="veritls is not installed from a wheel")
def test_the_installed_wheel_s_sbom_has_every_crate_as_the_lock_has_it() -> None:
    assert sbom.problems(sbom.installed(), contained()) == []


def sound() -> dict[str, Any]:
    """An SBOM with one crate of the lock."""
    package = next(package for package in locked() if package["name"] == "rustls")
    part = {"name": "rustls", "version": package["version"]}
    part["purl"] = f"pkg:cargo/rustls@{package['version']}"
    return {"components": [part | {"hashes": [{"alg": "SHA-256", "content": package["checksum"]}]}]}


def test_an_sbom_is_held_against_the_lock() -> None:
    good = sound()
    rustls = Crate("rustls", good["components"][0]["version"], "MIT", ROOT)
    assert sbom.problems(good, [rustls]) == []
    assert sbom.problems({}, [rustls]) == [f"rustls {rustls.version} is not in the SBOM"]
    for key, value in {"hashes": [], "purl": "pkg:cargo/rustls@0.1.0", "version": "0.1.0"}.items():
        wrong = sound()
        wrong["components"][0][key] = value
        assert sbom.problems(wrong, [rustls]) != []


SAID = """    Updating index
     Locking 2 packages to latest compatible versions
   Unchanged der v0.7.10 (available: v0.8.3)
    Removing itoa v1.0.19
    Updating libc v0.2.190 -> v0.2.191
    Updating rustls-webpki v0.103.16 -> v0.103.17
 Downgrading syn v3.0.10 -> v3.0.9
warning: not updating lockfile due to dry run
"""


def test_what_cargo_says_is_newer_is_read() -> None:
    assert newer.steps(SAID) == [
        newer.Newer("libc", "0.2.190", "0.2.191"),
        newer.Newer("rustls-webpki", "0.103.16", "0.103.17"),
    ]


@pytest.mark.parametrize(("found", "code"), [(newer.steps(SAID), 1), (newer.steps(SAID)[:1], 0), ([], 0)])
def test_a_newer_version_of_what_security_md_names_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, found: list[newer.Newer], code: int
) -> None:
    monkeypatch.setattr(newer, "newer", lambda: found)
    assert command.say_newer() == code


def test_security_md_names_the_crates_and_the_command() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    for crate_name in ("rustls", "webpki", "aws-lc-rs", "aws-lc"):
        assert crate_name in text
    assert "python -m tests.supply newer" in text


def test_the_licences_that_cargo_deny_allows_ask_for_their_text_only() -> None:
    """None that asks for the source, or for anything of what is linked with it."""
    allowed = tomllib.loads(MANIFEST.with_name("deny.toml").read_text())["licenses"]["allow"]
    assert not [name for name in allowed if "GPL" in name or "MPL" in name or "EPL" in name]
