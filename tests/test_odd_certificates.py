"""What RFC 5280 forbids and real certificates have: nothing warns of it, and one's own can be loaded."""

from __future__ import annotations

import contextlib
import ssl
import threading
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import veritls
from tests.support.connections import SECONDS, client_context, in_thread, server_context, tls_pair
from tests.test_certificate import KEY, ODD, SHAPES, built
from veritls._report.parsed_certificate import readable
from veritls.errors import SSLCertVerificationError


def own_file(der: bytes, folder: Path) -> Path:
    """A certificate for KEY, and that."""
    path = folder / "own.pem"
    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key + ssl.DER_cert_to_PEM_cert(der).encode())
    return path


@pytest.mark.parametrize("serial", [b"\x00", b"\xff"], ids=["zero", "negative"])
def test_nothing_warns_of_a_serial_number_of_zero_or_less(serial: bytes, tmp_path: Path) -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    der = built(names, serial=1).replace(b"\x02\x01\x01", b"\x02\x01" + serial, 1)
    own = own_file(der, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        server, client = server_context(own), client_context(own)
        with tls_pair(server, client) as (server_end, client_end):
            assert client_end.getpeercert()["serialNumber"] in ("00", "-01")
            for end in (server_end, client_end):
                assert end.get_channel_binding("tls-server-end-point")
        assert client.get_ca_certs() == []
        assert client.list_trust()[0].name == "CN=plain"
        assert "serial" in str(client.verify_chain(der, server_hostname="localhost"))
        other = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        with pytest.raises(SSLCertVerificationError) as refused:
            other.verify_chain(der, server_hostname="localhost")
        report = refused.value.report
        assert (report.kind, report.certificates[0].problem) == ("self_signed", "")
        assert report.certificates[0].serial in ("00", "-01")


def test_nothing_warns_of_a_serial_number_where_two_threads_read_certificates_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    der = built(names, serial=1).replace(b"\x02\x01\x01", b"\x02\x01\xff", 1)
    load, first_is_over = x509.load_der_x509_certificate, threading.Event()
    both_are_within = threading.Barrier(2)

    def load_in_turn(der: bytes, number: int) -> x509.Certificate:
        with contextlib.suppress(threading.BrokenBarrierError):
            both_are_within.wait(0.5)
            if number == 2:
                first_is_over.wait(SECONDS)
        return load(der)

    def read(number: int) -> int:
        here.number = number
        return readable(der).version.value

    here = threading.local()
    monkeypatch.setattr(x509, "load_der_x509_certificate", lambda der: load_in_turn(der, here.number))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        first, second = (in_thread(read, number) for number in (1, 2))
        first.result(SECONDS)
        first_is_over.set()
        second.result(SECONDS)
        assert warnings.filters == filters


@pytest.mark.parametrize(
    "der",
    [*SHAPES.values(), *(certificate for certificate, _, _ in ODD.values())],
    ids=[*SHAPES, *ODD],
)
def test_ones_own_certificate_is_loaded_whatever_its_names_are(der: bytes, tmp_path: Path) -> None:
    own = own_file(der, tmp_path)
    for role in (veritls.PROTOCOL_TLS_SERVER, veritls.PROTOCOL_TLS_CLIENT):
        context = veritls.SSLContext(role)
        context.load_cert_chain(own)
        assert [each.chain for each in context._identities()] == [[der]]
