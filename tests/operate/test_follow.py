"""`SSLContext.follow`: what a source has is taken over whole, at once and from then on, or not at all."""

from __future__ import annotations

import gc
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.operate.rotating import CA, OTHER_CA, Memory, Told, followed, own, until, watchers
from tests.support.certificates import DAY, NOW, Party, pem
from tests.support.connections import SECONDS, in_thread, raw_pair, tls_pair
from veritls.sources import Identity, Material, Source


def server() -> Any:
    return veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)


def client(*roots: Any) -> Any:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    for root in roots or (CA,):
        context.load_verify_locations(cadata=root.pem.decode())
    return context


def load(context: Any, identity: Identity) -> None:
    cert, key = identity.cert, identity.key
    assert isinstance(cert, bytes) and isinstance(key, bytes)
    context.load_cert_chain(bytearray(cert), bytearray(key))


@pytest.fixture(autouse=True)
def no_watcher_is_left() -> Iterator[None]:
    yield
    until(lambda: not watchers())


def served(context: Any, *roots: Any) -> str:
    """The serial number of the certificate that a server with this context sends."""
    with tls_pair(context, client(*roots)) as (_, end):
        return str(end.getpeercert()["serialNumber"])


def accepts(context: Any, issuer: Any) -> bool:
    """Whether a client with this context accepts a server of `issuer`."""
    other = server()
    identity, _ = own(issuer)
    load(other, identity)
    try:
        with tls_pair(other, context):
            return True
    except ssl.SSLCertVerificationError:
        return False


def test_a_source_is_what_has_the_three_members() -> None:
    assert isinstance(Memory("identity"), Source)
    assert not isinstance(object(), Source)


def test_what_the_source_has_is_there_when_follow_returns() -> None:
    identity, serial = own()
    context = server()
    with followed(context, Memory("identity", identity=identity)):
        assert served(context) == serial
        assert context.generation == 1


def test_what_the_source_has_later_is_swapped_in() -> None:
    identity, first = own()
    source, context = Memory("identity", identity=identity), server()
    with followed(context, source) as told:
        assert served(context) == first
        assert told.outcome("loaded").generation == 1
        for generation in (2, 3):
            identity, serial = own()
            source.put(identity=identity)
            assert told.outcome("loaded").generation == generation
            assert served(context) == serial
            assert context.generation == generation


def test_trust_that_is_swapped_refuses_whom_the_former_trust_accepted() -> None:
    source, context = Memory("trust", trust=CA.pem), client(OTHER_CA)
    with followed(context, source) as told:
        told.outcome("loaded")
        assert accepts(context, CA) and not accepts(context, OTHER_CA)
        source.put(trust=OTHER_CA.pem.decode())
        told.outcome("loaded")
        assert accepts(context, OTHER_CA) and not accepts(context, CA)
        source.put(trust=[CA.certificate, OTHER_CA.certificate])
        told.outcome("loaded")
        assert accepts(context, OTHER_CA) and accepts(context, CA)


def test_crls_that_are_swapped_refuse_the_revoked() -> None:
    party = CA.issue("localhost")
    context = client()
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    peer = server()
    peer.load_cert_chain(bytearray(party.pem), bytearray(party.key_pem))
    source = Memory("crls", crls=pem(CA.crl(number=1)))
    with followed(context, source) as told:
        told.outcome("loaded")
        with tls_pair(peer, context):
            pass
        source.put(crls=CA.crl(party, number=2))
        told.outcome("loaded")
        with pytest.raises(ssl.SSLCertVerificationError, match="revoked"), tls_pair(peer, context):
            pass


def test_kinds_that_the_source_does_not_provide_stay() -> None:
    identity, serial = own()
    context = server()
    load(context, identity)
    with followed(context, Memory("trust", trust=CA.pem)):
        assert served(context) == serial
        context.load_cert_chain(
            *(bytearray(each) for each in (own()[0].cert, own()[0].key))
        ) if False else None
    assert [entry.der for entry in context.list_trust()] == [CA.der]


