"""Certificates that real people have: keys, names, chains, self-signed ones, X.509 v1."""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

import veritls
from tests.support.certificates import Party
from tests.support.connections import server_context, tls_pair


def issue(
    name: str,
    issuer: Party | None = None,
    *,
    ca: bool | None = False,
    names: Sequence[x509.GeneralName] | None = None,
    purpose: x509.ObjectIdentifier | None = None,
    **options: Any,
) -> Party:
    """A certificate with few extensions, as many have; without basicConstraints where `ca` is None."""
    return Party(
        name,
        issuer,
        ca=bool(ca),
        names=names,
        constraints=None if ca is None else (x509.BasicConstraints(ca=ca, path_length=None), True),
        usage=None,
        subject_key=None,
        authority_key=None,
        purpose=None if purpose is None else (x509.ExtendedKeyUsage([purpose]), False),
        **options,
    )


PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)


@pytest.fixture(scope="module")
def root() -> Party:
    return issue("root", ca=True)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    found: ssl.TLSVersion = request.param
    return found


def connect(
    pem: bytes, trusted: bytes | None, folder: Path, *, name: str | None = "localhost", **settings: Any
) -> Any:
    """A connection of two veritls ends; what the client knows of its server's certificate."""
    path = folder / "server.pem"
    path.write_bytes(pem)
    server = server_context(path)
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    if trusted is not None:
        client.load_verify_locations(cadata=trusted.decode())
    for setting, value in settings.items():
        setattr(client, setting, value)
    with tls_pair(server, client, name) as (_, end):
        return end.getpeercert(True), end.getpeercert()


