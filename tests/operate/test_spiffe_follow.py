"""Contexts that follow a Workload API: connections on real sockets, while it rotates, fails and lies."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import veritls
from tests.operate.rotating import Told
from tests.operate.workload_api import Domain, WorkloadAPI, response
from tests.support.connections import SECONDS, in_thread, raw_pair, tls_pair
from veritls.sources import SPIFFESource

SERVER, CLIENT = "spiffe://home.test/server", "spiffe://home.test/client"


@pytest.fixture
def home() -> Domain:
    return Domain("home.test")


@pytest.fixture
def away() -> Domain:
    return Domain("away.test")


class Side:
    """A context that follows a Workload API of its own, and what it was told."""

    def __init__(self, context: Any, api: WorkloadAPI, told: Told) -> None:
        self.context, self.api, self.told = context, api, told

    def send(self, message: Any) -> None:
        """Sends, and returns once the context has it."""
        self.api.send(message)
        self.told.outcome("loaded")

    def send_and_fail(self, message: Any) -> Any:
        """Sends, and returns the event of the failure."""
        self.api.send(message)
        return self.told.outcome("failed")


def context(kind: str, *allowed: str) -> Any:
    if kind == "server":
        made = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        made.verify_mode = ssl.CERT_REQUIRED
    else:
        made = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
    made.allowed_peers = [veritls.SPIFFE(each) for each in allowed]
    return made


@contextmanager
def following(made: Any, api: WorkloadAPI, first: Any) -> Iterator[Side]:
    """A context that follows `api`, which is started, and whose first message is `first`."""
    told = Told()
    with api:
        api.send(first)
        made.on_material(told)
        made.follow(SPIFFESource(api.endpoint, timeout=SECONDS))
        told.outcome("loaded")
        yield Side(made, api, told)
        made.follow(None)


@pytest.fixture
def sides(home: Domain, away: Domain, tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """A server and a client of home.test, which trust away.test as well."""
    federated = {"away_test": away.ca.der}
    with ExitStack() as stack:
        server, client = (
            stack.enter_context(
                following(
                    context(kind, "spiffe://home.test/**", "spiffe://away.test/**"),
                    WorkloadAPI(tmp_path / f"{kind}.sock"),
                    response(home.svid(f"/{kind}"), **federated),
                )
            )
            for kind in ("server", "client")
        )
        yield server, client


def ids(*ends: Any) -> list[str]:
    """The URIs of the peers' certificates."""
    return [text for end in ends for kind, text in end.getpeercert()["subjectAltName"] if kind == "URI"]


def meet(server: Any, client: Any, session: Any = None) -> tuple[list[str], Any, bool]:
    """Whom the server and the client see, a session, and whether that of before was resumed."""
    with tls_pair(server, client, None, session=session) as (there, here):
        there.sendall(b"x")
        assert here.recv(1) == b"x"
        here.sendall(b"y")
        assert there.recv(1) == b"y"
        return ids(there, here), here.session, here.session_reused


def refusals(server: Any, client: Any, session: Any = None) -> tuple[str | None, str | None]:
    """The kinds of the reports with which the server and the client refuse each other."""
    ours, theirs = raw_pair()

    def kind(work: Callable[[], Any]) -> str | None:
        try:
            with work() as end:
                end.sendall(b"x")
                end.recv(1)
        except veritls.SSLCertVerificationError as error:
            return str(error.report.kind)
        except OSError:
            return None
        return None

    serving = in_thread(kind, lambda: server.wrap_socket(ours, server_side=True))
    refused = kind(lambda: client.wrap_socket(theirs, session=session))
    theirs.close()
    result = serving.result(SECONDS)
    ours.close()
    return result, refused


def party_context(kind: str, party: Any, *bundles: Domain) -> Any:
    """A context without a source, with the certificate of `party`."""
    made = context(kind, *(f"spiffe://{each.name}/**" for each in bundles))
    made.load_cert_chain(bytearray(party.identity()))
    made.spiffe_bundles = {each.name: each.ca.der for each in bundles}
    return made


def test_a_server_and_a_client_that_follow_a_workload_api_know_each_other(sides: Any) -> None:
    server, client = sides
    assert meet(server.context, client.context)[0] == [CLIENT, SERVER]
    status = server.context.material_status
    assert str(server.api.path) in status.source
    assert {each.kind for each in status.items} == {"identity", "trust"}
    assert set(server.context.spiffe_bundles) == {"home.test", "away.test"}


def test_an_svid_that_rotates_is_used_by_the_next_connection(sides: Any, home: Domain) -> None:
    server, client = sides
    for _ in range(3):
        party = home.party("/server")
        server.send(response(home.svid("/server", party=party)))
        with tls_pair(server.context, client.context, None) as (_, here):
            assert here.getpeercert(True) == party.der
        assert (server.api.calls, server.api.open) == (1, 1)


