"""What each wheel of a release holds beside the engine: licences, an SBOM, the version."""

from __future__ import annotations

import email
import tomllib
import zipfile
from pathlib import Path

from tests.supply import sbom
from tests.supply.crates import MANIFEST, ROOT
from tests.supply.licences import PAGE

LICENCES = (ROOT / "LICENSE", PAGE)


def problems(wheel: Path) -> list[str]:
    """What the wheel lacks, or has otherwise than the checkout."""
    version = tomllib.loads(MANIFEST.read_text("utf-8"))["package"]["version"]
    with zipfile.ZipFile(wheel) as archive:
        members = {name.partition(".dist-info/")[2] or name: name for name in archive.namelist()}
        found = []
        for path in LICENCES:
            member = members.get(f"licenses/{path.name}")
            if member is None or archive.read(member) != path.read_bytes():
                found.append(f"{path.name} is missing, or not that of the checkout")
        metadata = members.get("METADATA")
        said = email.message_from_bytes(archive.read(metadata))["Version"] if metadata else None
        if said != version:
            found.append(f"the version is {said}, and {version} in engine/Cargo.toml")
        if not any(name.startswith("veritls/_engine.") and name.endswith(".so") for name in members):
            found.append("there is no engine in it")
    try:
        found += sbom.problems(sbom.in_wheel(wheel), [])
    except sbom.NoSbom as why:
        found.append(str(why))
    return found