KEYS = {
    "RSA 2048": lambda: rsa.generate_private_key(65537, 2048),
    "RSA 3072": lambda: rsa.generate_private_key(65537, 3072),
    "RSA 4096": lambda: rsa.generate_private_key(65537, 4096),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind_serve(kind: Any, version: ssl.TLSVersion, tmp_path: Path) -> None:
    ca = issue("root", ca=True, key=KEYS[kind]())
    leaf = issue("leaf", ca, key=KEYS[kind]())
    der, _ = connect(leaf.identity(), ca.pem, tmp_path, maximum_version=version)
    assert der == leaf.certificate.public_bytes(Encoding.DER)


def test_signatures_in_pss_are_verified(version: ssl.TLSVersion, tmp_path: Path) -> None:
    ca = issue("root", ca=True, key=KEYS["RSA 2048"](), rsa_padding=PSS)
    leaf = issue("leaf", ca, rsa_padding=PSS)
    connect(leaf.identity(), ca.pem, tmp_path, maximum_version=version)


@pytest.mark.parametrize(
    ("in_certificate", "asked", "fits"),
    [
        (x509.DNSName("a.example.org"), "a.example.org", True),
        (x509.DNSName("a.example.org"), "A.Example.ORG", True),
        (x509.DNSName("*.example.org"), "a.example.org", True),
        (x509.DNSName("*.example.org"), "b.a.example.org", False),
        (x509.DNSName("*.example.org"), "example.org", False),
        (x509.DNSName("a*.example.org"), "ab.example.org", False),
        (x509.DNSName("xn--bcher-kva.example"), "bücher.example", True),
        (x509.DNSName("xn--bcher-kva.example"), "xn--bcher-kva.example", True),
        (x509.IPAddress(ipaddress.ip_address("192.0.2.7")), "192.0.2.7", True),
        (x509.IPAddress(ipaddress.ip_address("192.0.2.7")), "192.0.2.8", False),
        (x509.IPAddress(ipaddress.ip_address("2001:db8::7")), "2001:db8:0::7", True),
        (x509.IPAddress(ipaddress.ip_address("2001:db8::7")), "2001:db8::8", False),
        (x509.DNSName("192.0.2.7"), "192.0.2.7", False),
        (x509.RFC822Name("a@example.org"), "example.org", False),
    ],
)
def test_a_name_fits_exactly_where_it_must(
    root: Party, tmp_path: Path, in_certificate: Any, asked: Any, fits: Any
) -> None:
    leaf = issue("leaf", root, names=[in_certificate])
    if fits:
        connect(leaf.identity(), root.pem, tmp_path, name=asked)
        return
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        connect(leaf.identity(), root.pem, tmp_path, name=asked)
    assert caught.value.verify_code in (62, 64)


def test_a_common_name_is_not_a_host_name(root: Party, tmp_path: Path) -> None:
    leaf = issue("a.example.org", root, names=[])
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        connect(leaf.identity(), root.pem, tmp_path, name="a.example.org")


class TestSelfSigned:
    @pytest.mark.parametrize("ca", [True, False, None])
    def test_is_trusted_where_it_is_itself_in_the_trust_set(
        self, tmp_path: Path, version: ssl.TLSVersion, ca: Any
    ) -> None:
        alone = issue("me", ca=ca, names=[x509.DNSName("localhost")])
        connect(alone.identity(), alone.pem, tmp_path, maximum_version=version)

    @pytest.mark.parametrize("ca", [True, False, None])
    def test_is_refused_where_it_is_not(self, root: Party, tmp_path: Path, ca: Any) -> None:
        alone = issue("me", ca=ca, names=[x509.DNSName("localhost")])
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            connect(alone.identity(), root.pem, tmp_path)
        assert caught.value.verify_code == 18

    def test_is_refused_for_another_name_and_purpose(self, tmp_path: Path) -> None:
        alone = issue("me", ca=True, names=[x509.DNSName("localhost")])
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            connect(alone.identity(), alone.pem, tmp_path, name="elsewhere.example")
        client = issue(
            "me", ca=True, names=[x509.DNSName("localhost")], purpose=ExtendedKeyUsageOID.CLIENT_AUTH
        )
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            connect(client.identity(), client.pem, tmp_path)
        assert caught.value.verify_code == 26

    def test_of_the_same_name_as_a_trusted_one_is_refused(self, tmp_path: Path) -> None:
        ours, theirs = (issue("me", names=[x509.DNSName("localhost")]) for _ in range(2))
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(theirs.identity(), ours.pem, tmp_path)


class TestChain:
    @pytest.fixture
    def chain(self, root: Party) -> list[Party]:
        """Leaf first, root last."""
        parties = [root]
        for number in range(3):
            parties.insert(0, issue(f"intermediate {number}", parties[0], ca=True))
        return [issue("leaf", parties[0]), *parties]

    @pytest.mark.parametrize(
        "order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (1, 2, 3, 4), (4, 3, 2, 1), (1, 1, 2, 3)]
    )
    def test_may_come_in_any_order_with_or_without_the_root(
        self, chain: Any, tmp_path: Path, order: Any
    ) -> None:
        pem = chain[0].identity(*(chain[number] for number in order))
        connect(pem, chain[-1].pem, tmp_path)

    def test_with_a_link_missing_is_refused(self, chain: Any, tmp_path: Path) -> None:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            connect(chain[0].identity(chain[1], chain[3]), chain[-1].pem, tmp_path)
        assert caught.value.verify_code == 20

    def test_whose_root_is_not_trusted_is_refused(self, chain: Any, tmp_path: Path) -> None:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            connect(chain[0].identity(*chain[1:]), issue("another", ca=True).pem, tmp_path)
        assert caught.value.verify_code == 19

    def test_link_in_the_trust_set_helps_but_is_no_anchor(self, chain: Any, tmp_path: Path) -> None:
        """As in `ssl` without VERIFY_X509_PARTIAL_CHAIN."""
        connect(chain[0].identity(chain[1], chain[2]), chain[-1].pem + chain[3].pem, tmp_path)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(chain[0].identity(chain[1], chain[2]), chain[3].pem, tmp_path)

    def test_through_a_certificate_that_is_no_ca_is_refused(self, root: Party, tmp_path: Path) -> None:
        leaf = issue("leaf", root)
        forged = issue("forged", leaf)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(forged.identity(leaf), root.pem, tmp_path)

    def test_without_any_trust_is_refused(self, root: Party, tmp_path: Path) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(issue("leaf", root).identity(), None, tmp_path)


def test_a_ca_as_a_server_is_refused(root: Party, tmp_path: Path) -> None:
    leaf = issue("leaf", root, ca=True, names=[x509.DNSName("localhost")])
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(leaf.identity(), root.pem, tmp_path)


def test_a_clients_certificate_does_not_serve(root: Party, tmp_path: Path) -> None:
    leaf = issue("leaf", root, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        connect(leaf.identity(), root.pem, tmp_path)
    assert (caught.value.verify_code, caught.value.verify_message) == (26, "unsuitable certificate purpose")


class TestVersion1:
    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        folder = tmp_path
        for command in (
            "openssl req -new -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost",
            "openssl x509 -req -in request.pem -signkey key.pem -out certificate.pem -days 2",
        ):
            subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=30)
        assert x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes()).version.value == 0
        return folder

    @pytest.mark.parametrize("trusted", [False, True])
    @pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
    def test_leaf_is_taken_under_cert_none_from_a_real_server(
        self, old: Any, version: str, trusted: Any
    ) -> None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(old / "certificate.pem", old / "key.pem")
        server.maximum_version = ssl.TLSVersion[version]
        client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        if trusted:  # by itself, so that CERT_REQUIRED takes it too; it has no name to check
            client.load_verify_locations(old / "certificate.pem")
        else:
            client.verify_mode = ssl.CERT_NONE
        with tls_pair(server, client) as (serving, connecting):
            connecting.sendall(b"old")
            assert serving.recv(10) == b"old"

    def test_leaf_is_refused_where_it_must_be_verified(self, old: Any) -> None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(old / "certificate.pem", old / "key.pem")
        client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        with pytest.raises(ssl.SSLCertVerificationError), tls_pair(server, client):
            pass
