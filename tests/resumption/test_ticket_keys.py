"""A ticket opens with its context's secret and under the same policy only."""

from __future__ import annotations

import pickle
import ssl
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

import veritls
from tests.resumption.attacks import World, attacker, serving
from tests.resumption.meeting import Met, meet
from tests.resumption.sealing import HEADER, TAG, Keys, epoch_now
from tests.resumption.theft import rewrite, ticket
from veritls._context import combining as roles
from veritls._context.settings import Settings
from veritls._value import contents, replace

V = ssl.TLSVersion
VERSIONS = pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("keys"))


def begun(world: World, version: V, **options: Any) -> tuple[Any, Any, Any]:
    """(server's context, client's, a session)."""
    server, client = serving(world, world.ca, **options), attacker(world, world.client)
    client.maximum_version = version
    return server, client, meet("sockets", server, client, "a.example").client.session


def again(server: Any, client: Any, session: Any) -> Met:
    met = meet("sockets", server, client, "a.example", session)
    assert (met.server.error, met.client.error) == (None, None)
    return met


@VERSIONS
def test_a_ticket_is_sealed_as_decision_0042_says(world: World, version: V) -> None:
    server, _, session = begun(world, version)
    epoch, content = Keys.of(server).open(ticket(session))
    assert epoch_now() - 1 <= epoch <= epoch_now()
    assert world.client.der in content


@VERSIONS
def test_a_ticket_that_is_sealed_elsewhere_with_the_same_secret_and_policy_is_opened(
    world: World, version: V
) -> None:
    server, client, session = begun(world, version)
    rewrite(session, Keys.of(server).moved)
    assert again(server, client, session).server.reused


def _flipped(place: int) -> Callable[[Keys, bytes], bytes]:
    return lambda keys, ticket: (
        ticket[:place]
        + bytes([ticket[place] ^ 1])
        + ticket[len(ticket) + place + 1 if place < 0 else place + 1 :]
    )


def _foreign(keys: Keys, seen: bytes) -> bytes:
    return keys.with_secret(bytes(32)).seal(keys.open(seen)[1], epoch_now())


def _other_policy(keys: Keys, seen: bytes) -> bytes:
    return keys.with_fingerprint(bytes(32)).seal(keys.open(seen)[1], epoch_now())


def _no_content(keys: Keys, seen: bytes) -> bytes:
    return keys.seal(bytes(len(seen) - HEADER - TAG), epoch_now())


def _certificates_outside(keys: Keys, seen: bytes) -> bytes:
    content = keys.open(seen)[1]
    return keys.seal(content[:8] + b"\xff" * (len(content) - 8), epoch_now())


WRONG: dict[str, Callable[[Keys, bytes], bytes]] = {
    "another version": _flipped(0),
    "another salt": _flipped(5),
    "another first byte of content": _flipped(HEADER),
    "another tag": _flipped(-1),
    "an epoch that is not its own": lambda keys, seen: (
        seen[:1] + (int.from_bytes(seen[1:5], "big") - 1).to_bytes(4, "big") + seen[5:]
    ),
    "an old epoch": lambda keys, seen: keys.moved(seen, epochs=-2),
    "the next epoch": lambda keys, seen: keys.moved(seen, epochs=2),
    "another secret": _foreign,
    "another policy": _other_policy,
    "zeros": lambda keys, seen: bytes(len(seen)),
    "no session in it": _no_content,
    "certificates that lie outside of it": _certificates_outside,
}


@VERSIONS
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_a_ticket_means_a_full_handshake(world: World, version: V, wrong: str) -> None:
    server, client, session = begun(world, version)
    keys = Keys.of(server)
    rewrite(session, lambda seen: WRONG[wrong](keys, seen))
    met = again(server, client, session)
    assert not met.resumed
    assert met.server.peer == world.client.der and len(met.server.path) == 2


@VERSIONS
def test_a_ticket_of_the_epoch_before_is_opened(world: World, version: V) -> None:
    server, client, session = begun(world, version)
    keys = Keys.of(server)
    rewrite(session, lambda seen: keys.seal(keys.open(seen)[1], epoch_now() - 1))
    assert again(server, client, session).server.reused


def test_no_two_tickets_have_a_salt_or_a_key_in_common(world: World) -> None:
    server, client, session = begun(world, V.TLSv1_3)
    seen = {ticket(session)}
    for _ in range(5):
        session = again(server, client, session).client.session
        seen.add(ticket(session))
    assert len({each[5:HEADER] for each in seen}) == 6


def test_no_two_contexts_have_a_secret_in_common(world: World) -> None:
    one, other = serving(world, world.ca), serving(world, world.ca)
    assert Keys.of(one).fingerprint == Keys.of(other).fingerprint
    assert one._settings.ticket_secret != other._settings.ticket_secret
    with pytest.raises(InvalidTag):
        Keys.of(other).open(ticket(begun(world, V.TLSv1_3)[2]))


def test_a_client_has_no_use_for_a_fingerprint(world: World) -> None:
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    assert client._settings.frozen(False).settings.fingerprint is None


def shows(text: str, server: Any) -> bool:
    secret = bytes(server._settings.ticket_secret)
    return repr(secret)[2:-1] in text or secret.hex() in text


def test_no_traceback_that_shows_local_variables_shows_the_secret(world: World) -> None:
    class Extended(Settings):
        forgotten: bool = False

    server = serving(world, world.ca)
    settings = server._settings
    values = contents(settings)
    for fails in (
        lambda: replace(settings, nonsense=1),
        lambda: roles.combined(Extended(**values), Extended(**values)),
    ):
        with pytest.raises(TypeError) as caught:
            fails()
        trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        text = "".join(trace.format())
        assert "ticket_secret" in text and not shows(text, server)


def test_the_secret_is_neither_written_nor_pickled(world: World) -> None:
    secret = serving(world, world.ca)._settings.ticket_secret
    assert f"{secret} {secret!r} {secret!s} %s %r" % (secret, secret) == " ".join(["<TicketSecret>"] * 5)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(secret, protocol)


def test_no_secret_is_shown(world: World) -> None:
    server = serving(world, world.ca)
    frozen = server._settings.frozen(True)
    for shown in (repr(server), str(server), repr(frozen), repr(frozen.settings)):
        assert not shows(shown, server)
