"""A CA with its key in files, and the command."""

from __future__ import annotations

import json
import os
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import veritls
from tests.support.certificates import Party, pem
from veritls.cli.app import app

ROOT = Party("Audit CA", ca=True)
SERVER = Party("server", ROOT)
REVOKED = 4711

INVALID = [
    "other-ca",
    "namesake",
    "self-signed",
    "leaf-as-ca",
    "expired",
    "not-yet-valid",
    "purpose",
    "weak",
]
"""The peers that whoever verifies has to refuse."""

LATER = "in {} it asked for no certificate in the handshake: whether it asks later"


@dataclass(frozen=True)
class Files:
    """PEM files: the CA, its key, its CRL, and a server's certificate with its key."""

    folder: Path
    ca: Path
    key: Path
    crl: Path
    server: Path

    @property
    def keys(self) -> list[object]:
        """The options with which every peer can be made."""
        return ["--ca", self.ca, "--ca-key", self.key]


def written(folder: Path) -> Files:
    files = Files(folder, folder / "ca.pem", folder / "ca.key", folder / "crl.pem", SERVER.file(folder))
    files.ca.write_bytes(ROOT.pem)
    files.key.write_bytes(ROOT.key_pem)
    files.crl.write_bytes(pem(ROOT.crl(REVOKED)))
    return files


def server_context(files: Files, mode: ssl.VerifyMode, module: Any = veritls) -> Any:
    context = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server)
    context.load_verify_locations(files.ca)
    context.verify_mode = mode
    return context


def client_context(files: Files, module: Any = veritls) -> Any:
    context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.ca)
    return context


def audit(*arguments: object, columns: int = 200) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["audit", *map(str, arguments)], env={"COLUMNS": str(columns)})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def as_json(*arguments: object) -> tuple[int, dict[str, Any]]:
    """The exit status and the result, which agree."""
    code, out, err = audit("--json", *arguments)
    assert out, err
    result: dict[str, Any] = json.loads(out)
    if result["status"] == "asks for no certificate":
        assert code in (0, 2)
    else:
        assert result["status"] == ("nothing fails open", "fails open", "inconclusive")[code]
    return code, result


def with_verdict(result: dict[str, Any], verdict: str) -> set[str]:
    """The peers that got it in every version that is spoken."""
    got = {each["peer"]: each["got"] for each in result["peers"] if each["got"]}
    versions = result["versions"]
    return {peer for peer, by in got.items() if all(by[each]["verdict"] == verdict for each in versions)}


def not_tried(result: dict[str, Any]) -> set[str]:
    return {each["peer"] for each in result["peers"] if each["not_tried"]}


def needs(program: str) -> None:
    if shutil.which(program) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed")
