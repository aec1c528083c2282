"""Whom a context trusts: files, folders, memory, `cryptography` objects and certifi, and as a list."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509

import veritls
from tests.revocation.answers import clients
from tests.support.certificates import DAY, NOW, Party, der, pem
from veritls._context.trust_entries import TrustEntry

ROOT, OTHER = Party("Root", ca=True), Party("Other", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF = Party("leaf", MIDDLE)


def trusts(context: veritls.SSLContext) -> bool:
    try:
        return context.verify_chain([LEAF.der], server_hostname="localhost").trusted
    except ssl.SSLCertVerificationError:
        return False


def test_certificate_objects_are_trusted_one_or_several_and_with_lists() -> None:
    for data in (
        [ROOT.certificate, MIDDLE.certificate],
        (each.certificate for each in (ROOT, MIDDLE)),
        [ROOT.certificate, MIDDLE.crl(), MIDDLE.certificate],
    ):
        assert trusts(clients(data))
    context = clients(ROOT.certificate)
    assert not trusts(context)
    context.load_verify_locations(cadata=MIDDLE.certificate)
    assert trusts(context)


def test_all_ways_add_up(tmp_path: Path) -> None:
    file, folder = tmp_path / "ca.pem", tmp_path / "folder"
    folder.mkdir()
    file.write_bytes(OTHER.pem)
    (folder / "0123abcd.0").write_bytes(MIDDLE.pem)
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file, folder, ROOT.certificate)
    context.load_verify_locations(certifi.where())
    assert trusts(context)
    sources = [entry.source for entry in context.list_trust()]
    assert sources[:3] == ["cadata", repr(str(file)), repr(str(folder / "0123abcd.0"))]
    assert set(sources[3:]) == {repr(certifi.where())}


def test_the_list_says_what_each_is_its_name_its_end_and_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "all.pem"
    file.write_bytes(ROOT.pem + MIDDLE.pem + pem(MIDDLE.crl()))
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    assert context.list_trust() == [
        TrustEntry("anchor", "CN=Root", NOW + 30 * DAY, repr(str(file)), ROOT.der),
        TrustEntry("intermediate", "CN=Middle", NOW + 30 * DAY, repr(str(file)), MIDDLE.der),
        TrustEntry("crl", "CN=Middle", NOW + DAY, repr(str(file)), context.list_trust()[2].der),
    ]
    assert x509.load_der_x509_crl(context.list_trust()[2].der).issuer == MIDDLE.name
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    assert [entry.kind for entry in context.list_trust()] == ["anchor", "anchor", "crl"]


def test_the_list_shows_those_of_a_folder_too_though_get_ca_certs_does_not_yet(tmp_path: Path) -> None:
    (tmp_path / "0123abcd.0").write_bytes(ROOT.pem)
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(capath=tmp_path)
    assert context.get_ca_certs() == []
    assert [entry.name for entry in context.list_trust()] == ["CN=Root"]


def test_the_systems_store_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    entries = context.list_trust()
    assert len(entries) == len({entry.der for entry in entries})
    assert {entry.source for entry in entries} <= {"the system"}
    assert all(isinstance(entry.expires, datetime.datetime) for entry in entries)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ([], ValueError),
        ([ROOT.certificate, ROOT.der], TypeError),
        ([ROOT.certificate, 7], TypeError),
        ([ROOT.certificate, LEAF.key], TypeError),
        (7, TypeError),
        (LEAF.key, TypeError),
        (bytearray(), ValueError),
        ("", ValueError),
        ("Wurzel für alle", TypeError),
        (bytes(100), ssl.SSLError),
        (der(ROOT.crl()), ssl.SSLError),
    ],
)
def test_what_is_no_trust_anchor_is_refused_and_adds_nothing(data: Any, kind: type[Exception]) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    with pytest.raises(kind):
        context.load_verify_locations(cadata=data)
    assert context.list_trust() == []
