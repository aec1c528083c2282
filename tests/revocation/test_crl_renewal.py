"""CRLs that follow one another: replaced, read again, seen by a running server."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
from tests.revocation.answers import CRL_CHAIN, CRL_LEAF, clients, code, code_in_handshake, serving
from tests.support.certificates import DAY, HOUR, NOW, Party, new_key, pem
from tests.support.connections import tls_pair

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF, GOOD = Party("leaf", MIDDLE), Party("good", MIDDLE)
REVOKED, UNKNOWN, EXPIRED, SIGNATURE, NOT_A_SIGNER = 23, 3, 12, 8, 35


def context(*crls: x509.CertificateRevocationList, flags: int = CRL_LEAF) -> veritls.SSLContext:
    made = clients([ROOT.certificate, MIDDLE.certificate], flags)
    if crls:
        made.load_crls(crls)
    return made


class TestReplacement:
    def test_a_newer_crl_replaces_and_an_older_one_does_not(self) -> None:
        asking = context(MIDDLE.crl(number=5))
        assert code(asking, LEAF) == 0
        assert asking.load_crls(MIDDLE.crl(LEAF, number=4)) == 0
        assert code(asking, LEAF) == 0
        assert asking.load_crls(MIDDLE.crl(LEAF, number=6)) == 1
        assert code(asking, LEAF) == REVOKED
        assert asking.load_crls(MIDDLE.crl(number=5)) == 0
        assert code(asking, LEAF) == REVOKED
        assert asking.cert_store_stats()["crl"] == 1

    def test_numbers_of_any_size_are_compared_as_numbers(self) -> None:
        asking = context(MIDDLE.crl(number=255))
        assert asking.load_crls(MIDDLE.crl(LEAF, number=256)) == 1
        assert asking.load_crls(MIDDLE.crl(number=1 << 150)) == 1
        assert code(asking, LEAF) == 0

    def test_without_a_number_the_time_decides(self) -> None:
        asking = context(MIDDLE.crl(LEAF, number=None, since=NOW - HOUR))
        assert asking.load_crls(MIDDLE.crl(number=None, since=NOW - 2 * HOUR)) == 0
        assert asking.load_crls(MIDDLE.crl(number=None, since=NOW - HOUR / 2)) == 1
        assert code(asking, LEAF) == 0

    def test_an_older_one_is_taken_where_it_is_told_so(self) -> None:
        asking = context(MIDDLE.crl(LEAF, number=6))
        assert asking.load_crls(MIDDLE.crl(number=5), allow_older=True) == 1
        assert code(asking, LEAF) == 0

    def test_the_crls_of_two_keys_of_one_name_stand_side_by_side(self) -> None:
        again = Party("Middle", ROOT, ca=True)
        other = Party("leaf", again)
        asking = clients([ROOT.certificate, MIDDLE.certificate, again.certificate], CRL_LEAF)
        asking.load_crls([MIDDLE.crl(LEAF), again.crl(number=2)])
        assert (code(asking, LEAF), code(asking, GOOD), code(asking, other)) == (REVOKED, 0, 0)

    def test_an_expired_crl_is_refused(self) -> None:
        assert code(context(MIDDLE.crl(until=NOW - HOUR / 2)), LEAF) == EXPIRED
        asking = context(MIDDLE.crl())
        assert code(asking, LEAF, at=NOW + DAY / 2) == 0
        later = Party("leaf", MIDDLE, start=NOW - DAY, end=NOW + DAY)
        assert code(asking, later, at=NOW + DAY - HOUR / 60) == 0


class TestReload:
    def test_reads_the_files_and_folders_again(self, tmp_path: Path) -> None:
        file, folder = tmp_path / "crl.pem", tmp_path / "folder"
        folder.mkdir()
        file.write_bytes(pem(MIDDLE.crl(number=1)))
        asking = context(flags=CRL_CHAIN)
        asking.load_crls(file)
        asking.load_verify_locations(capath=folder)
        assert asking.reload_crls() == 0
        assert code(asking, LEAF) == UNKNOWN
        (folder / "9d66eef0.r0").write_bytes(pem(ROOT.crl()))
        assert asking.reload_crls() == 1
        assert code(asking, LEAF) == 0
        file.write_bytes(pem(MIDDLE.crl(LEAF, number=2)))
        assert asking.reload_crls() == 1
        assert code(asking, LEAF) == REVOKED
        (folder / "9d66eef0.r0").unlink()
        assert asking.reload_crls() == 0
        assert (code(asking, GOOD), asking.cert_store_stats()["crl"]) == (0, 2)

    def test_reads_the_crls_beside_the_trust_anchors_again(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        file.write_bytes(ROOT.pem + MIDDLE.pem + pem(MIDDLE.crl(number=1)))
        asking = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        asking.load_verify_locations(file)
        asking.verify_flags |= CRL_LEAF
        file.write_bytes(ROOT.pem + MIDDLE.pem + pem(MIDDLE.crl(LEAF, number=2)))
        assert asking.reload_crls() == 1
        assert code(asking, LEAF) == REVOKED

    def test_that_fails_changes_nothing(self, tmp_path: Path) -> None:
        first, second = tmp_path / "first.pem", tmp_path / "second.pem"
        first.write_bytes(pem(MIDDLE.crl(LEAF, number=1)))
        second.write_bytes(pem(ROOT.crl(number=1)))
        asking = context(flags=CRL_CHAIN)
        asking.load_crls(first)
        asking.load_crls(second)
        first.write_bytes(pem(MIDDLE.crl(number=2)))
        for spoilt in (
            b"",
            b"garbage",
            pem(ROOT.crl(number=2))[:-30],
            pem(ROOT.crl(key=new_key(), number=2)),
        ):
            second.write_bytes(spoilt)
            with pytest.raises(ssl.SSLError, match=r"second\.pem"):
                asking.reload_crls()
            assert code(asking, LEAF) == REVOKED
        second.unlink()
        with pytest.raises(FileNotFoundError):
            asking.reload_crls()
        assert code(asking, LEAF) == REVOKED

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_is_seen_by_new_connections_and_ends_the_clients_sessions(self, version: Any) -> None:
        asking = context(MIDDLE.crl(number=1))
        asking.minimum_version = asking.maximum_version = version
        server = serving(LEAF, MIDDLE)
        with tls_pair(server, asking) as (server_end, client_end):
            server_end.sendall(b"x")
            client_end.recv(1)
            session = client_end.session
        with tls_pair(server, asking, session=session) as (server_end, client_end):
            assert client_end.session_reused
            server_end.sendall(b"x")
            client_end.recv(1)
            session = client_end.session
        assert asking.load_crls(MIDDLE.crl(number=1)) <= 1
        asking.load_crls(MIDDLE.crl(LEAF, number=2))
        with pytest.raises(ssl.SSLCertVerificationError), tls_pair(server, asking, session=session):
            pass

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_ends_the_tickets_that_a_server_gave(self, version: Any) -> None:
        server = serving(Party("localhost", ROOT))
        server.load_verify_locations(cadata=[ROOT.certificate, MIDDLE.certificate])
        server.verify_mode, server.verify_flags = ssl.CERT_REQUIRED, CRL_LEAF
        server.load_crls(MIDDLE.crl(number=1))
        client = clients(ROOT.certificate)
        client.minimum_version = client.maximum_version = version
        client.load_cert_chain(LEAF.certificate, LEAF.key)

        def exchange(session: Any) -> tuple[Any, bool]:
            with tls_pair(server, client, session=session) as (server_end, client_end):
                server_end.sendall(b"x")
                assert client_end.recv(1) == b"x"
                return client_end.session, client_end.session_reused

        session, _ = exchange(None)
        session, reused = exchange(session)
        assert reused
        server.load_crls(MIDDLE.crl(LEAF, number=2))
        with pytest.raises(ssl.SSLError):
            exchange(session)


def test_a_running_server_learns_of_a_revocation_without_a_restart() -> None:
    server = serving(Party("localhost", ROOT))
    server.load_verify_locations(cadata=[ROOT.certificate, MIDDLE.certificate])
    server.verify_mode, server.verify_flags = ssl.CERT_REQUIRED, CRL_LEAF
    server.load_crls(MIDDLE.crl(number=1))
    client = clients(ROOT.certificate)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.load_cert_chain(LEAF.certificate, LEAF.key)
    assert code_in_handshake(client, server) == 0
    with tls_pair(server, client) as (server_end, client_end):
        server.load_crls(MIDDLE.crl(LEAF, number=2))
        client_end.sendall(b"open")
        assert server_end.recv(10) == b"open"
    with pytest.raises(ssl.SSLError, match=r"(?i)alert|revoked"), tls_pair(server, client):
        pass
