"""pinned_keys: the verified path must hold a key that was named before."""

from __future__ import annotations

import base64
import ssl
from typing import Any

import pytest

import veritls
from tests.deciding.conftest import World
from tests.support.certificates import Party
from tests.support.memory import connect
from veritls.peers import pin_text

V = ssl.TLSVersion
NO_KEYS_PIN = bytes(32)


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
@pytest.mark.parametrize("side", ["server", "client"])
def test_any_key_of_the_verified_path_may_be_the_pinned_one(world: World, version: V, side: str) -> None:
    ends = {"server": world.server_context(), "client": world.client_context(version=version)}
    peer = world.client if side == "server" else world.server
    for pins in ([peer.pin], [world.ca.pin], [NO_KEYS_PIN, peer.pin]):
        ends[side].pinned_keys = pins
        assert not connect(ends["server"], ends["client"]).refused
    ends[side].pinned_keys = [NO_KEYS_PIN]
    outcome = connect(ends["server"], ends["client"])
    error = getattr(outcome, f"{side}_error")
    assert (error.verify_code, error.verify_message) == (50, "application verification failure")
    for text in (pin_text(peer.pin), pin_text(world.ca.pin), pin_text(NO_KEYS_PIN)):
        assert text in str(error)
    alert = outcome.client_error if side == "server" else outcome.server_error
    assert alert.reason == "TLSV1_ALERT_ACCESS_DENIED"


def test_a_key_that_was_sent_and_is_not_in_the_path_does_not_count(world: World) -> None:
    other = Party("another", ca=True)
    client = world.client_context()
    client.pinned_keys = [other.pin]
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        client.verify_chain([world.server.der, other.der])
    assert refused.value.verify_code == 50


def test_a_pin_does_not_make_a_stranger_trusted(world: World) -> None:
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.pinned_keys = [world.server.pin]
    assert connect(world.server_context(ssl.CERT_NONE), client).client_error.verify_code in (18, 19, 20)


def test_under_cert_none_only_the_servers_own_key_counts(world: World) -> None:
    server, client = world.server_context(ssl.CERT_NONE), veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.pinned_keys = [world.server.pin]
    assert not connect(server, client).refused
    client.pinned_keys = [world.ca.pin]  # sent along, its signature not verified
    assert connect(server, client).client_error.verify_code == 50


def test_a_server_that_asks_for_no_certificate_cannot_pin(world: World) -> None:
    server = world.server_context(ssl.CERT_NONE)
    server.pinned_keys = [world.client.pin]
    with pytest.raises(ValueError, match="requests no certificate"):
        server.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_side=True)


def test_an_empty_collection_accepts_no_key_and_none_accepts_any(world: World) -> None:
    client = world.client_context()
    client.pinned_keys = []
    assert connect(world.server_context(), client).client_error.verify_code == 50
    client.pinned_keys = None
    assert not connect(world.server_context(), client).refused


def test_after_a_switch_of_contexts_both_collections_hold(world: World) -> None:
    first, second, client = world.server_context(), world.server_context(), world.client_context()
    first.sni_callback = lambda connection, *_: setattr(connection, "context", second)
    yes, no = [world.client.pin], [NO_KEYS_PIN]
    for ours, theirs, refused in [(yes, yes, False), (yes, no, True), (no, yes, True), (None, yes, False)]:
        first.pinned_keys, second.pinned_keys = ours, theirs
        assert connect(first, client).refused is refused


def test_a_digest_is_bytes_or_text(world: World) -> None:
    client = world.client_context()
    text = base64.b64encode(NO_KEYS_PIN).decode()
    client.pinned_keys = [NO_KEYS_PIN, bytearray(NO_KEYS_PIN), text, f"sha256/{text}", f"sha256//{text}"]
    assert client.pinned_keys == frozenset([NO_KEYS_PIN])
    assert client.verify_chain  # the context stays usable
    with pytest.raises(AttributeError):
        client.pinned_keys.add(b"")


def test_a_pin_may_begin_with_a_slash_in_base64() -> None:
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    pin = bytes([0xFF] * 32)
    text = base64.b64encode(pin).decode()
    assert text.startswith("//")
    for written in (text, f"sha256/{text}", f"sha256//{text}"):
        client.pinned_keys = [written]
        assert client.pinned_keys == frozenset([pin])


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ("sha256/AAAA", TypeError),
        (NO_KEYS_PIN, TypeError),
        (4, TypeError),
        ([4], TypeError),
        ([b"short"], ValueError),
        (["!"], ValueError),
        (["sha256/AAAA"], ValueError),
        (["00" * 32], ValueError),
        (["ü"], ValueError),
        (["!" + base64.b64encode(NO_KEYS_PIN).decode()], ValueError),
        ("", TypeError),
    ],
)
def test_what_is_no_digest_is_refused(world: World, wrong: Any, kind: type[Exception]) -> None:
    client = world.client_context()
    with pytest.raises(kind):
        client.pinned_keys = wrong
    assert client.pinned_keys is None


def test_the_report_names_the_pins(world: World) -> None:
    client = world.client_context()
    client.pinned_keys = [world.server.pin]
    question = client.verify_chain([world.server.der]).question
    assert question.pinned_keys == (pin_text(world.server.pin),)
