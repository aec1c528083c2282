"""With which signature algorithm each end proved its key, as `ssl` of Python 3.15 tells it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest

import veritls
import veritls.aio
from tests.aio.ends import connected
from tests.conftest import Files
from tests.support.certificates import Party, new_key
from tests.support.connections import client_context, server_context, tls_pair
from veritls._context import signature_algorithms as sigalgs

V = ssl.TLSVersion
EXPECTED = {
    "ECDSA": "ecdsa_secp256r1_sha256",
    "RSA": "rsa_pss_rsae_sha512",
    "ED25519": "ed25519",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of a CA, and of one party for each kind of key."""
    folder = tmp_path_factory.mktemp("sigalgs")
    root = Party("A CA", ca=True)
    (folder / "ca.pem").write_bytes(root.pem)
    for kind in EXPECTED:
        party = Party(kind, root, key=new_key(kind))
        (folder / f"{kind}.pem").write_bytes(party.key_pem + party.pem)
    return {name: folder / f"{name}.pem" for name in ("ca", *EXPECTED)}


def contexts(made: dict[str, Path], server: str, client: str | None) -> tuple[Any, Any]:
    own, other = server_context(made[server]), client_context(made["ca"])
    if client is not None:
        own.verify_mode = ssl.CERT_REQUIRED
        own.load_verify_locations(made["ca"])
        other.load_cert_chain(made[client])
    return own, other


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
@pytest.mark.parametrize(("server", "client"), [("ECDSA", "RSA"), ("RSA", "ED25519"), ("ED25519", None)])
def test_both_ends_tell_with_what_each_signed(
    made: dict[str, Path], version: ssl.TLSVersion, server: str, client: str | None
) -> None:
    own, other = contexts(made, server, client)
    other.minimum_version = other.maximum_version = version
    with tls_pair(own, other) as ends:
        for end in ends:
            assert end.server_sigalg() == EXPECTED[server]
            assert end.client_sigalg() == (EXPECTED[client] if client else None)


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_no_side_signs_in_a_resumption(made: dict[str, Path], version: ssl.TLSVersion) -> None:
    own, other = contexts(made, "ECDSA", "RSA")
    other.minimum_version = other.maximum_version = version
    session = None
    for resumed in (False, True):
        with tls_pair(own, other, session=session) as ends:
            ends[0].sendall(b"x")
            assert ends[1].recv(1) == b"x"
            session = ends[1].session
            assert ends[1].session_reused == resumed
            for end in ends:
                assert (end.server_sigalg() is None) == (end.client_sigalg() is None) == resumed


def test_nothing_is_left_to_the_kernel(files: Files) -> None:
    context = client_context(files.ca)
    tls = context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname="localhost")
    assert tls._sslobj.uses_ktls_for_send() is tls._sslobj.uses_ktls_for_recv() is False


def test_before_the_handshake_there_is_none(files: Files) -> None:
    context = client_context(files.ca)
    tls = context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname="localhost")
    assert tls.client_sigalg() is None and tls.server_sigalg() is None
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    assert tls.client_sigalg() is None and tls.server_sigalg() is None


def test_a_transport_tells_it_too(files: Files) -> None:
    async def main() -> None:
        async with connected(files) as ends:
            for end in ends:
                told = end.transport.get_extra_info("ssl_object")
                assert told.server_sigalg() == "ecdsa_secp256r1_sha256"
                assert told.client_sigalg() is None

    veritls.aio.run(asyncio.wait_for(main(), 10))


def test_a_handshake_within_a_verify_callback_leaves_the_outer_ones_as_they_are(
    made: dict[str, Path],
) -> None:
    own, other = contexts(made, "ED25519", "RSA")
    within: list[str | None] = []

    def verify(report: Any) -> None:
        with tls_pair(*contexts(made, "RSA", "ECDSA")) as ends:
            within.append(ends[0].server_sigalg())

    own.set_verify_callback(verify)
    other.set_verify_callback(verify)
    with tls_pair(own, other) as ends:
        for end in ends:
            assert (end.server_sigalg(), end.client_sigalg()) == (EXPECTED["ED25519"], EXPECTED["RSA"])
    assert within == [EXPECTED["RSA"]] * 2


def test_every_algorithm_has_the_name_that_openssl_gives_it() -> None:
    names = veritls.get_sigalgs()
    assert set(names) == set(sigalgs.NAMES.values())
    theirs = getattr(ssl, "get_sigalgs", None)
    if theirs is not None:
        later = {"mldsa44", "mldsa65", "mldsa87"}  # of OpenSSL 3.5
        assert set(names) - later <= set(theirs())


@pytest.mark.parametrize("name", ["set_client_sigalgs", "set_server_sigalgs"])
def test_a_choice_of_algorithms_is_refused_and_not_ignored(name: str) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    with pytest.raises(NotImplementedError, match=name):
        getattr(context, name)("ed25519")
