"""The cases of a bettertls.json.xz. The file itself is not part of this repository."""

from __future__ import annotations

import base64
import json
import lzma
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509

import veritls
from tests.support.shared import shared


def default_file() -> Path:
    """The corpus that VERITLS_BETTERTLS names, else the one in the folder that lies beside the checkout."""
    return shared("VERITLS_BETTERTLS", "conformance", "bettertls.json.xz")


@dataclass(frozen=True)
class Case:
    """One case. `chain`: DER, the peer's own first."""

    id: str
    chain: tuple[bytes, ...]
    hostname: str
    succeeds: bool


class Corpus:
    """All cases, and their trust anchors."""

    def __init__(self, path: Path) -> None:
        self._raw: dict[str, Any] = json.loads(lzma.decompress(path.read_bytes()))
        self._context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        root = base64.b64decode(self._raw["trustRoot"])
        self._context.load_verify_locations(cadata=root)

    @cached_property
    def cases(self) -> list[Case]:
        """In the order of the file."""
        certificates = [base64.b64decode(each) for each in self._raw["certificates"]]
        return [
            Case(
                id=f"{raw['suite']}/{raw['id']}",
                chain=tuple(certificates[index] for index in raw["certificates"]),
                hostname=raw["hostname"],
                succeeds=raw["expected"] == "ACCEPT",
            )
            for suite in self._raw["suites"].values()
            for raw in suite
        ]

    def refusal(self, case: Case) -> str:
        """Why the chain is refused; empty where it is trusted."""
        leaf = x509.load_der_x509_certificate(case.chain[0])
        at = leaf.not_valid_before_utc + (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / 2
        try:
            self._context.verify_chain(case.chain, server_hostname=case.hostname, at=at)
        except ssl.SSLCertVerificationError as refused:
            return refused.verify_message
        return ""
