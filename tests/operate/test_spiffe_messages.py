"""What a Workload API may send, and what of it is refused whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.operate.workload_api import Domain, WorkloadAPI, authority, protocol, response
from tests.support.certificates import Party, alternative_names
from tests.support.connections import SECONDS
from veritls.sources import Identity, SPIFFESource
from veritls.sources._svids import MAX_ANCHORS, MAX_BUNDLES, MAX_CHAIN, MAX_CRLS, MAX_SVIDS
from veritls.sources._workload_api import MAX_MESSAGE

HOME, AWAY, OTHER = Domain("home.test"), Domain("away.test"), Domain("other.test")
WORKLOAD = HOME.party("/a")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[WorkloadAPI]:
    with WorkloadAPI(tmp_path / "api.sock") as server:
        yield server


@pytest.fixture
def source(api: WorkloadAPI) -> Iterator[SPIFFESource]:
    source = SPIFFESource(api.endpoint, timeout=SECONDS)
    yield source
    source.close()


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def svid(**fields: Any) -> Any:
    return HOME.svid("/a", party=WORKLOAD, **fields)


def certificate(*names: str, issuer: Party = HOME.ca, **options: Any) -> Any:
    """The SVID /a with a certificate of its own."""
    party = issuer.issue(*map(uri, names or ("spiffe://home.test/a",)), **options)
    return HOME.svid("/a", party=party)


def below(many: int) -> Any:
    """The SVID /a with a chain of `many` certificates."""
    ca = HOME.ca
    cas = [ca := Party(f"CA {number}", ca, ca=True) for number in range(many - 1)]
    party = ca.issue(uri("spiffe://home.test/a"))
    return HOME.svid("/a", party=party, x509_svid=b"".join(each.der for each in (party, *reversed(cas))))


PLAIN_ROOT = Party("a root", ca=True)
MALFORMED = HOME.ca.der[:-1]

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no SVID": (lambda: response(), "there is no identity"),
    "bundles alone": (lambda: response(away_test=AWAY.ca.der), "there is no identity"),
    "no SPIFFE ID": (lambda: response(svid(spiffe_id="")), "not the SPIFFE ID of a workload"),
    "no certificate": (lambda: response(svid(x509_svid=b"")), "there is no certificate"),
    "no key": (lambda: response(svid(x509_svid_key=b"")), "there is no key"),
    "no bundle": (lambda: response(svid(bundle=b"")), "bundle of home.test: there is no certificate"),
    "a later one without key": (lambda: response(svid(), HOME.svid("/b", x509_svid_key=b"")), "SVID 2"),
    "the ID of a trust domain": (
        lambda: response(svid(spiffe_id="spiffe://home.test")),
        "not the SPIFFE ID of a workload",
    ),
    "another scheme": (lambda: response(svid(spiffe_id="https://home.test/a")), "not the SPIFFE ID"),
    "an ID of another trust domain": (
        lambda: response(svid(spiffe_id="spiffe://away.test/a")),
        "its certificate has spiffe://home.test/a",
    ),
    "another path": (
        lambda: response(svid(spiffe_id="spiffe://home.test/b")),
        "its certificate has spiffe://home.test/a",
    ),
    "a certificate of another trust domain": (
        lambda: response(certificate("spiffe://away.test/a")),
        "its certificate has spiffe://away.test/a",
    ),
    "a certificate of two URIs": (
        lambda: response(certificate("spiffe://home.test/a", "https://home.test/")),
        "its certificate has 2 URIs",
    ),
    "a certificate without URI": (
        lambda: response(certificate(san=alternative_names("home.test"))),
        "its certificate has 0 URIs",
    ),
    "a CA's certificate": (lambda: response(certificate(ca=True)), "its certificate is a CA's"),
    "a malformed certificate": (
        lambda: response(svid(x509_svid=WORKLOAD.der[:-1])),
        "SVID 1 (spiffe://home.test/a): a certificate is malformed",
    ),
    "another domain's bundle": (
        lambda: response(svid(bundle=AWAY.ca.der)),
        "the bundle of home.test has a certificate of spiffe://away.test",
    ),
    "a bundle that others signed from": (
        lambda: response(svid(bundle=PLAIN_ROOT.der)),
        "no certificate of its trust domain's bundle signed it",
    ),
    "another domain's anchor beside": (
        lambda: response(svid(bundle=HOME.ca.der + AWAY.ca.der)),
        "the bundle of home.test has a certificate of spiffe://away.test",
    ),
    "a malformed bundle": (
        lambda: response(svid(bundle=MALFORMED)),
        "the bundle of home.test: a certificate is malformed",
    ),
    "a bundle of a workload's certificate": (
        lambda: response(svid(bundle=HOME.ca.der + WORKLOAD.der)),
        "has a certificate that is not a CA's",
    ),
    "two bundles of the own domain": (
        lambda: response(svid(), HOME.svid("/b", bundle=HOME.ca.der + PLAIN_ROOT.der)),
        "the bundle of home.test is there twice, with different contents",
    ),
    "a federated bundle of the own domain": (
        lambda: response(svid(), home_test=PLAIN_ROOT.der),
        "the bundle of home.test is there twice, with different contents",
    ),
    "the own anchor in another domain": (
        lambda: response(svid(bundle=HOME.ca.der + PLAIN_ROOT.der), away_test=PLAIN_ROOT.der),
        "in the bundle of home.test, too",
    ),
    "a federated bundle of a third domain": (
        lambda: response(svid(), away_test=OTHER.ca.der),
        "the bundle of away.test has a certificate of spiffe://other.test",
    ),
    "a malformed federated bundle": (
        lambda: response(svid(), away_test=b"nonsense"),
        "the bundle of away.test: a certificate is malformed",
    ),
    "a federated bundle of a workload": (
        lambda: protocol().X509SVIDResponse(
            svids=[svid()], federated_bundles={"spiffe://away.test/a": AWAY.ca.der}
        ),
        "spiffe://away.test/a, which is no trust domain",
    ),
    "a federated bundle in capitals": (
        lambda: protocol().X509SVIDResponse(svids=[svid()], federated_bundles={"Away.test": AWAY.ca.der}),
        "Away.test, which is no trust domain",
    ),
    "too many SVIDs": (
        lambda: response(*[svid()] * (MAX_SVIDS + 1)),
        f"{MAX_SVIDS + 1} SVIDs are more than {MAX_SVIDS}",
    ),
    "too many bundles": (
        lambda: response(svid(), **{f"d{number}": AWAY.ca.der for number in range(MAX_BUNDLES + 1)}),
        f"{MAX_BUNDLES + 1:,} federated bundles are more than {MAX_BUNDLES:,}",
    ),
    "too many anchors": (
        lambda: response(svid(bundle=HOME.ca.der * (MAX_ANCHORS + 1))),
        f"{MAX_ANCHORS + 1} certificates are more than {MAX_ANCHORS}",
    ),
    "too long a chain": (
        lambda: response(below(MAX_CHAIN + 1)),
        f"{MAX_CHAIN + 1} certificates are more than {MAX_CHAIN}",
    ),
    "too many CRLs": (
        lambda: response(svid(), crls=[b"x"] * (MAX_CRLS + 1)),
        f"{MAX_CRLS + 1} CRLs are more than {MAX_CRLS}",
    ),
    "too long a message": (
        lambda: response(svid(), crls=[b"x" * MAX_MESSAGE]),
        f"more than {MAX_MESSAGE:,} bytes",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_message_of_which_a_part_is_not_as_it_must_be_is_refused_whole(
    api: WorkloadAPI, source: SPIFFESource, case: str
) -> None:
    message, sentence = REFUSED[case]
    api.send(message())
    with pytest.raises(ValueError) as raised:
        source.load()
    assert sentence in str(raised.value)


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"nonsense", b"\x0a\x7f\x00", WORKLOAD.der])
def test_bytes_that_are_no_message_are_refused(tmp_path: Path, garbage: bytes) -> None:
    with WorkloadAPI(tmp_path / "raw.sock", raw=True) as api:
        source = SPIFFESource(api.endpoint, timeout=SECONDS)
        api.send(garbage)
        with pytest.raises(ValueError, match="is refused"):
            source.load()
        source.close()


@pytest.mark.parametrize("many", [1, 2, MAX_CHAIN])
def test_an_svid_may_have_intermediates(api: WorkloadAPI, source: SPIFFESource, many: int) -> None:
    sent = below(many)
    api.send(response(sent))
    identity = source.load().identity
    assert isinstance(identity, Identity)
    assert identity.cert == sent.x509_svid


def test_an_svid_whose_intermediates_have_a_gap_is_refused(api: WorkloadAPI, source: SPIFFESource) -> None:
    party = Party("middle", Party("upper", HOME.ca, ca=True), ca=True).issue(uri("spiffe://home.test/a"))
    api.send(response(HOME.svid("/a", party=party, x509_svid=party.der + party.issuer.issuer.der)))
    with pytest.raises(ValueError, match="no certificate of its trust domain's bundle signed it"):
        source.load()


def test_a_bundle_may_have_the_next_ca_beside_the_last(api: WorkloadAPI, source: SPIFFESource) -> None:
    following = authority("home.test")
    api.send(response(svid(bundle=HOME.ca.der + following.der)))
    assert source.load().trust == {"home.test": HOME.ca.der + following.der}


def test_svids_of_one_domain_may_have_its_bundle_in_another_order(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    following = authority("home.test").der
    turned = HOME.svid("/b", bundle=following + HOME.ca.der)
    api.send(response(svid(bundle=HOME.ca.der + following), turned))
    assert source.load().trust == {"home.test": HOME.ca.der + following}


def test_identities_of_two_trust_domains_have_the_bundles_of_both(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    api.send(response(svid(), AWAY.svid("/a")))
    assert source.load().trust == {"home.test": HOME.ca.der, "away.test": AWAY.ca.der}


def test_a_federated_domain_with_an_empty_bundle_has_no_anchors(
    api: WorkloadAPI, source: SPIFFESource
) -> None:
    api.send(response(svid(), away_test=b"", other_test=OTHER.ca.der))
    assert source.load().trust == {"home.test": HOME.ca.der, "other.test": OTHER.ca.der}


def test_a_federated_bundle_may_be_keyed_by_the_name_alone(api: WorkloadAPI, source: SPIFFESource) -> None:
    named = protocol().X509SVIDResponse(svids=[svid()], federated_bundles={"away.test": AWAY.ca.der})
    api.send(named)
    assert source.load().trust == {"home.test": HOME.ca.der, "away.test": AWAY.ca.der}


def test_as_many_as_are_allowed_are_loaded(api: WorkloadAPI, source: SPIFFESource) -> None:
    anchors = b"".join(Party(f"CA {number}", ca=True).der for number in range(MAX_ANCHORS - 1))
    full = svid(bundle=HOME.ca.der + anchors)
    api.send(response(*[full] * MAX_SVIDS))
    assert source.load().trust == {"home.test": HOME.ca.der + anchors}
    domains = {f"d{number}": Party(f"CA of {number}", ca=True).der for number in range(MAX_BUNDLES)}
    api.send(response(svid(), **domains))
    source.wait(threading.Event(), SECONDS)
    trust = source.load().trust
    assert isinstance(trust, dict)
    assert len(trust) == 1 + MAX_BUNDLES