def test_what_was_loaded_of_a_followed_kind_is_gone() -> None:
    context = client(OTHER_CA)
    with followed(context, Memory("trust", trust=CA.pem)):
        assert [entry.der for entry in context.list_trust()] == [CA.der]


def test_following_none_ends_it_and_leaves_the_last_set() -> None:
    identity, serial = own()
    source, context = Memory("identity", identity=identity), server()
    context.follow(source)
    context.follow(None)
    until(lambda: not watchers())
    assert served(context) == serial
    identity, other = own()
    load(context, identity)
    assert served(context) == other


def test_following_another_source_replaces_the_former() -> None:
    (one, _), (two, second) = own(), own()
    former, latter, context = Memory("identity", identity=one), Memory("identity", identity=two), server()
    context.follow(former)
    with followed(context, latter):
        until(lambda: len(watchers()) == 1)
        former.put(identity=own()[0])
        assert served(context) == second


def test_it_ends_with_the_context() -> None:
    context = server()
    context.follow(Memory("identity", identity=own()[0]))
    assert len(watchers()) == 1
    del context
    gc.collect()
    until(lambda: not watchers())


def test_contexts_that_follow_one_source_share_its_watcher() -> None:
    identity, _ = own()
    source = Memory("identity", identity=identity)
    contexts = [server() for _ in range(5)]
    told = [Told() for _ in contexts]
    for context, each in zip(contexts, told, strict=True):
        context.on_material(each)
        context.follow(source)
        each.outcome("loaded")
    assert len(watchers()) == 1
    loads = len(source.loads)
    identity, serial = own()
    source.put(identity=identity)
    for context, each in zip(contexts, told, strict=True):
        each.outcome("loaded")
        assert served(context) == serial
    # One for all; and where the thread was slow, one that the last to follow asked for.
    assert len(source.loads) - loads in (1, 2)
    assert source.most_inside == 1
    for context in contexts:
        assert len(watchers()) == 1
        context.follow(None)
    until(lambda: not watchers())


@pytest.mark.parametrize(
    "set_it",
    [
        lambda context: load(context, own()[0]),
        lambda context: context.load_verify_locations(cadata=CA.pem.decode()),
        lambda context: context.load_default_certs(),
        lambda context: context.set_default_verify_paths(),
        lambda context: context.load_crls(pem(CA.crl())),
        lambda context: context.reload_crls(),
    ],
)
def test_setters_of_what_a_followed_source_provides_raise_and_change_nothing(set_it: Any) -> None:
    context = server()
    source = Memory("identity", "trust", "crls", identity=own()[0], trust=CA.pem, crls=pem(CA.crl()))
    with followed(context, source):
        before = context._settings
        with pytest.raises(ValueError, match=r"from memory, which .* follow\(None\)"):
            set_it(context)
        assert context._settings is before


def test_content_that_is_unchanged_is_no_new_generation() -> None:
    party = CA.issue("localhost")
    source, context = Memory("identity", identity=Identity(party.pem, party.key_pem)), server()
    with followed(context, source) as told:
        told.outcome("loaded")
        loads = len(source.loads)
        source.put(identity=[Identity(party.certificate, party.key)])
        until(lambda: len(source.loads) > loads)
        source.put(OSError("gone"))
        told.outcome("failed")
        assert context.generation == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", ["identity", "trust"])
def test_sessions_of_an_older_set_are_not_resumed(version: ssl.TLSVersion, kind: Any) -> None:
    def given() -> dict[str, Any]:
        if kind == "identity":
            return {"identity": own()[0]}
        return {"trust": OTHER_CA.pem + Party("a third", ca=True).pem}

    context, asking = server(), client()
    asking.maximum_version = version
    if kind == "trust":
        identity = own()[0]
        load(context, identity)
        context.verify_mode = ssl.CERT_OPTIONAL
    source = Memory(kind, **given())

    def session(former: Any = None) -> tuple[Any, bool]:
        with tls_pair(context, asking, session=former) as (end, mine):
            end.sendall(b"x")
            assert mine.recv(1) == b"x"
            return mine.session, mine.session_reused

    with followed(context, source) as told:
        told.outcome("loaded")
        kept, _ = session()
        assert session(kept)[1]
        source.put(**given())
        told.outcome("loaded")
        assert not session(kept)[1]


