"""Private keys that are not what they should be: refused when they are loaded."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

import veritls


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
