"""`context.ticket_keys`: processes that share a secret and a policy resume each other's sessions."""

from __future__ import annotations

import copy
import os
import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.operate.fleet import member
from tests.resumption.attacks import World, attacker, our_client, serving
from tests.resumption.meeting import meet
from veritls.tickets import TicketKeys

V = ssl.TLSVersion
VERSIONS = pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def anchors(world: World) -> Path:
    path = world.folder / "anchors.pem"
    path.write_bytes(world.ca.pem)
    return path


def shared(world: World, keys: TicketKeys | None, *trusted: Any) -> Any:
    server = serving(world, *(trusted or (world.ca,)))
    server.ticket_keys = keys
    return server


def resumes(world: World, first: Any, second: Any, version: V = V.TLSv1_3) -> bool:
    """Whether a session of one server is resumed by another."""
    client = attacker(world, world.client)
    client.maximum_version = version
    session = meet("sockets", first, client, "a.example").client.session
    met = meet("sockets", second, client, "a.example", session)
    assert (met.server.error, met.client.error) == (None, None)
    assert met.server.peer == world.client.der and len(met.server.path) == 2
    return met.resumed


@VERSIONS
@pytest.mark.parametrize("kind", ["veritls", "ssl"])
def test_two_processes_with_one_secret_resume_each_others_sessions(
    world: World, anchors: Path, version: V, kind: str
) -> None:
    client = attacker(world) if kind == "ssl" else our_client(world)
    client.load_cert_chain(world.file(world.client))
    client.maximum_version = version
    keys = f"TicketKeys.from_secret({SECRET!r})"
    with member(world, keys, anchors=anchors) as one, member(world, keys, anchors=anchors) as other:
        answer = one.connect(client)
        assert not answer.resumed
        for each in (other, one, other):
            before, answer = answer, each.connect(client, answer.session)
            assert answer.resumed and answer.member != before.member


@VERSIONS
@pytest.mark.parametrize(
    "change",
    [
        "server.verify_mode = veritls.CERT_OPTIONAL",
        "server.allowed_peers = [veritls.DNSPattern('one.internal')]",
        "server.max_resumption_age = 3600",
        "server.ticket_keys = None",
        "server.ticket_keys = TicketKeys.from_secret(bytes(32))",
    ],
)
def test_a_process_with_another_policy_or_other_keys_makes_a_full_handshake(
    world: World, anchors: Path, version: V, change: str
) -> None:
    client = attacker(world, world.client)
    client.maximum_version = version
    keys = f"TicketKeys.from_secret({SECRET!r})"
    with (
        member(world, keys, anchors=anchors) as one,
        member(world, keys, anchors=anchors, change=change) as other,
    ):
        answer = one.connect(client)
        assert not other.connect(client, answer.session).resumed
        answer = other.connect(client)
        assert not one.connect(client, answer.session).resumed


@VERSIONS
def test_none_goes_back_to_own_keys(world: World, version: V) -> None:
    keys = TicketKeys.from_secret(SECRET)
    one, other = shared(world, keys), shared(world, keys)
    assert resumes(world, one, other, version)
    one.ticket_keys = None
    assert one.ticket_keys is None
    assert not resumes(world, one, other, version)
    assert not resumes(world, other, one, version)
    assert resumes(world, one, one, version)
    one.ticket_keys = TicketKeys.from_secret(SECRET)
    assert resumes(world, one, other, version)


def _verify(report: Any) -> None:
    pass


@VERSIONS
def test_a_context_with_a_callback_shares_only_with_a_policy_version(world: World, version: V) -> None:
    def made(version: str | None, change: Any) -> Any:
        server = shared(world, TicketKeys.from_secret(SECRET, policy_version=version))
        change(server)
        return server

    def both(versions: tuple[str | None, str | None], change: Any) -> tuple[Any, Any]:
        return made(versions[0], change), made(versions[1], change)

    def calls_back(server: Any) -> None:
        server.set_verify_callback(_verify)

    def answers_names(server: Any) -> None:
        server.sni_callback = lambda *_: None

    for change in (calls_back, answers_names):
        one, other = both((None, None), change)
        assert not resumes(world, one, other, version)
        assert resumes(world, one, one, version)  # with its own keys
        assert resumes(world, *both(("1", "1"), change), version)
        assert not resumes(world, *both(("1", "2"), change), version)
        assert not resumes(world, *both(("1", None), change), version)
        plain, next_plain = (
            shared(world, TicketKeys.from_secret(SECRET, policy_version=each)) for each in ("1", "2")
        )
        assert not resumes(world, plain, next_plain, version)
        assert not resumes(world, made("1", change), plain, version)
    one, other = both(("1", "1"), calls_back)
    other.sni_callback = lambda *_: None
    assert not resumes(world, one, other, version)


@VERSIONS
def test_a_host_that_a_callback_chose_counts_as_one_with_a_callback(world: World, version: V) -> None:
    def front(keys: TicketKeys) -> Any:
        host, outside = shared(world, keys), shared(world, keys)
        outside.sni_callback = lambda connection, name, _: setattr(connection, "context", host)
        return outside

    def pair(version: str | None) -> tuple[Any, Any]:
        keys = [TicketKeys.from_secret(SECRET, policy_version=version) for _ in range(2)]
        return front(keys[0]), front(keys[1])

    assert not resumes(world, *pair(None), version)
    assert resumes(world, *pair("1"), version)


@pytest.mark.parametrize("wrong", [b"", b"x" * 31])
def test_a_secret_of_fewer_than_32_bytes_is_a_value_error(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="at least 32"):
        TicketKeys.from_secret(wrong)


@pytest.mark.parametrize("wrong", ["x" * 32, None, 32, [0] * 32])
def test_a_secret_that_is_not_bytes_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="must be bytes"):
        TicketKeys.from_secret(wrong)


def test_a_policy_version_is_a_str_that_is_not_empty() -> None:
    with pytest.raises(TypeError, match="policy_version"):
        TicketKeys.from_secret(SECRET, policy_version=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="policy_version"):
        TicketKeys.from_secret(SECRET, policy_version="")
    assert TicketKeys.from_secret(SECRET, policy_version="1").policy_version == "1"


def test_what_is_no_ticket_keys_is_refused_and_changes_nothing(world: World) -> None:
    keys = TicketKeys.from_secret(SECRET)
    server = shared(world, keys)
    for wrong in (SECRET, "keys", 1, TicketKeys):
        with pytest.raises(TypeError, match="TicketKeys"):
            server.ticket_keys = wrong
    assert server.ticket_keys is keys
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ValueError, match="TLS_CLIENT"):
        client.ticket_keys = keys


def test_ticket_keys_are_neither_shown_nor_pickled_nor_copied() -> None:
    secret = os.urandom(32)
    keys = TicketKeys.from_secret(secret)
    shown = repr(keys) + str(keys)
    assert secret.hex() not in shown and repr(secret)[2:-1] not in shown
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(keys)
    with pytest.raises(TypeError, match="from_secret"):
        TicketKeys()


def test_a_secret_may_be_any_bytes_like_object_of_any_length(world: World) -> None:
    for length in (32, 33, 100):
        secret = os.urandom(length)
        one = shared(world, TicketKeys.from_secret(secret))
        other = shared(world, TicketKeys.from_secret(memoryview(bytearray(secret))))
        assert resumes(world, one, other)
        longer = shared(world, TicketKeys.from_secret(secret + b"\0"))
        assert not resumes(world, one, longer)