def test_a_client_does_not_resume_what_older_trust_accepted() -> None:
    context = client()
    peer = server()
    identity = own()[0]
    load(peer, identity)
    source = Memory("trust", trust=CA.pem)
    with followed(context, source) as told:
        told.outcome("loaded")
        with tls_pair(peer, context) as (end, mine):
            end.sendall(b"x")
            mine.recv(1)
            kept = mine.session
        source.put(trust=OTHER_CA.pem)
        told.outcome("loaded")
        with pytest.raises(ssl.SSLCertVerificationError), tls_pair(peer, context, session=kept):
            pass


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (Memory("identity"), ValueError),
        (Memory("identity", "trust", identity=own()[0]), ValueError),
        (Memory("identity", identity=[]), ValueError),
        (Memory("trust", trust=b""), ValueError),
        (Memory("trust", trust=[]), ValueError),
        (Memory("crls", crls=[]), ValueError),
        (Memory("trust", trust=b"\n"), ValueError),
        (Memory("trust", trust={}), ValueError),
        (Memory("trust", trust="no PEM"), ssl.SSLError),
        (Memory("trust", trust=5), TypeError),
        (Memory("identity", identity=5), TypeError),
        (Memory("identity", identity=Identity("path.pem", b"")), TypeError),
        (Memory("identity", identity=Identity(Path(__file__), b"")), TypeError),
        (Memory("identity", identity=Identity(CA.pem, Path(__file__))), TypeError),
        (Memory("crls", crls=Path(__file__)), TypeError),
        (Memory("identity", identity=Identity(own()[0].cert, own()[0].key)), ssl.SSLError),
        (Memory("trust", trust=CA.pem + pem(CA.crl())), ValueError),
        (Memory("crls", crls=pem(CA.crl())[:200]), ssl.SSLError),
        (object(), TypeError),
        ("a path", TypeError),
    ],
)
def test_what_cannot_be_taken_over_at_first_is_raised_and_changes_nothing(source: Any, error: Any) -> None:
    context = client()
    before = context._settings
    with pytest.raises(error):
        context.follow(source)
    assert context._settings is before
    until(lambda: not watchers())


@pytest.mark.parametrize("raised", [OSError(5, "no disk"), RuntimeError("no vault"), KeyboardInterrupt()])
def test_what_the_first_load_raises_is_raised(raised: BaseException) -> None:
    context, source = server(), Memory("identity")
    source.put(raised)
    with pytest.raises(type(raised)) as caught:
        context.follow(source)
    assert caught.value is raised
    until(lambda: not watchers())


@pytest.mark.parametrize("provides", ["identity", (), ("identity", "keys"), 5])
def test_what_a_source_provides_is_checked(provides: Any) -> None:
    source = Memory()
    source.provides = provides
    with pytest.raises((TypeError, ValueError)):
        server().follow(source)


@pytest.mark.parametrize("missing", ["provides", "load", "wait"])
def test_what_lacks_a_member_is_no_source(missing: str) -> None:
    class Stranger:
        provides = ("trust",)

        def load(self) -> Material:
            return Material(trust=CA.pem)

        def wait(self, stop: threading.Event, timeout: float) -> None:
            stop.wait(timeout)

    delattr(Stranger, missing)
    stranger: Any = Stranger()
    with pytest.raises(TypeError, match=f"Stranger lacks {missing}"):
        client().follow(stranger)


@pytest.mark.parametrize(
    ("max_stale", "error"),
    [(0, ValueError), (-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError),
     ("1", TypeError), (True, TypeError), (timedelta(0), ValueError)],
)  # fmt: skip
def test_max_stale_is_checked(max_stale: Any, error: Any) -> None:
    with pytest.raises(error):
        server().follow(Memory("identity", identity=own()[0]), max_stale=max_stale)
    with pytest.raises(ValueError):
        server().follow(None, max_stale=1)


