"""What the peers show: certificates that are made in memory, live for an hour, and are written nowhere."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import veritls
from veritls._context.server_name import on_the_wire
from veritls.cli.auditing.contexts import Shown
from veritls.cli.auditing.peers import Side

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_WEAK_BITS = 1024
_SIGNS = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
_ISSUES = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
_PURPOSES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}


def in_file(data: bytes) -> Shown:
    """The chain and the key of a PEM file. Raises ssl.SSLError or ValueError where they cannot be used."""
    certificates = x509.load_pem_x509_certificates(data)
    key = load_pem_private_key(data, None)
    weak = isinstance(key, rsa.RSAPrivateKey) and key.key_size < 2048
    shown = Shown(b"".join(map(_pem, certificates)), _key_pem(key), weak)
    if not weak:
        shown.load_into(veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER))
    return shown


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def general_name(name: str) -> x509.GeneralName:
    """A name as subjectAltName has it: a URI, a mail address, an IP address or a DNS name."""
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    if "@" in name:
        return x509.RFC822Name(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name if name.isascii() else on_the_wire(name))


def _subject(words: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"veritls audit: {words}")])


def _digest(key: Any) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()


@dataclass(frozen=True)
class Issuer:
    """A CA's certificate with its key, and the certificates that a peer sends after its own."""

    certificate: x509.Certificate
    key: Any
    above: tuple[x509.Certificate, ...] = ()

    def issue(
        self,
        words: str,
        names: Iterable[str],
        purpose: Side,
        *,
        start: timedelta = -_HOUR,
        serial: int | None = None,
        bits: int | None = None,
    ) -> Shown:
        """A certificate, valid for two hours from `start`, as of now. `bits`: of an RSA key."""
        key = (
            ec.generate_private_key(ec.SECP256R1()) if bits is None else rsa.generate_private_key(65537, bits)
        )
        begin = datetime.now(UTC) + start
        certificate = _signed(
            x509.CertificateBuilder(
                issuer_name=self.certificate.subject,
                subject_name=_subject(words),
                public_key=key.public_key(),
                serial_number=serial or x509.random_serial_number(),
                not_valid_before=begin,
                not_valid_after=begin + 2 * _HOUR,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(x509.ExtendedKeyUsage([_PURPOSES[purpose]]), critical=False)
            .add_extension(x509.SubjectAlternativeName(map(general_name, names)), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(self._authority(), critical=False),
            self.key,
        )
        chain = b"".join(map(_pem, (certificate, *self.above)))
        return Shown(chain, _key_pem(key), weak=bits is not None)

    def _authority(self) -> x509.AuthorityKeyIdentifier:
        try:
            known = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known.value)


def _signed(builder: x509.CertificateBuilder, key: Any) -> x509.Certificate:
    return builder.sign(key, _digest(key))


def issuer_of(certificates: Sequence[x509.Certificate], key: Any) -> Issuer:
    """The CA with this key, of those in `--ca`. The others that are not self-signed are sent with it.

    Raises ValueError where it is none of them, or no CA.
    """
    own = next((each for each in certificates if each.public_key() == key.public_key()), None)
    if own is None:
        raise ValueError("it is not the key of a certificate in --ca")
    above = [own, *(each for each in certificates if each is not own)]
    return Issuer(own, key, tuple(each for each in above if each.issuer != each.subject))


def stranger(like: x509.Certificate | None = None) -> Issuer:
    """A CA that nobody trusts; `like`: with the name and the key identifier of this one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = like.subject if like is not None else _subject("another CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    if like is not None:
        with suppress(x509.ExtensionNotFound):
            identifier = like.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    now = datetime.now(UTC)
    certificate = _signed(
        x509.CertificateBuilder(
            issuer_name=subject,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - _HOUR,
            not_valid_after=now + _HOUR,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_ISSUES, critical=True)
        .add_extension(identifier, critical=False),
        key,
    )
    return Issuer(certificate, key, (certificate,))


def self_signed(words: str, names: Iterable[str], purpose: Side) -> Shown:
    """A certificate that its own key signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(words)
    now = datetime.now(UTC)
    certificate = _signed(
        x509.CertificateBuilder(
            issuer_name=subject,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - _HOUR,
            not_valid_after=now + _HOUR,
        )
        .add_extension(_SIGNS, critical=True)
        .add_extension(x509.ExtendedKeyUsage([_PURPOSES[purpose]]), critical=False)
        .add_extension(x509.SubjectAlternativeName(map(general_name, names)), critical=False),
        key,
    )
    return Shown(_pem(certificate), _key_pem(key))


def below(valid: Shown) -> Issuer:
    """The valid peer, which is no CA, as an issuer."""
    chain = x509.load_pem_x509_certificates(valid.chain)
    return Issuer(chain[0], load_pem_private_key(valid.key, None), tuple(chain))


@dataclass(frozen=True)
class Workshop:
    """Makes what each row shows. `side`: of the peers. `names`: what a valid one is for; `other_name`: a name
    that must be refused, None where there is none. `issuer`: the CA
    with its key; None: not given. `anchors`: certificates of the CAs that are trusted. `revoked`: a serial
    number of a CRL of `issuer`. `given`: what the user gave, by key.
    """

    side: Side
    names: tuple[str, ...]
    other_name: str | None
    issuer: Issuer | None = None
    anchors: tuple[x509.Certificate, ...] = ()
    revoked: int | None = None
    given: tuple[tuple[str, Shown], ...] = ()

    def make(self, key: str) -> Shown | str:
        """What the row shows, or why it cannot be made."""
        given = dict(self.given).get(key)
        if given is not None:
            return given
        if key == "other-ca":
            return stranger().issue("another CA", self.names, self.side)
        if key == "self-signed":
            return self_signed("self-signed", self.names, self.side)
        if key == "namesake":
            if not self.anchors:
                return "needs --ca"
            return stranger(self.anchors[0]).issue("namesake", self.names, self.side)
        if key == "leaf-as-ca":
            valid = self.make("valid")
            if isinstance(valid, str):
                return valid
            return below(valid).issue("leaf as CA", self.names, self.side)
        return self._of_the_ca(key)

    def _of_the_ca(self, key: str) -> Shown | str:
        if self.issuer is None:
            return "needs --ca-key"
        names, side = self.names, self.side
        match key:
            case "valid":
                return self.issuer.issue("valid", names, side)
            case "expired":
                return self.issuer.issue("expired", names, side, start=-_DAY)
            case "not-yet-valid":
                return self.issuer.issue("not yet valid", names, side, start=_DAY)
            case "purpose":
                return self.issuer.issue("purpose", names, "server" if side == "client" else "client")
            case "other-name":
                if self.other_name is None:
                    return "every name is allowed"
                return self.issuer.issue("another name", [self.other_name], side)
            case "weak":
                return self.issuer.issue("weak", names, side, bits=_WEAK_BITS)
            case "revoked":
                if self.revoked is None:
                    return "needs --crl, of that CA, with a revoked certificate"
                return self.issuer.issue("revoked", names, side, serial=self.revoked)
        raise KeyError(key)
