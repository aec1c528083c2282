"""An anchor vouches only for its own SPIFFE trust domain: each attempt to be trusted under another fails."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.operate.ways import ask, serving, ways
from tests.resumption.meeting import OurClient, TheirClient, meet
from tests.revocation.responses import response
from tests.support.certificates import (
    SERVES_AND_SIGNS,
    Party,
    key_usage,
    raw_names,
)
from tests.support.memory import connect
from tests.trust.domains import A_CA, B_CA, BUNDLES, EVERY_WORKLOAD, A, B, client, kind, server, svid, uri

V = ssl.TLSVersion
versions = pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
sides = pytest.mark.parametrize("side", [server, client])

OF_A, OF_B = svid(A_CA, f"spiffe://{A}/web"), svid(B_CA, f"spiffe://{B}/web")
IMPOSTOR = svid(A_CA, f"spiffe://{B}/web")
"""Signed by the CA of A, with an ID of B."""
UNDER_A, UNDER_B = Party("Middle", A_CA, ca=True), Party("Middle", B_CA, ca=True)


class TestChains:
    """verify_chain(), for servers' and clients' certificates."""

    @sides
    def test_each_ca_vouches_for_its_own_domain(self, side: Any) -> None:
        assert kind(side(), OF_A) == kind(side(), OF_B) == ""
        assert kind(side(), svid(UNDER_A, f"spiffe://{A}/x"), UNDER_A) == ""

    @sides
    @pytest.mark.parametrize("flags", [0, ssl.VERIFY_X509_PARTIAL_CHAIN, ssl.VERIFY_X509_STRICT])
    @pytest.mark.parametrize(
        "sent",
        [
            (),
            (A_CA,),
            (A_CA, B_CA),
            (B_CA, A_CA),
            (UNDER_A, A_CA),
        ],
    )
    def test_a_ca_of_one_domain_vouches_for_no_id_of_another(
        self, side: Any, sent: tuple[Party, ...], flags: int
    ) -> None:
        context = side()
        context.verify_flags |= flags
        assert kind(context, IMPOSTOR, *sent) in ("unknown_issuer", "self_signed_in_chain")

    @sides
    def test_it_does_not_by_an_intermediate_either(self, side: Any) -> None:
        below = svid(UNDER_A, f"spiffe://{B}/web")
        assert kind(side(), below, UNDER_A) == "unknown_issuer"
        context = side()
        context.load_intermediates([UNDER_A.der, A_CA.der])
        assert kind(context, below) == "unknown_issuer"

    @sides
    def test_nor_by_a_certificate_with_the_name_and_the_uri_of_the_others_ca(self, side: Any) -> None:
        forged = Party(B_CA.name, A_CA, ca=True, names=[uri(f"spiffe://{B}")])
        assert kind(side(), svid(forged, f"spiffe://{B}/web"), forged, A_CA) != ""
        # With the key of the real one: a cross-certificate.
        crossed = Party(B_CA.name, A_CA, ca=True, key=B_CA.key)
        assert kind(side(), OF_B, crossed, A_CA) == ""
        assert kind(side(bundles={A: A_CA.der}), OF_B, crossed, A_CA) == "trust_domain"
        assert kind(side(bundles={A: A_CA.der, B: Party("Other", ca=True).der}), OF_B, crossed) != ""

    @sides
    def test_a_cross_certificate_of_the_other_way_lets_only_who_signed_it_vouch(self, side: Any) -> None:
        # B's CA certified A's key: that is B's decision, about IDs of B.
        crossed = Party(A_CA.name, B_CA, ca=True, key=A_CA.key)
        assert kind(side(), IMPOSTOR, crossed) == ""
        assert kind(side(bundles={A: A_CA.der}), IMPOSTOR, crossed) == "trust_domain"
        assert kind(side(bundles={B: B_CA.der}), OF_A, crossed) == "trust_domain"

    @sides
    def test_the_uri_of_an_intermediate_chooses_nothing(self, side: Any) -> None:
        named = Party("Named", A_CA, ca=True, names=[uri(f"spiffe://{B}")])
        assert kind(side(), svid(named, f"spiffe://{A}/web"), named) == ""
        assert kind(side(), svid(named, f"spiffe://{B}/web"), named) == "unknown_issuer"

    @sides
    @pytest.mark.parametrize(
        ("names", "why"),
        [
            ((), "contains no URI"),
            (("localhost",), "contains no URI"),
            ((uri(f"spiffe://{A}/x"), uri(f"spiffe://{B}/x")), "more than one URI"),
            ((uri(f"spiffe://{A}/x"), uri(f"spiffe://{A}/x")), "more than one URI"),
            ((uri(f"spiffe://{A}/x"), uri("https://a.example/")), "more than one URI"),
            *(
                ((uri(text),), "not a SPIFFE ID with a path")
                for text in (
                    f"spiffe://{A}",
                    f"spiffe://{A}/",
                    f"spiffe://{A}/x/",
                    f"spiffe://{A}//x",
                    f"spiffe://{A}/./x",
                    f"spiffe://{A}/../{B}/x",
                    f"spiffe://{A}:443/x",
                    f"spiffe://{B}@{A}/x",
                    f"spiffe://{A.upper()}/x",
                    f"spiffe://{A}./%78",
                    f"spiffe://{A}/x?y",
                    f"spiffe://{A}/x#y",
                    f"SPIFFE://{A}/x",
                    f" spiffe://{A}/x",
                    f"spiffe:///{A}/x",
                    f"spiffe:{A}/x",
                    f"https://{A}/x",
                    f"spiffe://{A}/{'x' * 2048}",
                )
            ),
        ],
    )
    def test_a_peer_without_exactly_one_id_is_refused(self, side: Any, names: Any, why: str) -> None:
        peer = A_CA.issue(*names)
        with pytest.raises(veritls.SSLCertVerificationError, match=why) as refused:
            side().verify_chain([peer.der])
        assert refused.value.report.kind == "spiffe_id"
        assert refused.value.verify_code == 50

    @sides
    @pytest.mark.parametrize(
        "raw",
        [
            b"\x30\x00",
            b"",
            b"\x30\x05\x81",
            b"\x30\x04\x86\x02\xff\xff",
            b"\x30\x17\x86\x15spiffe://a.example/\x00x",
        ],
    )
    def test_names_that_cannot_be_read_are_no_id(self, side: Any, raw: bytes) -> None:
        assert kind(side(), A_CA.issue(san=raw_names(raw))) == "spiffe_id"

    @sides
    def test_other_names_beside_the_one_uri_do_not_matter(self, side: Any) -> None:
        assert kind(side(), A_CA.issue("localhost", B, uri(f"spiffe://{A}/x"))) == ""

    @sides
    def test_a_certificate_that_may_sign_others_has_no_id(self, side: Any) -> None:
        ca = Party("CA", A_CA, ca=True, names=[uri(f"spiffe://{A}/x")])
        signs = svid(A_CA, f"spiffe://{A}/x", usage=SERVES_AND_SIGNS)
        crls = svid(A_CA, f"spiffe://{A}/x", usage=key_usage(serves=True, crls=True))
        for each in (ca, signs, crls):
            assert kind(side(), each) == "spiffe_id"

    @sides
    def test_a_domain_without_a_bundle_is_refused_by_its_name(self, side: Any) -> None:
        context = side(bundles={A: A_CA.der})
        with pytest.raises(veritls.SSLCertVerificationError) as refused:
            context.verify_chain([OF_B.der])
        report = refused.value.report
        assert report.kind == "trust_domain"
        assert (
            "spiffe://b.example/web" in report.sentence
            and "known trust domains: a.example" in report.sentence
        )
        assert report.remedies == ("If you trust this trust domain, add its bundle to spiffe_bundles.",)
        assert next(each for each in report.checks if each.verdict == "failed").name == "trust domain"

    @sides
    def test_a_ca_of_a_bundle_is_no_peer(self, side: Any) -> None:
        with_id = Party("CA", ca=True, names=[uri(f"spiffe://{A}/x")], usage=SERVES_AND_SIGNS)
        assert kind(side(bundles={A: with_id.der}), with_id) == "spiffe_id"

    @sides
    def test_other_anchors_of_the_context_do_not_count(self, side: Any) -> None:
        context = side(bundles={B: B_CA.der})
        context.load_verify_locations(cadata=A_CA.pem.decode())
        context.load_verify_locations(cadata=IMPOSTOR.der)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        assert kind(context, IMPOSTOR) == "unknown_issuer"
        assert kind(context, OF_A) == "trust_domain"
        own = Party("own", names=[uri(f"spiffe://{B}/web")])
        context.load_verify_locations(cadata=own.der)
        assert kind(context, own) == "self_signed"

    @sides
    def test_a_certificate_that_two_bundles_have_vouches_for_both(self, side: Any) -> None:
        context = side(bundles={A: [A_CA.der, B_CA.der], B: A_CA.der})
        assert kind(context, IMPOSTOR) == kind(context, svid(B_CA, f"spiffe://{A}/x")) == ""
        assert kind(context, OF_B) == "unknown_issuer"

    @sides
    def test_crls_revoke_in_their_own_domain(self, side: Any) -> None:
        context = side()
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        context.load_crls([A_CA.crl(OF_A), B_CA.crl()])
        assert kind(context, OF_A) == "revoked"
        assert kind(context, OF_B) == ""
        assert kind(context, svid(A_CA, f"spiffe://{A}/other")) == ""

    def test_a_stapled_response_counts_by_the_ca_of_the_domain(self) -> None:
        context = client()
        context.require_ocsp = True
        assert kind(context, OF_A) == "ocsp_missing"
        assert kind(context, OF_A, ocsp_response=response(OF_A)) == ""
        assert kind(context, OF_A, ocsp_response=response(OF_A, signer=B_CA)) == "ocsp_signature"

    def test_the_report_of_a_missing_issuer_names_the_bundle(self) -> None:
        with pytest.raises(veritls.SSLCertVerificationError, match=r"bundle of the trust domain b\.example"):
            server().verify_chain([IMPOSTOR.der])

    def test_the_report_of_a_trusted_peer_names_its_id(self) -> None:
        report = server().verify_chain([OF_A.der])
        [check] = [each for each in report.checks if each.name == "trust domain"]
        assert (check.verdict, check.evidence) == ("passed", f"spiffe://{A}/web")


@ways
@versions
class TestConnections:
    """The same over each transport, on both sides."""

    def test_servers_let_in_workloads_by_their_own_ca_only(self, way: str, version: ssl.TLSVersion) -> None:
        serves = server(OF_A)
        serves.minimum_version = serves.maximum_version = version
        with serving(way, serves) as port:
            assert ask("sockets", port, client(OF_B)) == b"x"
            for wrong in (client(IMPOSTOR), client(A_CA.issue("localhost")), client()):
                assert not _answered(port, wrong)

    def test_clients_connect_to_workloads_by_their_own_ca_only(
        self, way: str, version: ssl.TLSVersion
    ) -> None:
        asks = client(OF_A)
        asks.minimum_version = asks.maximum_version = version
        with serving("sockets", server(OF_B)) as port:
            assert ask(way, port, asks) == b"x"
        for other in (IMPOSTOR, A_CA.issue("localhost"), svid(Party("X", ca=True), f"spiffe://{A}/web")):
            with serving("sockets", server(other)) as port, pytest.raises(ssl.SSLCertVerificationError):
                ask(way, port, asks)


def _answered(port: int, context: Any) -> bytes:
    try:
        return ask("sockets", port, context)
    except OSError:
        return b""


class TestAlerts:
    """What the refused peer is told."""

    @versions
    def test_an_unknown_domain_is_unknown_ca_and_no_id_access_denied(self, version: ssl.TLSVersion) -> None:
        for own, alert in ((OF_B, "UNKNOWN_CA"), (A_CA.issue("localhost"), "ACCESS_DENIED")):
            asks = client(own)
            asks.minimum_version = asks.maximum_version = version
            outcome = connect(server(OF_A, {A: A_CA.der}), asks)
            assert alert in outcome.client_error.reason


class TestModes:
    """CERT_OPTIONAL and CERT_NONE."""

    def test_a_client_without_a_certificate_is_let_in_under_cert_optional(self) -> None:
        serves = server(OF_A)
        serves.verify_mode = ssl.CERT_OPTIONAL
        assert not connect(serves, client()).refused
        assert not connect(serves, client(OF_B)).refused
        for wrong in (IMPOSTOR, A_CA.issue("localhost")):
            assert connect(serves, client(wrong)).refused

    def test_under_cert_none_a_server_requests_none_and_knows_nobody(self) -> None:
        serves = server(OF_A)
        serves.verify_mode = ssl.CERT_NONE
        outcome = connect(serves, client(IMPOSTOR))
        assert not outcome.refused and outcome.server.getpeercert(True) is None
        assert kind(serves, IMPOSTOR) == "unknown_issuer"

    def test_a_client_cannot_be_set_to_cert_none(self) -> None:
        with pytest.raises(ValueError, match="CERT_NONE"):
            client().verify_mode = ssl.CERT_NONE


class TestResumption:
    """A session does not outlive the bundle by which it was verified."""

    def _session(self, transport: str, serves: Any, asks: Any) -> Any:
        met = meet(transport, serves, asks, "localhost")
        assert met.server.error is met.client.error is None
        session = met.client.session
        assert session is not None
        assert meet(transport, serves, asks, "localhost", session).resumed
        return meet(transport, serves, asks, "localhost").client.session

    @versions
    @pytest.mark.parametrize("transport", ["sockets", "asyncio"])
    @pytest.mark.parametrize("reverify", [True, False])
    @pytest.mark.parametrize(
        "after",
        [{A: A_CA.der}, {A: A_CA.der, B: Party("New", ca=True).der}, {A: B_CA.der, B: A_CA.der}],
        ids=["removed", "replaced", "swapped"],
    )
    def test_a_client_of_a_removed_domain_does_not_resume(
        self, transport: str, version: ssl.TLSVersion, after: Any, reverify: bool
    ) -> None:
        serves = server(OF_A)
        serves.reverify_on_resumption = reverify
        asks = TheirClient(ssl.PROTOCOL_TLS_CLIENT)
        asks.check_hostname, asks.verify_mode = False, ssl.CERT_NONE
        asks.minimum_version = asks.maximum_version = version
        _load(asks, OF_B)
        session = self._session(transport, serves, asks)
        serves.spiffe_bundles = after
        met = meet(transport, serves, asks, "localhost", session)
        assert isinstance(met.server.error, ssl.SSLCertVerificationError)

    @versions
    @pytest.mark.parametrize("transport", ["sockets", "asyncio"])
    def test_a_client_does_not_resume_with_a_server_of_a_removed_domain(
        self, transport: str, version: ssl.TLSVersion
    ) -> None:
        asks = OurClient(veritls.PROTOCOL_TLS_CLIENT)
        asks.load_cert_chain(OF_A.identity())
        asks.check_hostname, asks.allowed_peers = False, EVERY_WORKLOAD
        asks.spiffe_bundles = BUNDLES
        asks.minimum_version = asks.maximum_version = version
        serves = server(OF_B)
        session = self._session(transport, serves, asks)
        asks.spiffe_bundles = {A: A_CA.der}
        met = meet(transport, serves, asks, "localhost", session)
        assert isinstance(met.client.error, ssl.SSLCertVerificationError)

    def test_a_ticket_from_before_the_map_is_not_taken(self) -> None:
        serves = server(OF_A, None)
        serves.load_verify_locations(cadata=A_CA.pem.decode())
        asks = TheirClient(ssl.PROTOCOL_TLS_CLIENT)
        asks.check_hostname, asks.verify_mode = False, ssl.CERT_NONE
        _load(asks, IMPOSTOR)
        session = self._session("sockets", serves, asks)
        serves.spiffe_bundles = BUNDLES
        met = meet("sockets", serves, asks, "localhost", session)
        assert isinstance(met.server.error, ssl.SSLCertVerificationError)


def _load(context: ssl.SSLContext, party: Party) -> None:
    """For the standard module, which takes a path."""
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(party.file(Path(folder), *party.above))


class TestSwitching:
    """sni_callback: a bundle map is not left behind, and each map keeps its domains apart."""

    def _switched(self, first: Any, second: Any, own: Party) -> bool:
        first.sni_callback = lambda connection, name, context: setattr(connection, "context", second)
        return not connect(first, client(own)).refused

    def test_a_map_is_not_left_for_a_context_without_one(self) -> None:
        for own, welcome in ((OF_A, True), (OF_B, True), (IMPOSTOR, False), (A_CA.issue("x"), False)):
            second = server(OF_A, None)
            second.load_verify_locations(cadata=A_CA.pem.decode())
            assert self._switched(server(OF_A), second, own) is welcome

    def test_a_context_with_a_map_keeps_it(self) -> None:
        for own, welcome in ((OF_A, True), (OF_B, False), (IMPOSTOR, False), (A_CA.issue("x"), False)):
            first = server(OF_A, None)
            first.load_verify_locations(cadata=A_CA.pem.decode())
            assert self._switched(first, server(OF_A, {A: A_CA.der}), own) is welcome

    def test_of_two_maps_the_domains_of_both_count_with_the_second_s_anchors(self) -> None:
        other = Party("Other CA of B", ca=True)
        of_other = svid(other, f"spiffe://{B}/web")
        for own, welcome in ((OF_A, False), (OF_B, False), (of_other, True), (IMPOSTOR, False)):
            first, second = server(OF_A), server(OF_A, {B: other.der})
            assert self._switched(first, second, own) is welcome
        for own in (OF_A, OF_B):
            assert not self._switched(server(OF_A, {A: A_CA.der}), server(OF_A, {B: B_CA.der}), own)

    def test_where_the_first_map_stays_the_crls_of_the_second_context_count_too(self) -> None:
        for revoked, welcome in (((), True), ((OF_A,), False)):
            first, second = server(OF_A), server(OF_A, None)
            second.load_verify_locations(cadata=A_CA.pem.decode())
            second.load_crls(A_CA.crl(*revoked))
            second.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
            first.unknown_revocation_status = second.unknown_revocation_status = "accept"
            assert self._switched(first, second, OF_A) is welcome

    def test_a_session_of_one_host_is_none_at_the_other(self) -> None:
        front = server(OF_A)
        hosts = {"a.test": server(OF_A), "b.test": server(OF_A, {A: A_CA.der})}
        front.sni_callback = lambda connection, name, _: setattr(connection, "context", hosts[name])
        asks = TheirClient(ssl.PROTOCOL_TLS_CLIENT)
        asks.check_hostname, asks.verify_mode = False, ssl.CERT_NONE
        _load(asks, OF_B)
        session = meet("sockets", front, asks, "a.test").client.session
        met = meet("sockets", front, asks, "b.test", session)
        assert isinstance(met.server.error, ssl.SSLCertVerificationError)


class TestClientsMustNameTheirServers:
    """Any workload of a trust domain could impersonate the server otherwise."""

    def test_setting_a_map_needs_allowed_peers_and_no_host_name(self) -> None:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        for ready in ("check_hostname", "allowed_peers"):
            with pytest.raises(ValueError, match=ready):
                context.spiffe_bundles = BUNDLES
            assert context.spiffe_bundles is None
            if ready == "check_hostname":
                context.check_hostname = False
            else:
                context.allowed_peers = EVERY_WORKLOAD
        context.spiffe_bundles = BUNDLES

    def test_no_later_change_takes_them_away(self) -> None:
        context = client()
        with pytest.raises(ValueError, match="allowed_peers"):
            context.allowed_peers = None
        with pytest.raises(ValueError, match="check_hostname"):
            context.check_hostname = True
        assert not context.check_hostname and context.allowed_peers == tuple(EVERY_WORKLOAD)
        context.spiffe_bundles = None
        context.allowed_peers = None
        context.check_hostname = True

    def test_a_context_for_both_sides_is_refused_once_it_is_a_client(self) -> None:
        with pytest.warns(DeprecationWarning):
            context = veritls.SSLContext(veritls.PROTOCOL_TLS)
        context.load_cert_chain(OF_A.identity())
        context.spiffe_bundles = BUNDLES
        context.verify_mode = ssl.CERT_REQUIRED
        assert not connect(context, client(OF_B)).refused
        for change in (None, "check_hostname"):
            if change:
                context.allowed_peers, context.check_hostname = EVERY_WORKLOAD, True
            with pytest.raises(ValueError, match="spiffe_bundles"):
                connect(server(OF_B), context)
            with pytest.raises(ValueError, match="spiffe_bundles"):
                kind(context, OF_B, purpose="server")
        context.check_hostname = False
        assert not connect(server(OF_B), context).refused

    def test_the_engine_itself_refuses_such_settings(self) -> None:
        context = client()
        bare = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        settings = context._settings
        with pytest.raises(ssl.SSLError, match="any workload could"):
            veritls._engine.Settings(
                settings.protocol.recipe(False),
                bare._settings.peer.demands(False),
                [],
                settings.trust.frozen(partial_chain=False),
                settings.statistics,
                settings.ticket_secret,
                b"",
            )