def test_a_load_that_returns_after_the_end_changes_nothing() -> None:
    source, context = Memory("identity", identity=own()[0]), server()
    began, go_on = threading.Event(), threading.Event()
    late, _ = own()

    def slow() -> Material:
        began.set()
        assert go_on.wait(SECONDS)
        return Material(identity=late)

    context.follow(source)
    source.put(slow)
    assert began.wait(SECONDS)
    context.follow(None)
    before = context._settings
    go_on.set()
    until(lambda: not watchers())
    assert context._settings is before


def test_handshakes_go_on_while_a_load_hangs() -> None:
    identity, serial = own()
    source, context = Memory("identity", identity=identity), server()
    began, go_on = threading.Event(), threading.Event()

    def hangs() -> Material:
        began.set()
        go_on.wait(SECONDS)
        return Material(identity=identity)

    with followed(context, source):
        source.put(hangs)
        assert began.wait(SECONDS)
        assert served(context) == serial
        go_on.set()


def test_a_connection_keeps_the_set_that_it_was_made_with() -> None:
    """A handshake that is under way when the set is swapped goes on with the former one, whole."""
    identity, first = own()
    source, context = Memory("identity", identity=identity), server()
    with followed(context, source) as told:
        told.outcome("loaded")
        ours, theirs = raw_pair()
        with ours, theirs:
            tls = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
            source.put(identity=own()[0])
            told.outcome("loaded")
            shaking = in_thread(tls.do_handshake)
            with client().wrap_socket(theirs, server_hostname="localhost") as end:
                shaking.result(SECONDS)
                assert end.getpeercert()["serialNumber"] == first
            tls.close()


def test_a_new_certificate_that_is_out_of_date_does_not_replace_a_valid_one() -> None:
    identity, serial = own()
    source, context = Memory("identity", identity=identity), server()
    with followed(context, source) as told:
        for start, end, kind in (
            (NOW - 9 * DAY, NOW - DAY, "expired"),
            (NOW + DAY, NOW + 9 * DAY, "not_yet_valid"),
        ):
            source.put(identity=own(start=start, end=end)[0])
            event = told.outcome("failed")
            assert event.kind == kind
            assert served(context) == serial


def test_where_nothing_better_is_in_use_an_expired_certificate_is_taken() -> None:
    identity, _ = own(start=NOW - 9 * DAY, end=NOW - DAY)
    context = server()
    with followed(context, Memory("identity", identity=identity)) as told:
        event = told.outcome("expiring")
        assert event.kind == "identity"
        assert event.sentence and "has expired" in event.sentence


def test_trust_without_an_anchor_does_not_replace_trust_with_one() -> None:
    between = Party("between", CA, ca=True)
    source, context = Memory("trust", trust=CA.pem), client()
    with followed(context, source) as told:
        for trust in (between.pem, between.issue("localhost").pem):
            source.put(trust=trust)
            assert "no trust anchor" in (told.outcome("failed").sentence or "")
            assert [entry.der for entry in context.list_trust()] == [CA.der]
            assert accepts(context, CA)
        source.put(trust=between.pem + OTHER_CA.pem)
        told.outcome("loaded")
        assert accepts(context, OTHER_CA)


@pytest.mark.parametrize("flags", [0, ssl.VERIFY_X509_PARTIAL_CHAIN])
def test_an_intermediate_that_is_trusted_first_may_be_replaced_by_another(flags: int) -> None:
    first, second = Party("first", CA, ca=True), Party("second", CA, ca=True)
    source, context = Memory("trust", trust=first.pem), client()
    context.verify_flags |= flags
    with followed(context, source) as told:
        told.outcome("loaded")
        source.put(trust=second.pem)
        told.outcome("loaded")
        assert accepts(context, second) is bool(flags)
