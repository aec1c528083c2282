"""A CA in memory, and the certificates that the demonstration uses."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVER_NAME = "service.example"
OTHER_NAME = "elsewhere.example"
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Credential:
    """A certificate and its key; `path` is the PEM file with both, as `load_cert_chain` wants it."""

    path: Path
    der: bytes


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class CA:
    """A CA with a new key. `pem` is its certificate, for `load_verify_locations(cadata=...)`."""

    def __init__(self, common_name: str, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name(common_name)
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(self._subject)
            .issuer_name(self._subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 365 * _DAY)
            .not_valid_after(now + 365 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def issue(self, label: str, name: str, *, expired: bool = False, self_signed: bool = False) -> Credential:
        """A certificate for the host `name`, in the file `label`.pem; where `expired`, it ended yesterday."""
        key = ec.generate_private_key(ec.SECP256R1())
        end = datetime.now(UTC) + (-_DAY if expired else 30 * _DAY)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(name) if self_signed else self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - 60 * _DAY)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(key if self_signed else self._key, hashes.SHA256())
        )
        path = self._folder / f"{label}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private + certificate.public_bytes(serialization.Encoding.PEM))
        return Credential(path, certificate.public_bytes(serialization.Encoding.DER))


@dataclass(frozen=True)
class Credentials:
    """Every certificate of the demonstration, and the CA that both sides trust."""

    trusted: str
    valid_server: Credential
    by_label: dict[str, Credential]


def make(folder: Path) -> Credentials:
    """Fills `folder` with the certificates and their keys. Only this user should be able to read it."""
    ca = CA("veritls demo CA", folder)
    other_ca = CA("another CA", folder)
    server = ca.issue("server-valid", SERVER_NAME)
    return Credentials(
        trusted=ca.pem,
        valid_server=server,
        by_label={
            "client-valid": ca.issue("client-valid", "alice.example"),
            "client-expired": ca.issue("client-expired", "bob.example", expired=True),
            "client-stranger": other_ca.issue("client-stranger", "mallory.example"),
            "client-any-name": ca.issue("client-any-name", OTHER_NAME),
            "server-valid": server,
            "server-expired": ca.issue("server-expired", SERVER_NAME, expired=True),
            "server-self-signed": ca.issue("server-self-signed", SERVER_NAME, self_signed=True),
            "server-misnamed": ca.issue("server-misnamed", OTHER_NAME),
        },
    )
