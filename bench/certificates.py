"""The certificates, trust sets and CRLs that the measurements use, made once a run."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bench.recipe import SERVER_NAME, TLS13, Recipe, host_name

P256, RSA2048 = "P-256", "RSA-2048"
KEYS = (P256, RSA2048)

_DAY = timedelta(days=1)
_PEM = serialization.Encoding.PEM
_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _new_key(kind: str) -> Any:
    if kind == RSA2048:
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def _usage(*wanted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in wanted for use in _USES})


@dataclass(frozen=True)
class Party:
    """A certificate with its key, and the certificates above it without the root, nearest first."""

    certificate: x509.Certificate
    key: Any
    above: tuple[x509.Certificate, ...] = ()

    def pem(self) -> bytes:
        key: bytes = self.key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + b"".join(each.public_bytes(_PEM) for each in (self.certificate, *self.above))


def _issue(
    common_name: str, key: Any, issuer: Party | None, *extensions: tuple[Any, bool]
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = issuer.key if issuer else key
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * _DAY)
        .not_valid_after(now + 30 * _DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256())


def _ca(common_name: str, kind: str, issuer: Party | None = None) -> Party:
    key = _new_key(kind)
    certificate = _issue(
        common_name,
        key,
        issuer,
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (_usage("key_cert_sign", "crl_sign"), True),
    )
    return Party(certificate, key, (certificate, *issuer.above) if issuer else ())


def _leaf(name: str, kind: str, issuer: Party, *, server: bool = True) -> Party:
    key = _new_key(kind)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    certificate = _issue(
        name,
        key,
        issuer,
        (x509.SubjectAlternativeName([x509.DNSName(name)]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage("digital_signature", "key_encipherment"), True),
        (x509.ExtendedKeyUsage([purpose]), False),
    )
    return Party(certificate, key, issuer.above)


@dataclass
class Certificates:
    """Files in `folder`, each made when first asked for."""

    folder: Path
    _roots: dict[str, Party] = field(default_factory=dict)

    def _file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def _root(self, kind: str) -> Party:
        if kind not in self._roots:
            root = self._roots[kind] = _ca(f"bench {kind}", kind)
            self._file(f"ca-{kind}.pem", root.certificate.public_bytes(_PEM))
            self._file(f"server-{kind}.pem", _leaf(SERVER_NAME, kind, root).pem())
            self._file(f"client-{kind}.pem", _leaf("client.example", kind, root, server=False).pem())
        return self._roots[kind]

    def recipe(self, kind: str = P256, version: str = TLS13, *, mutual: bool = False, **more: Any) -> Recipe:
        """A server and, where `mutual`, a client, straight below a root that both trust."""
        self._root(kind)
        ca, server, client = (
            str(self.folder / f"{party}-{kind}.pem") for party in ("ca", "server", "client")
        )
        return Recipe(version, ca, server, client if mutual else None, **more)

    def chain(self, intermediates: int) -> Recipe:
        """A server below as many intermediates, which it sends along."""
        issuer = self._root(P256)
        for number in range(intermediates):
            issuer = _ca(f"bench intermediate {number + 1}", P256, issuer)
        server = self._file(f"server-chain-{intermediates}.pem", _leaf(SERVER_NAME, P256, issuer).pem())
        return Recipe(TLS13, self.recipe().ca, server)

    def anchors(self, count: int) -> Recipe:
        """A client that trusts `count` roots; the server's is the last of them."""
        others = [_ca(f"bench other root {number}", P256) for number in range(count - 1)]
        roots = [*others, self._root(P256)]
        content = b"".join(root.certificate.public_bytes(_PEM) for root in roots)
        return Recipe(TLS13, self._file(f"anchors-{count}.pem", content), self.recipe().server)

    def hosts(self, count: int) -> Recipe:
        """A server of `count` names, with a certificate for each."""
        root = self._root(P256)
        folder = self.folder / f"hosts-{count}"
        folder.mkdir(exist_ok=True)
        for number in range(count):
            (folder / f"{number}.pem").write_bytes(_leaf(host_name(number), P256, root).pem())
        return self.recipe(hosts=str(folder), host_count=count)

    def ocsp_response(self) -> str:
        """The root's word, in DER, that the server's certificate is good."""
        root = self._root(P256)
        server = x509.load_pem_x509_certificate(Path(self.recipe().server).read_bytes())
        now = datetime.now(UTC)
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=server,
                issuer=root.certificate,
                algorithm=hashes.SHA256(),
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=now - _DAY,
                next_update=now + 7 * _DAY,
                revocation_time=None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, root.certificate)
            .sign(root.key, hashes.SHA256())
        )
        return self._file("server.ocsp", response.public_bytes(serialization.Encoding.DER))

    def revocation_list(self, entries: int) -> str:
        """A CRL of the root's with as many entries, none of which is a certificate in use."""
        root = self._root(P256)
        now = datetime.now(UTC)
        revoked = [
            x509.RevokedCertificateBuilder()
            .serial_number(x509.random_serial_number())
            .revocation_date(now - _DAY)
            .build()
            for _ in range(entries)
        ]
        # Handed over at once: `add_revoked_certificate` copies all that came before, for each.
        builder = x509.CertificateRevocationListBuilder(
            root.certificate.subject, now - _DAY, now + 30 * _DAY, [], revoked
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False
        )
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        return self._file(f"crl-{entries}.pem", builder.sign(root.key, hashes.SHA256()).public_bytes(_PEM))