def test_a_ca_that_rotates_takes_its_trust_with_it(sides: Any, home: Domain) -> None:
    server, client = sides
    following = Domain("home.test")
    both = home.ca.der + following.ca.der
    server.send(response(home.svid("/server", bundle=both)))
    client.send(response(home.svid("/client", bundle=both)))
    assert meet(server.context, client.context)[0] == [CLIENT, SERVER]
    server.send(response(following.svid("/server", bundle=both)))
    assert meet(server.context, client.context)[0] == [CLIENT, SERVER]
    client.send(response(following.svid("/client")))
    assert meet(server.context, client.context)[0] == [CLIENT, SERVER]
    server.send(response(following.svid("/server")))
    assert meet(server.context, client.context)[0] == [CLIENT, SERVER]
    old = party_context("client", home.party("/client"), following)
    assert refusals(server.context, old)[0] is not None
    old = party_context("server", home.party("/server"), following)
    assert refusals(old, client.context)[1] is not None


@pytest.mark.parametrize("resumes", [False, True])
def test_a_client_of_a_federated_domain_that_was_removed_is_refused(
    sides: Any, home: Domain, away: Domain, resumes: bool
) -> None:
    server, _ = sides
    visitor = party_context("client", away.party("/visitor"), home)
    seen, session, _ = meet(server.context, visitor)
    assert seen == ["spiffe://away.test/visitor", SERVER]
    if resumes:
        assert meet(server.context, visitor, session)[2]
    server.send(response(home.svid("/server")))
    assert refusals(server.context, visitor, session if resumes else None)[0] == "trust_domain"


@pytest.mark.parametrize("resumes", [False, True])
def test_a_server_of_a_federated_domain_that_was_removed_is_refused(
    sides: Any, home: Domain, away: Domain, resumes: bool
) -> None:
    _, client = sides
    host = party_context("server", away.party("/host"), home)
    seen, session, _ = meet(host, client.context)
    assert seen == [CLIENT, "spiffe://away.test/host"]
    if resumes:
        assert meet(host, client.context, session)[2]
    client.send(response(home.svid("/client")))
    assert refusals(host, client.context, session if resumes else None)[1] == "trust_domain"


@pytest.mark.parametrize("signer", ["home.test", "away.test"])
def test_an_anchor_vouches_only_for_its_own_trust_domain(
    sides: Any, home: Domain, away: Domain, signer: str
) -> None:
    server, client = sides
    forger, victim = (home, away) if signer == "home.test" else (away, home)
    forged = forger.party("/", f"spiffe://{victim.name}/server")
    ours = forger.party("/honest")
    assert refusals(server.context, party_context("client", forged, home))[0] is not None
    assert refusals(party_context("server", forged, home), client.context)[1] is not None
    assert refusals(server.context, party_context("client", ours, home)) == (None, None)


