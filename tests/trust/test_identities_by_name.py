"""Several identities in one context: which one a client is shown, and which one a renewal replaces."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
from typing import Any

import pytest

import veritls
from tests.support.certificates import Party, new_key
from tests.support.connections import SECONDS, in_thread, tls_pair

ROOT = Party("Root", ca=True)
KEYS = {kind: new_key(kind) for kind in ("ECDSA", "ED25519", "RSA")}


def serving(*parties: Party) -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    for party in parties:
        context.load_cert_chain(party.certificate, party.key)
    return context


def shown(
    context: veritls.SSLContext, name: str | None, *, ciphers: str = "", module: Any = veritls
) -> bytes:
    """The certificate that a client is shown which asks for `name`."""
    client = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata=ROOT.der)
    if ciphers:
        client.set_ciphers(ciphers)
        client.maximum_version = ssl.TLSVersion.TLSv1_2
    with tls_pair(context, client, name) as (_, end):
        return bytes(end.getpeercert(True))


A = Party("a", ROOT, names=["a.example", "a.wild.example"])
B = Party("b", ROOT, names=["b.example", "c.example"])
WILD = Party("wild", ROOT, names=["*.wild.example"])


@pytest.mark.parametrize("module", [ssl, veritls], ids=["ssl client", "veritls client"])
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.example", A),
        ("A.EXAMPLE", A),
        ("b.example", B),
        ("c.example", B),
        ("a.wild.example", A),
        ("d.wild.example", WILD),
        ("x.d.wild.example", B),
        ("wild.example", B),
        ("elsewhere", B),
        (None, B),
    ],
)
def test_the_name_decides_exact_before_wildcard_else_the_newest(
    name: str | None, wanted: Party, module: Any
) -> None:
    assert shown(serving(WILD, A, B), name, module=module) == wanted.der


def test_of_the_certificates_for_a_name_the_client_gets_one_that_it_can_verify() -> None:
    rsa = Party("a", ROOT, names=["a.example"], key=new_key("RSA"))
    other = Party("b", ROOT, names=["b.example"])
    context = serving(rsa, A, other)
    assert shown(context, "a.example", ciphers="ECDHE+aRSA") == rsa.der
    assert shown(context, "a.example", ciphers="ECDHE+ECDSA") == A.der
    assert shown(context, "a.example") == A.der


def test_a_client_that_cannot_verify_the_exact_one_gets_the_wildcard() -> None:
    wild = Party("wild", ROOT, names=["*.wild.example"], key=new_key("RSA"))
    assert shown(serving(wild, A, B), "a.wild.example", ciphers="ECDHE+aRSA") == wild.der


def test_a_renewal_replaces_what_it_shares_a_name_with_and_takes_its_place() -> None:
    context = serving(A, B)
    renewed = Party("a", ROOT, names=["new.example", "A.example"])
    context.load_cert_chain(renewed.certificate, renewed.key)
    for name, wanted in {
        "a.example": renewed,
        "new.example": renewed,
        "b.example": B,
        "elsewhere": B,
    }.items():
        assert shown(context, name) == wanted.der


def test_a_certificate_that_joins_two_replaces_both() -> None:
    both = Party("both", ROOT, names=["a.example", "b.example"])
    context = serving(A, B, both)
    assert [shown(context, name) for name in ("a.example", "b.example", "c.example")] == [both.der] * 3


def test_a_renewal_of_another_kind_of_key_comes_beside() -> None:
    rsa = Party("a", ROOT, names=["a.example"], key=new_key("RSA"))
    context = serving(A, rsa)
    assert shown(context, "a.example", ciphers="ECDHE+ECDSA") == A.der
    assert shown(context, "a.example", ciphers="ECDHE+aRSA") == rsa.der


def test_certificates_without_names_replace_each_other_by_their_subject() -> None:
    old, new, other = (Party(name, ROOT, names=[]) for name in ("same", "same", "other"))
    assert shown(serving(old, new), "a.example") == new.der
    assert shown(serving(old, other), "a.example") == other.der


def test_a_client_shows_the_newest_of_each_kind_as_with_ssl() -> None:
    server = serving(Party("localhost", ROOT))
    server.load_verify_locations(cadata=ROOT.der)
    server.verify_mode = ssl.CERT_REQUIRED
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=ROOT.der)
    for party in (A, B):
        client.load_cert_chain(party.certificate, party.key)
        with tls_pair(server, client) as (end, other):
            other.sendall(b"x")
            assert end.recv(1) == b"x"
            assert end.getpeercert(True) == party.der


def test_a_thousand_identities_are_each_found() -> None:
    key = A.key
    parties = [Party(f"{n}", ROOT, names=[f"host{n}.example"], key=key) for n in range(1000)]
    context = serving(*parties)
    for n in (0, 1, 499, 998, 999):
        assert shown(context, f"host{n}.example") == parties[n].der


def test_a_session_holds_for_the_settings_whichever_name_it_began_with() -> None:
    context = serving(A, B)
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=ROOT.der)
    with tls_pair(context, client, "a.example") as (server, end):
        server.sendall(b"x")
        end.recv(1)
        session = end.session
    with tls_pair(context, client, "b.example", session=session) as (_, end):
        assert not end.session_reused
        assert end.getpeercert(True) == B.der
    with tls_pair(context, client, "a.example", session=session) as (_, end):
        assert end.getpeercert(True) == A.der


def test_a_running_server_shows_a_renewed_certificate_to_new_connections() -> None:
    context = serving(A)
    renewed = Party("a", ROOT, names=["a.example"])
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=ROOT.der)
    listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
    listener.settimeout(SECONDS)

    def connect() -> Any:
        raw = socket.create_connection(listener.getsockname(), timeout=SECONDS)
        return client.wrap_socket(raw, server_hostname="a.example")

    def accept() -> Any:
        return listener.accept()[0]

    with listener:
        accepting = in_thread(accept)
        with connect() as first, accepting.result(SECONDS) as first_server:
            assert first.getpeercert(True) == A.der
            context.load_cert_chain(renewed.certificate, renewed.key)
            accepting = in_thread(accept)
            with connect() as second, accepting.result(SECONDS):
                assert second.getpeercert(True) == renewed.der
            first.sendall(b"still here")
            assert first_server.recv(100) == b"still here"


def test_a_running_asyncio_server_shows_a_renewed_certificate_to_new_connections() -> None:
    context = serving(A)
    renewed = Party("a", ROOT, names=["a.example"])
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=ROOT.der)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        await writer.drain()
        writer.close()

    async def main() -> list[bytes]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        seen = []
        async with server:
            for party in (None, renewed):
                if party is not None:
                    context.load_cert_chain(party.certificate, party.key)
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=client, server_hostname="a.example"
                )
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                seen.append(writer.get_extra_info("ssl_object").getpeercert(True))
                writer.close()
        return seen

    assert asyncio.run(asyncio.wait_for(main(), SECONDS)) == [A.der, renewed.der]


@pytest.mark.parametrize("order", list(itertools.permutations(KEYS)))
def test_ecdsa_is_preferred_to_ed25519_and_that_to_rsa(order: tuple[str, ...]) -> None:
    context = serving(*(Party("k", ROOT, names=["k.example"], key=KEYS[kind]) for kind in order))
    kinds = [identity.algorithm for identity in context._own.preferred()]
    assert kinds == ["ECDSA", "ED25519", "RSA"]


def test_of_one_kind_of_key_the_newest_is_preferred() -> None:
    first, second = (Party(name, ROOT, names=[f"{name}.example"]) for name in ("first", "second"))
    assert [each.chain[0] for each in serving(first, second)._own.preferred()] == [second.der, first.der]
