"""The cases of a limbo.json, as its schema describes them. The file itself is not part of this repository."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.support.shared import shared

ROOT = Path(__file__).parents[2]


def default_file() -> Path:
    """The corpus that VERITLS_LIMBO names, else the one in the folder that lies beside the checkout."""
    return shared("VERITLS_LIMBO", "limbo", "limbo.json")


@dataclass(frozen=True)
class Case:
    """One case. `chain`: DER, the peer's own first. `names`: (kind, value), kind DNS, IP or RFC822."""

    id: str
    features: frozenset[str]
    description: str
    purpose: str
    anchors: str
    crls: str
    chain: tuple[bytes, ...]
    at: datetime
    names: tuple[tuple[str, str], ...]
    depth: int | None
    signature_algorithms: tuple[str, ...]
    key_usage: frozenset[str]
    extended_key_usage: frozenset[str]
    succeeds: bool

    @property
    def is_common(self) -> bool:
        """Whether it verifies a server and is not marked pedantic, CRL or denial-of-service."""
        apart = {"has-crl", "denial-of-service"}
        marked = any(name in apart or name.startswith("pedantic") for name in self.features)
        return self.purpose == "server" and not marked


def _der(pem: str) -> bytes:
    # Not through ssl.PEM_cert_to_DER_cert: some cases have text around the block.
    import ssl

    start = pem.index("-----BEGIN CERTIFICATE-----")
    end = pem.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")
    return ssl.PEM_cert_to_DER_cert(pem[start:end])


def _case(raw: dict[str, Any]) -> Case:
    at = raw["validation_time"]
    peer = [raw["expected_peer_name"]] if raw["expected_peer_name"] else raw["expected_peer_names"]
    return Case(
        id=raw["id"],
        features=frozenset(raw["features"] or ()),
        description=raw["description"],
        purpose=raw["validation_kind"].lower(),
        anchors="\n".join(raw["trusted_certs"]),
        crls="\n".join(raw.get("crls") or ()),
        chain=tuple(map(_der, [raw["peer_certificate"], *raw["untrusted_intermediates"]])),
        at=datetime.fromisoformat(at) if at else datetime.now(UTC),
        names=tuple((name["kind"], name["value"]) for name in peer),
        depth=raw["max_chain_depth"],
        signature_algorithms=tuple(raw["signature_algorithms"] or ()),
        key_usage=frozenset(raw["key_usage"] or ()),
        extended_key_usage=frozenset(raw["extended_key_usage"] or ()),
        succeeds=raw["expected_result"] == "SUCCESS",
    )


def load(path: Path) -> list[Case]:
    """The cases of a limbo.json."""
    return [_case(raw) for raw in json.loads(path.read_text())["testcases"]]


def mail_names(der: bytes) -> set[str]:
    """The rfc822Names of a certificate; none where it cannot be read."""
    try:
        extensions = x509.load_der_x509_certificate(der).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return set(names.get_values_for_type(x509.RFC822Name))
    except (ValueError, x509.ExtensionNotFound):
        return set()
