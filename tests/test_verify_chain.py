"""verify_chain: the decision without a connection."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.conftest import Files
from tests.support.connections import client_context, server_context
from veritls._loading.pem import pem_certificates


def chain(path: Path) -> list[bytes]:
    return pem_certificates(path.read_bytes(), str(path))


def test_a_chain_that_a_handshake_would_trust_is_trusted(files: Files) -> None:
    report = client_context(files.ca).verify_chain(chain(files.server), server_hostname="localhost")
    assert report.trusted
    assert list(report.path) == [*chain(files.server), *chain(files.ca)]


def test_a_chain_that_a_handshake_would_refuse_raises_its_error(files: Files) -> None:
    context = client_context(files.ca)
    for path, name, number in [
        (files.stranger, "localhost", 20),
        (files.expired_server, "localhost", 10),
        (files.server, "elsewhere", 62),
    ]:
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            context.verify_chain(chain(path), server_hostname=name)
        assert refused.value.verify_code == number


def test_the_first_moment_that_can_be_asked_about_is_that_of_1970(files: Files) -> None:
    context, first = client_context(files.ca), datetime.fromtimestamp(0, UTC)
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        context.verify_chain(chain(files.server), at=first)
    assert refused.value.verify_code == 9
    with pytest.raises(ValueError, match="before 1970"):
        context.verify_chain(chain(files.server), at=first - timedelta(microseconds=1))


def test_the_time_of_the_question_counts(files: Files) -> None:
    context = client_context(files.ca)
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        context.verify_chain(chain(files.server), at=datetime.now(UTC) + timedelta(days=365_000))
    assert refused.value.verify_code == 10


def test_verify_chain_validates_whatever_verify_mode_says(files: Files) -> None:
    context = client_context(files.ca)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLCertVerificationError):
        context.verify_chain(chain(files.stranger))


def test_a_chain_may_be_der_pem_or_certificates(files: Files) -> None:
    context = client_context(files.ca)
    ders = chain(files.server)
    certificates = [x509.load_der_x509_certificate(der) for der in ders]
    pems = [each.public_bytes(Encoding.PEM) for each in certificates]
    bundle = b"a comment\n" + b"".join(pems)
    for each in (
        ders,
        tuple(ders),
        pems,
        [pem.decode() for pem in pems],
        certificates,
        bundle,
        bundle.decode(),
        [bundle],
        ders[0],
        bytearray(ders[0]),
        certificates[0],
        files.server.read_text(),
    ):
        report = context.verify_chain(each, server_hostname="localhost")
        assert report.question.chain[0] == ders[0]
        assert report.path == (*ders[:1], *chain(files.ca))


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ([], ValueError, "the chain is empty"),
        (b"", ValueError, "the chain is empty"),
        ("", ssl.SSLError, "does not contain a certificate"),
        ([b""], ValueError, "certificate 0 is empty"),
        (["text"], ssl.SSLError, "certificate 0 does not contain a certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", ssl.SSLError, "malformed"),
        (None, TypeError, "NoneType"),
        (
            [None],
            TypeError,
            "certificate 0 must be DER bytes, PEM text or a cryptography certificate, not NoneType",
        ),
        ({b"x"}, TypeError, "sequence"),
        (7, TypeError, "int"),
        (b"junk", ssl.SSLCertVerificationError, "is truncated"),
        ([b"\x30\x80"], ssl.SSLCertVerificationError, "cannot be parsed|is truncated"),
    ],
)
def test_what_is_no_chain_is_a_clear_error(
    files: Files, wrong: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        client_context(files.ca).verify_chain(wrong)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"at": datetime(2026, 1, 1)}, ValueError, "aware"),
        ({"at": datetime(1969, 12, 31, tzinfo=UTC)}, ValueError, "1970"),
        ({"at": datetime.min.replace(tzinfo=UTC)}, ValueError, "1970"),
        ({"at": 1_700_000_000}, TypeError, "datetime"),
        ({"purpose": "email"}, ValueError, "purpose"),
        ({"server_hostname": ""}, ValueError, "empty"),
        ({"server_hostname": "a b"}, ValueError, "host name"),
        ({"server_hostname": 4}, TypeError, "str"),
    ],
)
def test_what_is_no_question_is_a_clear_error(
    files: Files, options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        client_context(files.ca).verify_chain(chain(files.server), **options)


def test_a_certificate_is_verified_for_its_purpose(files: Files) -> None:
    server = server_context(files.server)
    server.load_verify_locations(files.ca)
    assert server.verify_chain(chain(files.client)).question.purpose == "client"
    assert server.verify_chain(chain(files.server), purpose="server").question.purpose == "server"
    assert server.verify_chain(chain(files.client), at=datetime.now(UTC)).trusted
    far = datetime(9999, 12, 31, tzinfo=UTC)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        server.verify_chain(chain(files.client), at=far)
