"""CRLs of issuers whose names `cryptography` cannot read: they are listed like any other."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type as Kind

import veritls
from tests.test_certificate import KEY, UTC, attribute, name

START, END = datetime.datetime(2024, 1, 1, tzinfo=UTC), datetime.datetime(2051, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "kind, found, shown",
    [
        (Kind.T61String, b"Zo\xeb", "CN=Zoë"),
        (Kind.PrintableString, b"Zo\xeb", "CN=Zoë"),
        (Kind.UTF8String, b"Zo\xeb", r"CN=Zo\\xeb"),
        (Kind.UTF8String, b"Xoe", "CN=Xoe"),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else None,
)
def test_a_crl_of_an_issuer_with_an_odd_name_is_listed(kind: Kind, found: bytes, shown: str) -> None:
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(attribute("2.5.4.3", "Xoe", kind)))
    builder = builder.last_update(START).next_update(END).add_extension(x509.CRLNumber(1), critical=False)
    crl = builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER).replace(b"Xoe", found)
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    assert context.load_crls(crl) == 1
    (entry,) = context.list_trust()
    assert (entry.kind, entry.name, entry.expires) == ("crl", shown, END)
