"""One connection with a byte each way, over sockets or asyncio, and its outcome on both sides."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

import veritls
from tests.support.connections import SECONDS, in_thread, raw_pair


class _Offering:
    """A client's context that offers a session on every transport: asyncio has no argument for one."""

    offer: Any = None

    def wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
        if self.offer is not None:
            kwargs["session"] = self.offer
        return super().wrap_bio(*args, **kwargs)  # type: ignore[misc]

    def wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
        if self.offer is not None:
            kwargs["session"] = self.offer
        return super().wrap_socket(*args, **kwargs)  # type: ignore[misc]


class OurClient(_Offering, veritls.SSLContext):  # type: ignore[misc, override]
    """A client under test."""


class TheirClient(_Offering, ssl.SSLContext):
    """The standard module's, which offers any session of its own: an attacker."""


@dataclass
class Side:
    """What one end knows once the byte has gone each way."""

    error: BaseException | None = None
    reused: bool | None = None
    session: Any = None
    peer: bytes | None = None
    path: list[bytes] = field(default_factory=list)

    def note(self, end: Any) -> None:
        self.reused, self.peer = end.session_reused, end.getpeercert(True)
        if isinstance(end, veritls.SSLSocket | veritls.SSLObject):
            self.path = end.get_verified_chain()


@dataclass
class Met:
    """Both sides of one connection."""

    server: Side
    client: Side

    @property
    def resumed(self) -> bool:
        return bool(self.server.reused or self.client.reused)


def meet(transport: str, server: Any, client: Any, name: str, session: Any = None) -> Met:
    """One connection; the client offers `session`."""
    client.offer = session
    try:
        if transport == "asyncio":
            return asyncio.run(asyncio.wait_for(_over_asyncio(server, client, name), SECONDS))
        return _over_sockets(server, client, name)
    finally:
        client.offer = None


def _over_sockets(server: Any, client: Any, name: str) -> Met:
    met = Met(Side(), Side())
    server_raw, client_raw = raw_pair()

    def serve() -> None:
        with server.wrap_socket(server_raw, server_side=True) as end:
            end.sendall(b"s")
            end.recv(1)
            met.server.note(end)

    serving = in_thread(serve)
    try:
        with client.wrap_socket(client_raw, server_hostname=name) as end:
            if end.recv(1) != b"s":
                raise ConnectionResetError("the server went away")
            met.client.note(end)
            met.client.session = end.session
            end.sendall(b"c")
    except (OSError, ValueError) as error:
        met.client.error = error
    finally:
        client_raw.close()
    try:
        serving.result(SECONDS)
    except (OSError, ValueError) as error:
        met.server.error = error
    finally:
        server_raw.close()
    return met


async def _over_asyncio(server: Any, client: Any, name: str) -> Met:
    met = Met(Side(), Side())
    loop = asyncio.get_running_loop()
    served: asyncio.Future[None] = loop.create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"s")
        try:
            await reader.read(1)
            met.server.note(writer.get_extra_info("ssl_object"))
        except OSError as error:
            met.server.error = error
        finally:
            writer.close()
            served.set_result(None)

    ends: list[Any] = []

    def recorded(*args: Any, **kwargs: Any) -> Any:
        ends.append(type(server).wrap_bio(server, *args, **kwargs))
        return ends[-1]

    server.wrap_bio = recorded
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with listening:
        raw = socket.socket()
        raw.setblocking(False)
        try:
            await loop.sock_connect(raw, listening.sockets[0].getsockname())
            reader, writer = await asyncio.open_connection(sock=raw, ssl=client, server_hostname=name)
            if await reader.read(1) != b"s":
                raise ConnectionResetError("the server went away")
            end = writer.get_extra_info("ssl_object")
            met.client.note(end)
            met.client.session = end.session
            writer.write(b"c")
            await writer.drain()
        except (OSError, ValueError) as error:
            met.client.error = error
            # asyncio does not report why a server's handshake failed; a connection that failed says it again.
            with contextlib.suppress(ssl.SSLWantReadError):
                try:
                    ends[-1].do_handshake()
                except ssl.SSLError as error:
                    met.server.error = error
            # asyncio leaves it open where no TLS could be made, and Python 3.12 waits for the other end.
            raw.close()
        else:
            await served
            writer.close()
        finally:
            del server.wrap_bio
    return met