LIES: dict[str, Callable[[Domain, Domain], Any]] = {
    "no identity": lambda home, away: response(),
    "another domain's bundle": lambda home, away: response(home.svid("/server", bundle=away.ca.der)),
    "another domain's identity": lambda home, away: response(
        away.svid("/server", spiffe_id="spiffe://home.test/server", bundle=home.ca.der)
    ),
    "an ID that is not of its trust domain": lambda home, away: response(
        home.svid("/server", spiffe_id="spiffe://away.test/server", bundle=away.ca.der)
    ),
    "a key of another": lambda home, away: response(
        home.svid("/server", x509_svid_key=home.party("/server").key_der)
    ),
    "a key that is none": lambda home, away: response(home.svid("/server", x509_svid_key=b"nonsense")),
    "an anchor for two": lambda home, away: response(home.svid("/server"), away_test=home.ca.der),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_message_that_is_refused_leaves_the_last_good_set(
    sides: Any, home: Domain, away: Domain, lie: str
) -> None:
    server, client = sides
    before, bundles = server.context.generation, server.context.spiffe_bundles
    event = server.send_and_fail(LIES[lie](home, away))
    assert str(server.api.path) in event.source
    assert (server.context.generation, server.context.spiffe_bundles) == (before, bundles)
    assert meet(server.context, client.context)[0] == [CLIENT, SERVER]
    forged = away.party("/", CLIENT)
    assert refusals(server.context, party_context("client", forged, home))[0] is not None
    server.send(response(home.svid("/server")))
    assert server.context.generation == before + 1
    assert meet(server.context, client.context)[0] == [CLIENT, SERVER]


FAILURES: dict[str, tuple[Callable[[WorkloadAPI], None], str]] = {
    "no identity issued": (lambda api: api.refuse("PERMISSION_DENIED"), "has no identity for this process"),
    "is being started": (lambda api: api.refuse("UNAVAILABLE", "not yet"), "UNAVAILABLE: not yet"),
    "gone": (lambda api: api.stop(), "cannot be reached"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_workload_api_that_fails_and_comes_back_loses_nothing(
    sides: Any, home: Domain, failure: str
) -> None:
    server, client = sides
    act, sentence = FAILURES[failure]
    act(server.api)
    event = server.told.outcome("failed")
    assert sentence in event.sentence
    assert meet(server.context, client.context)[0] == [CLIENT, SERVER]
    rotated = home.party("/server")
    server.api.send(response(home.svid("/server", party=rotated)))
    if failure == "gone":
        server.api.start()
    server.told.outcome("loaded")
    with tls_pair(server.context, client.context, None) as (_, here):
        assert here.getpeercert(True) == rotated.der


def test_a_stream_that_ends_is_opened_again_and_tells_nobody(sides: Any, home: Domain) -> None:
    server, client = sides
    server.api.end()
    server.api.wait(calls=2, open=1)
    rotated = home.party("/server")
    server.send(response(home.svid("/server", party=rotated)))
    assert not server.told.events
    with tls_pair(server.context, client.context, None) as (_, here):
        assert here.getpeercert(True) == rotated.der


def test_garbage_leaves_the_last_good_set(home: Domain, tmp_path: Path) -> None:
    api = WorkloadAPI(tmp_path / "raw.sock", raw=True)
    first = response(home.svid("/server")).SerializeToString()
    with following(context("server", "spiffe://home.test/**"), api, first) as server:
        for garbage in (b"\xff", b"", bytes(1000)):
            event = server.send_and_fail(garbage)
            assert "is refused" in event.sentence
            server.send(response(home.svid("/server")).SerializeToString())
        client = party_context("client", home.party("/client"), home)
        assert meet(server.context, client)[0] == [CLIENT, SERVER]


def test_a_client_without_allowed_peers_cannot_follow_it(home: Domain, tmp_path: Path) -> None:
    with WorkloadAPI(tmp_path / "api.sock") as api:
        api.send(response(home.svid("/client")))
        for name, value in (("allowed_peers", None), ("check_hostname", True)):
            made = context("client", SERVER)
            setattr(made, name, value)
            with pytest.raises(ValueError, match="allowed_peers"):
                made.follow(SPIFFESource(api.endpoint, timeout=SECONDS))
            assert made.spiffe_bundles is None
            assert made.material_status.source is None
        made = context("client", SERVER)
        made.follow(SPIFFESource(api.endpoint, timeout=SECONDS))
        with pytest.raises(ValueError, match="allowed_peers"):
            made.allowed_peers = None
        with pytest.raises(ValueError, match="allowed_peers"):
            made.check_hostname = True
        made.follow(None)


def test_anchors_of_before_do_not_count_where_it_is_followed(
    home: Domain, away: Domain, tmp_path: Path
) -> None:
    made = context("server", "spiffe://home.test/**", "spiffe://away.test/**")
    made.load_verify_locations(cadata=away.ca.pem.decode())
    with following(made, WorkloadAPI(tmp_path / "api.sock"), response(home.svid("/server"))):
        visitor = party_context("client", away.party("/visitor"), home)
        assert refusals(made, visitor)[0] == "trust_domain"


def test_the_stream_ends_when_nobody_follows(home: Domain, tmp_path: Path) -> None:
    with WorkloadAPI(tmp_path / "api.sock") as api:
        api.send(response(home.svid("/server")))
        for is_told in (True, False):
            made = context("server")
            made.follow(SPIFFESource(api.endpoint, timeout=SECONDS))
            api.wait(open=1)
            if is_told:
                made.follow(None)
            else:
                del made
                gc.collect()
            api.wait(open=0)


def test_contexts_that_follow_one_source_share_its_stream(home: Domain, tmp_path: Path) -> None:
    with WorkloadAPI(tmp_path / "api.sock") as api:
        api.send(response(home.svid("/server")))
        source = SPIFFESource(api.endpoint, timeout=SECONDS)
        contexts = [context("server") for _ in range(5)]
        for made in contexts:
            made.follow(source)
        assert api.calls == 1
        told = Told()
        contexts[-1].on_material(told)
        api.send(response(home.svid("/server")))
        told.outcome("loaded")
        assert len({made.generation for made in contexts}) == 1
        for made in contexts:
            made.follow(None)
        source.close()


def test_crls_of_a_workload_api_are_followed(home: Domain, tmp_path: Path) -> None:
    revoked, other = home.party("/revoked"), Domain("other.test")
    crls = [each.public_bytes(Encoding.DER) for each in (other.ca.crl(7), home.ca.crl(revoked))]
    with WorkloadAPI(tmp_path / "api.sock") as api:
        api.send(response(home.svid("/server"), crls=crls, other_test=other.ca.der))
        made = context("server", "spiffe://home.test/**")
        made.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        made.follow(SPIFFESource(api.endpoint, crls=True, timeout=SECONDS))
        assert refusals(made, party_context("client", revoked, home))[0] == "revoked"
        assert meet(made, party_context("client", home.party("/client"), home))[0] == [CLIENT, SERVER]
        made.follow(None)
