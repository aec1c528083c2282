"""The SBOM that maturin puts into a wheel: CycloneDX, in its dist-info/sboms."""

from __future__ import annotations

import json
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.supply.crates import Crate, locked


class NoSbom(RuntimeError):
    """A wheel, or an installation, that holds none."""


def in_wheel(wheel: Path) -> dict[str, Any]:
    """The SBOM of a wheel. Raises NoSbom."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if ".dist-info/sboms/" in name and name.endswith(".json"):
                return dict(json.loads(archive.read(name)))
    raise NoSbom(f"{wheel.name} holds no SBOM")


def installed() -> dict[str, Any]:
    """The SBOM of veritls as it is installed here. Raises NoSbom."""
    for file in metadata.files("veritls") or []:
        if ".dist-info/sboms/" in str(file) and file.suffix == ".json":
            return dict(json.loads(file.read_text("utf-8")))
    raise NoSbom("veritls is not installed from a wheel")


def problems(sbom: dict[str, Any], crates: list[Crate]) -> list[str]:
    """What the SBOM does not say of the crates that the wheel contains, or says and Cargo.lock does not."""
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in locked()}
    components = {(part["name"], part["version"]): part for part in sbom.get("components", ())}
    found = [
        f"{name} {version} is not in Cargo.lock" for name, version in components.keys() - checksums.keys()
    ]
    for crate in crates:
        part = components.get((crate.name, crate.version))
        if part is None:
            found.append(f"{crate.name} {crate.version} is not in the SBOM")
            continue
        hashes = {entry["content"] for entry in part.get("hashes", ()) if entry["alg"] == "SHA-256"}
        if hashes != {checksums[crate.name, crate.version]}:
            found.append(f"{crate.name} {crate.version}: not the checksum of Cargo.lock")
        if not part.get("purl", "").startswith(f"pkg:cargo/{crate.name}@{crate.version}"):
            found.append(f"{crate.name} {crate.version}: purl {part.get('purl')!r}")
    return sorted(found)
