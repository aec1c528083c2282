"""python -m tests.pkits.others: asks OpenSSL and Go about PKITS, and writes others.toml.

OpenSSL is asked as `ssl` asks it: VERIFY_CRL_CHECK_CHAIN, no policies, no extended CRL support. Go's Verify
reads no CRLs, so it is asked where a case needs none.
"""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.pkits.corpus import Case, default_folder, load
from tests.pkits.runner import AT

HERE = Path(__file__).parent
FILE = HERE / "others.toml"

WITH_CRLS = ("4.4", "4.5", "4.7", "4.14", "4.15")
"""The sections whose cases are about CRLs, or about who may sign them."""

HEAD = """\
# What OpenSSL and Go say of PKITS: the cases whose outcome is not that of the suite.
# Written by `python -m tests.pkits.others`.
"""


@dataclass(frozen=True)
class Other:
    """Another implementation: the cases that it refuses, or accepts, against the suite."""

    version: str
    refused: frozenset[str]
    accepted: frozenset[str]
    unasked: tuple[str, ...] = ()

    def asked(self, section: str) -> bool:
        return section not in self.unasked


def section_of(name: str) -> str:
    """4.13 of "4.13.1 Valid DN nameConstraints Test1"."""
    return ".".join(name.split(".")[:2])


def load_others() -> dict[str, Other]:
    """OpenSSL and Go, as others.toml has them."""
    return {
        name: Other(
            version=raw["version"],
            refused=frozenset(raw["refused"]),
            accepted=frozenset(raw["accepted"]),
            unasked=tuple(raw["unasked"]),
        )
        for name, raw in tomllib.loads(FILE.read_text()).items()
    }


def _pem(kind: str, several: Sequence[bytes]) -> str:
    blocks = [base64.encodebytes(der).decode() for der in several]
    return "".join(f"-----BEGIN {kind}-----\n{block}-----END {kind}-----\n" for block in blocks)


def _openssl_accepts(case: Case, folder: Path) -> bool:
    def write(name: str, kind: str, several: Sequence[bytes]) -> str:
        path = folder / name
        path.write_text(_pem(kind, several))
        return str(path)

    command = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-purpose", "sslclient", "-crl_check_all"]
    command += ["-attime", str(int(AT.timestamp()))]
    command += ["-CAfile", write("anchor.pem", "CERTIFICATE", [case.anchor])]
    command += ["-CRLfile", write("crls.pem", "X509 CRL", case.crls)]
    if case.chain[1:]:
        command += ["-untrusted", write("untrusted.pem", "CERTIFICATE", case.chain[1:])]
    command.append(write("own.pem", "CERTIFICATE", case.chain[:1]))
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def _ask_openssl(cases: Sequence[Case]) -> list[bool]:
    with tempfile.TemporaryDirectory() as folder:
        return [_openssl_accepts(case, Path(folder)) for case in cases]


def _ask_go(cases: Sequence[Case]) -> list[bool]:
    encoded = [
        {
            "Anchor": base64.b64encode(case.anchor).decode(),
            "Chain": [base64.b64encode(der).decode() for der in case.chain],
        }
        for case in cases
    ]
    command = ["go", "run", str(HERE / "others.go")]
    ran = subprocess.run(
        command, input=json.dumps(encoded), capture_output=True, text=True, timeout=600, check=True
    )
    return [not refusal for refusal in json.loads(ran.stdout)]


def _version(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def _table(name: str, other: Other) -> str:
    lines = [f"[{name}]", f'version = "{other.version}"', f"unasked = {json.dumps(other.unasked)}"]
    for kind, names in (("refused", other.refused), ("accepted", other.accepted)):
        lines += [f"{kind} = [", *(f"    {json.dumps(each)}," for each in sorted(names)), "]"]
    return "\n".join(lines) + "\n"


def _other(
    version: str, cases: Sequence[Case], accepts: Sequence[bool], unasked: tuple[str, ...] = ()
) -> Other:
    both = list(zip(cases, accepts, strict=True))
    return Other(
        version=version,
        refused=frozenset(case.name for case, accepted in both if case.valid and not accepted),
        accepted=frozenset(case.name for case, accepted in both if accepted and not case.valid),
        unasked=unasked,
    )


def main() -> None:
    cases = load(default_folder())
    without_crls = [case for case in cases if section_of(case.name) not in WITH_CRLS]
    openssl = " ".join(_version("openssl", "version").split()[:2])
    go = "Go " + _version("go", "env", "GOVERSION").strip().removeprefix("go")
    tables = [
        _table("openssl", _other(openssl, cases, _ask_openssl(cases))),
        _table("go", _other(go, without_crls, _ask_go(without_crls), WITH_CRLS)),
    ]
    FILE.write_text("\n".join([HEAD, *tables]))


if __name__ == "__main__":
    main()
