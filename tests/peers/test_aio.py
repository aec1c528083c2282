"""The same cases with veritls's end on an event loop: two of the peers, each on one of the loops."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Any

import pytest

import veritls.aio
from tests.aio.ends import LoopFactory, run
from tests.conftest import Files
from tests.ecosystem.parties import library
from tests.peers import test_peers
from tests.peers.cases import Case
from tests.peers.ends import End, client_context, extra, require, server_context
from tests.peers.peer import Peer
from tests.peers.registry import PEERS
from tests.support.connections import SECONDS, in_thread

pytestmark = pytest.mark.timeout(300)  # Go builds its own library first


def loop_for(peer: Peer) -> LoopFactory:
    if peer.name == "haproxy":
        return veritls.aio.EventLoop
    library("uvloop")
    found: LoopFactory = veritls.aio.UvloopEventLoop
    return found


async def until(end: End, reader: asyncio.StreamReader, condition: Any) -> None:
    """Receives until the condition holds of what was received, or the peer closes."""
    while not condition(end.received) and (data := await reader.read(4096)):
        end.received += data


async def answer(listener: socket.socket, context: ssl.SSLContext, peer: Peer) -> End:
    loop, end = asyncio.get_running_loop(), End()
    plain, _ = await loop.sock_accept(listener)
    with plain.dup() as under:  # left open after a refusal, until the client has read the alert
        under.setblocking(False)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, plain, ssl=context)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            tls = writer.get_extra_info("ssl_object")
            end.certificate, end.der = tls.getpeercert(), tls.getpeercert(binary_form=True)
            await until(end, reader, lambda received: received.endswith(extra(peer, "request")))
            writer.write(extra(peer, "reply"))
            writer.close()
            await writer.wait_closed()
        except OSError as error:
            end.error = error
        with suppress(OSError):  # not connected: the other end has closed already
            under.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while await loop.sock_recv(under, 4096):
                pass
    return end


async def ask(port: int, context: ssl.SSLContext, peer: Peer, silent: bool) -> End:
    end = End()
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        try:
            if not silent:
                writer.write(extra(peer, "request"))
            await until(end, reader, lambda received: extra(peer, "reply") in received)
        finally:
            writer.close()
        await writer.wait_closed()
    except OSError as error:
        end.error = error
    return end


def as_server(peer: Peer, case: Case, files: Files) -> End:
    require(peer, "client", case)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        context = server_context(peer, case, files)
        answering = in_thread(lambda: run(loop_for(peer), answer(listener, context, peer)))
        outcome = peer.connect(case, files, listener.getsockname()[1])
        end: End = answering.result(SECONDS)
    end.peer = outcome
    return end


def as_client(peer: Peer, case: Case, files: Files, own: ssl.VerifyMode, refused: bool) -> End:
    require(peer, "server", case)
    with peer.serve(case, files) as (port, finish):
        end = run(loop_for(peer), ask(port, client_context(case, files, own), peer, silent=refused))
        end.peer = finish()
    return end


TWO = [peer for peer in PEERS if peer.name in ("haproxy", "go")]


class TestServerOnALoop(test_peers.TestServer):
    peers = TWO
    as_server = staticmethod(as_server)


class TestClientOnALoop(test_peers.TestClient):
    peers = TWO
    as_client = staticmethod(as_client)
