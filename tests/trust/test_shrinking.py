"""Trust and own identities can shrink: removed, replaced in one change, cleared, listed."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.resumption.meeting import OurClient, TheirClient, meet
from tests.settings.test_one_value import interrupted
from tests.support.certificates import DAY, NOW, Party, new_key, pem
from tests.support.connections import tls_pair
from tests.trust.domains import A_CA, B_CA, BUNDLES, A, B, kind

ONE, TWO = Party("One", ca=True), Party("Two", ca=True)
MIDDLE = Party("Middle", ONE, ca=True)
OF_ONE, OF_TWO = ONE.issue("localhost"), TWO.issue("localhost")
BELOW = MIDDLE.issue("localhost")


def client(*anchors: Party) -> Any:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    for each in anchors:
        context.load_verify_locations(cadata=each.pem.decode())
    return context


def own_server(*parties: Party) -> Any:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    for each in parties:
        context.load_cert_chain(each.identity(*each.above))
    return context


class TestTrust:
    """Anchors, what stands beside them, and CRLs."""

    def test_an_anchor_that_is_removed_is_none_any_more(self) -> None:
        context = client(ONE, TWO)
        before = context.generation
        assert context.remove_trust(ONE.pem.decode()) == 1
        assert (kind(context, OF_ONE), kind(context, OF_TWO)) == ("unknown_issuer", "")
        assert [each.der for each in context.list_trust()] == [TWO.der]
        assert context.get_ca_certs(binary_form=True) == [TWO.der]
        assert context.generation == before + 1
        assert context.remove_trust([ONE.der, OTHER.der]) == 0
        assert context.generation == before + 1

    def test_what_is_removed_may_be_given_in_every_form(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        file.write_bytes(ONE.pem)
        for form in (ONE.pem, ONE.der, ONE.certificate, [ONE.certificate], [ONE.der], file, str(file)):
            context = client(ONE, TWO)
            assert context.remove_trust(form) == 1

    @pytest.mark.parametrize(
        ("given", "error"),
        [
            (None, TypeError),
            ([], ValueError),
            ([1], TypeError),
            ("/nowhere", OSError),
            (b"\x30\x82\0", ssl.SSLError),
        ],
    )
    def test_what_is_no_certificate_removes_nothing(self, given: Any, error: type[Exception]) -> None:
        context = client(ONE)
        with pytest.raises(error):
            context.remove_trust(given)
        assert kind(context, OF_ONE) == ""

    def test_the_last_one_may_go_and_the_refusal_says_that_there_is_none(self) -> None:
        context = client(ONE)
        context.remove_trust(ONE.der)
        with pytest.raises(veritls.SSLCertVerificationError, match="contains no trust anchors"):
            context.verify_chain([OF_ONE.der])

    def test_one_that_is_removed_from_a_bundle_map_is_gone_and_the_map_stays(self) -> None:
        context: Any = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cadata=TWO.pem.decode())
        context.spiffe_bundles = {A: [A_CA.der, B_CA.der], B: B_CA.der}
        assert context.remove_trust(B_CA.der) == 1
        assert dict(context.spiffe_bundles) == {A: (A_CA.der,)}
        assert context.remove_trust(A_CA.der) == 1
        assert context.spiffe_bundles is not None and not context.spiffe_bundles
        assert kind(context, OF_TWO) == "spiffe_id"

    def test_a_replacement_leaves_nothing_of_the_former(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        file.write_bytes(TWO.pem)
        for arguments in ({"cafile": file}, {"cadata": TWO.pem.decode()}, {"cadata": [TWO.certificate]}):
            context = client(ONE)
            context.load_verify_locations(cadata=MIDDLE.pem.decode())
            before = context.generation
            context.replace_trust(**arguments)
            assert context.generation == before + 1
            assert (kind(context, OF_ONE), kind(context, OF_TWO)) == ("unknown_issuer", "")
            assert kind(context, BELOW, MIDDLE) == "unknown_issuer"
            assert [each.der for each in context.list_trust()] == [TWO.der]

    def test_a_replacement_that_fails_keeps_the_former(self, tmp_path: Path) -> None:
        context = client(ONE)
        (tmp_path / "empty.pem").touch()
        for wrong, error in (
            ({}, TypeError),
            ({"cafile": tmp_path / "none.pem"}, OSError),
            ({"cafile": tmp_path / "empty.pem"}, ssl.SSLError),
            ({"cadata": ""}, ValueError),
            ({"cadata": TWO.der[:-1]}, ssl.SSLError),
        ):
            with pytest.raises(error):
                context.replace_trust(**wrong)
        assert kind(context, OF_ONE) == ""

    def test_crls_and_intermediates_stay_and_revoke_as_before(self) -> None:
        context = client(ONE, TWO)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        context.load_crls([ONE.crl(OF_ONE), TWO.crl()])
        context.load_intermediates(MIDDLE.der)
        context.replace_trust(cadata=TWO.pem.decode())
        context.replace_trust(cadata=ONE.pem.decode() + TWO.pem.decode())
        assert (kind(context, OF_ONE), kind(context, OF_TWO)) == ("revoked", "")
        assert [each.kind for each in context.list_trust()] == [
            "anchor",
            "anchor",
            "intermediate",
            "crl",
            "crl",
        ]

    def test_a_replacement_and_clearing_end_a_bundle_map(self) -> None:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.spiffe_bundles = BUNDLES
        context.replace_trust(cadata=ONE.pem.decode())
        assert context.spiffe_bundles is None and kind(context, OF_ONE) == ""
        context.spiffe_bundles = BUNDLES
        assert context.clear_trust() == 3
        assert context.spiffe_bundles is None and kind(context, OF_ONE) == "unknown_issuer"
        assert context.clear_trust() == 0

    def test_crls_in_a_replacing_file_are_added(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        file.write_bytes(ONE.pem + pem(ONE.crl(OF_ONE)))
        context = client(TWO)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        context.replace_trust(file)
        assert kind(context, OF_ONE) == "revoked"

    def test_an_intermediate_of_the_trust_set_is_removed_too(self) -> None:
        context = client(ONE, MIDDLE)
        assert kind(context, BELOW) == ""
        assert context.remove_trust(MIDDLE.der) == 1
        assert kind(context, BELOW) == "unknown_issuer"

    def test_a_replacement_that_is_interrupted_anywhere_happens_whole_or_not_at_all(self) -> None:
        found = set()
        for context in interrupted(lambda: client(ONE), lambda each: each.replace_trust(cadata=TWO.der)):
            found.add((kind(context, OF_ONE), kind(context, OF_TWO)))
        assert found == {("", "unknown_issuer"), ("unknown_issuer", "")}

    def test_a_connection_that_exists_goes_on(self) -> None:
        context = client(ONE)
        with tls_pair(own_server(OF_ONE), context) as (server_end, client_end):
            context.clear_trust()
            server_end.sendall(b"x")
            assert client_end.recv(1) == b"x"


OTHER = Party("Other", ca=True)
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def _remove(context: Any) -> None:
    context.remove_trust(ONE.der)


def _replace(context: Any) -> None:
    context.replace_trust(cadata=TWO.pem.decode())


@VERSIONS
@pytest.mark.parametrize("transport", ["sockets", "asyncio"])
@pytest.mark.parametrize("strike", [_remove, _replace, lambda context: context.clear_trust()])
@pytest.mark.parametrize("reverify", [True, False])
class TestResumption:
    """A session does not outlive the anchor by which its peer was verified."""

    def test_of_a_client_ends(
        self, transport: str, version: ssl.TLSVersion, strike: Any, reverify: bool, tmp_path: Path
    ) -> None:
        server = own_server(OF_ONE)
        server.load_verify_locations(cadata=ONE.pem.decode() + TWO.pem.decode())
        server.verify_mode, server.reverify_on_resumption = ssl.CERT_REQUIRED, reverify
        attacker = TheirClient(ssl.PROTOCOL_TLS_CLIENT)
        attacker.load_verify_locations(cadata=ONE.pem.decode())
        attacker.load_cert_chain(OF_ONE.file(tmp_path))
        attacker.minimum_version = attacker.maximum_version = version
        session = meet(transport, server, attacker, "localhost").client.session
        met = meet(transport, server, attacker, "localhost", session)
        assert met.resumed
        session = meet(transport, server, attacker, "localhost").client.session
        strike(server)
        met = meet(transport, server, attacker, "localhost", session)
        assert isinstance(met.server.error, ssl.SSLCertVerificationError)

    def test_of_a_server_ends(
        self, transport: str, version: ssl.TLSVersion, strike: Any, reverify: bool, tmp_path: Path
    ) -> None:
        asks = OurClient(veritls.PROTOCOL_TLS_CLIENT)
        asks.load_verify_locations(cadata=ONE.pem.decode() + TWO.pem.decode())
        asks.minimum_version = asks.maximum_version = version
        asks.reverify_on_resumption = reverify
        server = own_server(OF_ONE)
        session = meet(transport, server, asks, "localhost").client.session
        assert meet(transport, server, asks, "localhost", session).resumed
        session = meet(transport, server, asks, "localhost").client.session
        strike(asks)
        met = meet(transport, server, asks, "localhost", session)
        assert isinstance(met.client.error, ssl.SSLCertVerificationError)


class TestIdentities:
    """Own certificates."""

    A_NAME, B_NAME = ONE.issue("a.example", "b.example"), MIDDLE.issue("c.example")
    RSA = ONE.issue("localhost", key=new_key("RSA"), end=NOW + DAY)

    def test_they_are_listed_without_a_key(self) -> None:
        context = own_server(self.A_NAME, self.B_NAME, self.RSA)
        found = context.list_identities()
        assert [each.chain for each in found] == [
            (self.B_NAME.der, MIDDLE.der),
            (self.A_NAME.der,),
            (self.RSA.der,),
        ]
        assert all(isinstance(each, veritls.OwnIdentity) for each in found)
        of_rsa: Any = found[-1]
        assert (of_rsa.subject, of_rsa.key) == ("CN=a peer", "RSA")
        assert of_rsa.names == (("DNS", "localhost"),)
        assert of_rsa.not_after == NOW + DAY
        assert of_rsa.sha256 == hashlib.sha256(self.RSA.der).hexdigest()
        with pytest.raises(AttributeError):
            of_rsa.key = "ECDSA"
        assert self.RSA.key_der not in b"".join(of_rsa.chain)

    def test_one_that_is_removed_is_not_sent_any_more(self) -> None:
        context = own_server(OF_ONE, self.A_NAME)
        before = context.generation
        assert context.remove_identity(context.list_identities()[0].chain[0]) == 1
        assert context.generation == before + 1
        with tls_pair(context, client(ONE)) as (_, end):
            assert end.getpeercert(True) == OF_ONE.der
        assert context.remove_identity(self.A_NAME.der) == 0
        assert context.generation == before + 1

    def test_a_server_without_any_refuses_to_serve(self) -> None:
        context = own_server(OF_ONE)
        context.remove_identity(OF_ONE.certificate)
        assert context.list_identities() == []
        with pytest.raises((ssl.SSLError, ConnectionError)), tls_pair(context, client(ONE)):
            pass

    def test_a_replacement_leaves_nothing_of_the_former(self, tmp_path: Path) -> None:
        context = own_server(OF_ONE, self.A_NAME)
        before = context.generation
        context.replace_identities(
            [
                (self.RSA.file(tmp_path),),
                (self.B_NAME.pem, self.B_NAME.key_pem),
                (OF_TWO.identity(), None, None),
            ]
        )
        assert context.generation == before + 1
        assert {each.chain[0] for each in context.list_identities()} == {
            self.RSA.der,
            self.B_NAME.der,
            OF_TWO.der,
        }
        context.replace_identities([])
        assert context.list_identities() == []

    @pytest.mark.parametrize(
        ("given", "error"),
        [
            (None, TypeError),
            ([OF_TWO.identity()], TypeError),
            ([()], TypeError),
            ([(OF_TWO.identity(),), ("/nowhere",)], OSError),
            ([(OF_TWO.identity(),), (OF_ONE.pem, OF_TWO.key_pem)], ssl.SSLError),
        ],
    )
    def test_a_replacement_that_fails_keeps_the_former(self, given: Any, error: type[Exception]) -> None:
        context = own_server(OF_ONE)
        with pytest.raises(error):
            context.replace_identities(given)
        assert [each.chain for each in context.list_identities()] == [(OF_ONE.der,)]

    def test_a_client_keeps_one_of_each_kind_of_key(self) -> None:
        context = client()
        context.replace_identities([(OF_ONE.identity(),), (self.RSA.identity(),), (OF_TWO.identity(),)])
        assert [each.chain[0] for each in context.list_identities()] == [OF_TWO.der, self.RSA.der]

    def test_a_session_ends_with_the_identity(self, tmp_path: Path) -> None:
        context = own_server(OF_ONE, self.A_NAME)
        asks = OurClient(veritls.PROTOCOL_TLS_CLIENT)
        asks.load_verify_locations(cadata=ONE.pem.decode())
        session = meet("sockets", context, asks, "localhost").client.session
        context.remove_identity(self.A_NAME.der)
        met = meet("sockets", context, asks, "localhost", session)
        assert met.server.error is None and not met.resumed

    def test_a_response_is_renewed_for_each_of_a_replacement(self) -> None:
        asked: list[bytes] = []
        context = own_server(OF_ONE)
        context.set_ocsp_response(lambda certificate, _: asked.append(certificate.fingerprint))
        del asked[:]
        context.replace_identities([(self.RSA.identity(),), (self.A_NAME.identity(),)])
        assert len(asked) == 2
        context.set_ocsp_response(None)
