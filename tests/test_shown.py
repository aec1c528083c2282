"""What a shell shows of trust and reports: names as RFC 4514 writes them, no warnings, no kilobytes."""

from __future__ import annotations

import ssl
import warnings

import pytest
from cryptography import x509

import veritls
from tests.test_certificate import SHAPES, built
from veritls._loading.certificates import described
from veritls.errors import SSLCertVerificationError

ZERO_SERIAL = built(serial=0x4321).replace(bytes.fromhex("02024321"), bytes.fromhex("02020000"))
NEGATIVE_SERIAL = built(serial=0x4321).replace(bytes.fromhex("02024321"), bytes.fromhex("0202ff21"))
ODD_COUNTRY = SHAPES["long country"]


@pytest.mark.parametrize("shape", sorted(SHAPES.keys() - {"bit string"}))
def test_a_subject_is_written_as_by_cryptography(shape: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            certificate = x509.load_der_x509_certificate(SHAPES[shape])
            expected = certificate.subject.rfc4514_string(), certificate.not_valid_after_utc
        except ValueError:
            pytest.skip("cryptography cannot read it")
    assert described(SHAPES[shape]) == expected


def test_trust_is_listed_without_a_warning_and_without_a_loss() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    odd = [ZERO_SERIAL, NEGATIVE_SERIAL, ODD_COUNTRY]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        context.load_verify_locations(cadata=b"".join(odd))
        entries, shown = context.list_trust(), context.get_ca_certs()
    assert [(entry.der, entry.name) for entry in entries] == list(
        zip(odd, ["CN=plain", "CN=plain", "C=Switzerland"], strict=True)
    )
    assert all(entry.expires is not None for entry in entries)
    assert shown == []  # none of them may sign others


def test_the_systems_store_is_listed_without_a_warning_and_without_a_loss() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        context.load_default_certs()
        entries, shown = context.list_trust(), context.get_ca_certs()
    assert len(entries) >= context.cert_store_stats()["x509"] and all(entry.name for entry in entries)
    assert len(shown) == context.cert_store_stats()["x509_ca"]


def test_no_repr_shows_der_or_names_without_an_end() -> None:
    general = [x509.DNSName(f"{number}.{'x' * 50}.example") for number in range(500)]
    crowded = built(x509.SubjectAlternativeName(general))
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=crowded)
    report = context.verify_chain([crowded, SHAPES["everything"]])
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        context.verify_chain(crowded, server_hostname="other.example")
    error = refused.value
    assert isinstance(error, SSLCertVerificationError)
    assert len(repr(context._settings)) < 2000 and "ticket_secret" not in repr(context._settings)
    seen: list[object] = [
        *context.list_trust(),
        report,
        report.question,
        error,
        error.report,
        error.report.refusal,
    ]
    seen += [*report.certificates, *error.report.certificates, *report.checks, *error.report.checks]
    for each in seen:
        assert len(repr(each)) < 700 and r"\x" not in repr(each) and "100.xx" not in repr(each), each
    assert "trusted=True" in repr(report) and "kind='name'" in repr(error.report)
