"""Private keys that are not what they should be: refused when they are loaded."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

import veritls
from tests.conftest import Files
from tests.support.certificates import Party
from tests.support.connections import client_context, server_context, tls_pair
from tests.support.der import tlv


@pytest.fixture(scope="module")
def leaf() -> trustme.LeafCert:
    return trustme.CA().issue_cert("localhost", key_type=trustme.KeyType.RSA)


@pytest.mark.parametrize("part", ["p", "q", "d", "dmp1", "dmq1", "iqmp"])
def test_an_rsa_key_with_one_number_changed_is_refused(
    leaf: trustme.LeafCert, tmp_path: Path, part: str
) -> None:
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    good = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    number = getattr(key.private_numbers(), part)
    length = (number.bit_length() + 7) // 8
    bad = good.replace(number.to_bytes(length, "big"), (number ^ 2).to_bytes(length, "big"))
    path = tmp_path / "key.pem"
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    for der, refused in ((good, False), (bad, True)):
        pem = ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "PRIVATE KEY")
        path.write_bytes(leaf.cert_chain_pems[0].bytes() + pem.encode())
        if refused:
            with pytest.raises(ssl.SSLError):
                context.load_cert_chain(path)
        else:
            context.load_cert_chain(path)


CURVES = {
    "P-256": (ec.SECP256R1(), "06082a8648ce3d030107"),
    "P-384": (ec.SECP384R1(), "06052b81040022"),
    "P-521": (ec.SECP521R1(), "06052b81040023"),
}
EC_KEY = bytes.fromhex("06072a8648ce3d0201")


def ec_key(name: str, lost: int, *, pkcs8: bool) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """A key whose number begins with `lost` zero bytes, and its DER without them, as OpenSSL wrote it."""
    curve, oid = CURVES[name][0], bytes.fromhex(CURVES[name][1])
    number = b"\x77" * ((curve.key_size + 7) // 8 - lost)
    key = ec.derive_private_key(int.from_bytes(number, "big"), curve)
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    parameters = b"" if pkcs8 else tlv(0xA0, oid)
    own = tlv(0x30, b"\2\1\1" + tlv(4, number) + parameters + tlv(0xA1, tlv(3, b"\0" + point)))
    return key, tlv(0x30, b"\2\1\0" + tlv(0x30, EC_KEY + oid) + tlv(4, own)) if pkcs8 else own


@pytest.mark.parametrize("form", ["EC PRIVATE KEY", "PRIVATE KEY"])
@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("name", CURVES)
def test_an_ec_key_that_lost_its_leading_zeros_is_loaded_as_by_ssl(
    name: str, lost: int, form: str, files: Files, tmp_path: Path
) -> None:
    key, plain = ec_key(name, lost, pkcs8=form == "PRIVATE KEY")
    ca = Party("A CA", ca=True)
    party = ca.issue(x509.DNSName("localhost"), key=key)
    path = tmp_path / "key.pem"
    path.write_bytes(party.pem + ssl.DER_cert_to_PEM_cert(plain).replace("CERTIFICATE", form).encode())
    for module in (ssl, veritls):
        client = client_context(files.ca)
        client.load_verify_locations(cadata=ca.der)
        with tls_pair(server_context(path, module), client) as (_, client_end):
            assert client_end.getpeercert(True) == party.der
    (tmp_path / "damaged.pem").write_bytes(
        party.pem + ssl.DER_cert_to_PEM_cert(plain[:-1]).replace("CERTIFICATE", form).encode()
    )
    with pytest.raises(ssl.SSLError, match="the key is malformed"):
        server_context(tmp_path / "damaged.pem")
    veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER).load_cert_chain(party.pem, plain)
