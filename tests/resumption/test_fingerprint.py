"""The fingerprint of a policy: equal where the policy is, another after any change."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.resumption.attacks import World, serving
from tests.support.certificates import Party, pem


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("fingerprint"))


def fingerprint(server: Any) -> bytes:
    found = server._settings.frozen(True).settings.fingerprint
    assert isinstance(found, bytes) and len(found) == 32
    return found


def _set(name: str, value: Any) -> Callable[[World, Any], None]:
    return lambda world, server: setattr(server, name, value)


def _more(name: str, flag: int) -> Callable[[World, Any], None]:
    return lambda world, server: setattr(server, name, getattr(server, name) | flag)


def _key_log(world: World, server: Any) -> None:
    server.keylog_filename = world.folder / "keys.log"


def _crl(world: World, server: Any) -> None:
    path = world.folder / "crl.pem"
    path.write_bytes(pem(world.ca.crl(world.second_client)))
    server.load_verify_locations(path)


def _intermediate(world: World, server: Any) -> None:
    server.load_verify_locations(cadata=world.client.pem.decode())


def _partial_chain(world: World, server: Any) -> None:
    _intermediate(world, server)
    server.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


CHANGES: dict[str, Callable[[World, Any], None]] = {
    "load_intermediates": lambda world, server: server.load_intermediates(world.other.der),
    "spiffe_bundles": _set("spiffe_bundles", {"a.example": Party("A CA", ca=True).der}),
    "remove_trust": lambda world, server: server.remove_trust(world.ca.der),
    "replace_trust": lambda world, server: server.replace_trust(cadata=world.other.pem.decode()),
    "remove_identity": lambda world, server: server.remove_identity(world.server.der),
    "replace_identities": lambda world, server: server.replace_identities(
        [(world.file(world.second_client),)]
    ),
    "minimum_version": _set("minimum_version", ssl.TLSVersion.TLSv1_3),
    "maximum_version": _set("maximum_version", ssl.TLSVersion.TLSv1_2),
    "ALPN": lambda world, server: server.set_alpn_protocols(["h2"]),
    "ALPN of two": lambda world, server: server.set_alpn_protocols(["h", "2"]),
    "suites": lambda world, server: server.set_ciphers("ECDHE+AESGCM"),
    "TLS 1.3 suites": lambda world, server: server.set_ciphersuites("TLS_AES_256_GCM_SHA384"),
    "groups": lambda world, server: server.set_groups("X25519"),
    "the server's order": lambda world, server: setattr(
        server, "options", server.options ^ ssl.OP_CIPHER_SERVER_PREFERENCE
    ),
    "num_tickets": _set("num_tickets", 3),
    "key log": _key_log,
    "CERT_NONE": _set("verify_mode", ssl.CERT_NONE),
    "CERT_OPTIONAL": _set("verify_mode", ssl.CERT_OPTIONAL),
    "CRL_CHECK_LEAF": _more("verify_flags", ssl.VERIFY_CRL_CHECK_LEAF),
    "CRL_CHECK_CHAIN": _more("verify_flags", ssl.VERIFY_CRL_CHECK_CHAIN),
    "unknown_revocation_status": _set("unknown_revocation_status", "accept"),
    "require_ocsp": _set("require_ocsp", True),
    "X509_STRICT": _more("verify_flags", ssl.VERIFY_X509_STRICT),
    "PARTIAL_CHAIN": _partial_chain,
    "allowed_peers": _set("allowed_peers", [veritls.DNSPattern("one.internal")]),
    "allows no peer": _set("allowed_peers", []),
    "pinned_keys": _set("pinned_keys", [bytes(32)]),
    "pins nothing": _set("pinned_keys", []),
    "a verify callback": lambda world, server: server.set_verify_callback(bool),
    "reverify_on_resumption": _set("reverify_on_resumption", False),
    "max_resumption_age": _set("max_resumption_age", timedelta(hours=1)),
    "another anchor": lambda world, server: server.load_verify_locations(cadata=world.other.pem.decode()),
    "an intermediate": _intermediate,
    "a CRL": _crl,
    "another identity": lambda world, server: server.load_cert_chain(world.file(world.client)),
}


def test_every_change_is_another_policy(world: World) -> None:
    found = {"none": fingerprint(serving(world, world.ca))}
    for name, change in CHANGES.items():
        server = serving(world, world.ca)
        change(world, server)
        found[name] = fingerprint(server)
    same = [name for name, value in found.items() if list(found.values()).count(value) > 1]
    assert same == []


def test_a_callback_that_is_set_anew_is_another_policy(world: World) -> None:
    server = serving(world, world.ca)
    server.set_verify_callback(bool)
    before = fingerprint(server)
    server.set_verify_callback(bool)
    assert fingerprint(server) != before


def test_a_change_that_is_taken_back_is_the_same_policy(world: World) -> None:
    server = serving(world, world.ca)
    before = fingerprint(server)
    server.verify_mode = ssl.CERT_OPTIONAL
    assert fingerprint(server) != before
    server.verify_mode = ssl.CERT_REQUIRED
    assert fingerprint(server) == before


def test_the_order_of_anchors_and_peers_and_pins_means_nothing(world: World) -> None:
    peers = [veritls.DNSPattern("a.example"), veritls.DNSPattern("b.example")]
    servers = []
    for step in (1, -1):
        server = serving(world, *[world.ca, world.other][::step])
        server.allowed_peers = peers[::step]
        server.pinned_keys = [bytes(32), b"\1" * 32][::step]
        servers.append(fingerprint(server))
    assert servers[0] == servers[1]


def test_another_certificate_in_the_place_of_the_first_is_another_policy(world: World) -> None:
    found = []
    for own in (world.client, world.second_client, world.client):
        server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(world.file(own))
        found.append(fingerprint(server))
    assert found[0] == found[2] != found[1]


def test_naming_a_peer_or_a_pin_twice_means_nothing(world: World) -> None:
    one, other = serving(world, world.ca), serving(world, world.ca)
    for server, times in ((one, 1), (other, 2)):
        server.allowed_peers = [veritls.DNSPattern("a.example")] * times
    assert fingerprint(one) == fingerprint(other)


def test_the_order_of_protocols_means_something(world: World) -> None:
    one, other = serving(world, world.ca), serving(world, world.ca)
    one.set_alpn_protocols(["h2", "http/1.1"])
    other.set_alpn_protocols(["http/1.1", "h2"])
    assert fingerprint(one) != fingerprint(other)


PROGRAM = """
import sys, veritls
server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
server.load_cert_chain(sys.argv[1])
server.load_verify_locations(sys.argv[2])
server.verify_mode = veritls.CERT_REQUIRED
server.pinned_keys = [bytes([each]) * 32 for each in range(20)]
print(server._settings.frozen(True).settings.fingerprint.hex())
"""


def test_the_same_policy_has_the_same_fingerprint_in_another_process(world: World, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor.pem"
    anchor.write_bytes(world.ca.pem)
    found = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-c", PROGRAM, str(world.file(world.server)), str(anchor)]
        environment = {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
