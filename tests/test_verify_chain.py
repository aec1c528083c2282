"""verify_chain: the decision without a connection."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Files
from tests.pairs import client_context
from veritls.pem import pem_certificates


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
