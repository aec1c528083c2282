"""The ways to speak TLS over blocking sockets from Python, one class each, with the same few functions."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from bench import checks
from bench.recipe import AES256, TLS12, TLS13, Recipe, host_name

_AES256_12 = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
_AES256_13 = "TLS_AES_256_GCM_SHA384"


class LeftOut(Exception):
    """Why a contestant does not take part."""


@dataclass(frozen=True)
class State:
    """What an end says about its connection. `resumed`: None where it cannot tell."""

    version: str | None
    suite: str | None
    resumed: bool | None
    peer_certificate: bool


class Contestant:
    """A way to speak TLS. Connections have `sendall`, `recv_into` and `close`."""

    name: ClassVar[str]

    def server_context(self, recipe: Recipe) -> Any:
        raise LeftOut("has no server")

    def client_context(self, recipe: Recipe) -> Any:
        raise LeftOut("has no client")

    def accept(self, context: Any, plain: socket.socket) -> Any:
        """The server's end, its handshake done."""
        raise NotImplementedError

    def connect(self, context: Any, plain: socket.socket, host: str, session: Any) -> Any:
        """The client's end, its handshake done; `session` is from an earlier one, or None."""
        raise NotImplementedError

    def session(self, connection: Any) -> Any:
        """What a client comes back with."""
        return None

    def state(self, connection: Any) -> State:
        raise NotImplementedError

    def resumed(self, connection: Any) -> bool | None:
        """The one fact that is asked for in every handshake, so at little cost."""
        return self.state(connection).resumed

    def in_memory(self, server: Any, client: Any, host: str) -> None:
        """A handshake and a byte from the server, without sockets."""
        raise LeftOut("does not work without sockets")


class SslLike(Contestant):
    """`ssl`, and the modules that have its interface."""

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]
        self.module: Any = _imported(name)

    def _context(self, recipe: Recipe, *, server: bool) -> Any:
        tls = self.module
        context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER if server else tls.PROTOCOL_TLS_CLIENT)
        version = {TLS12: tls.TLSVersion.TLSv1_2, TLS13: tls.TLSVersion.TLSv1_3}[recipe.version]
        context.minimum_version = context.maximum_version = version
        if recipe.suite == AES256 and recipe.version == TLS12:
            context.set_ciphers(_AES256_12)
        elif recipe.suite == AES256 and hasattr(context, "set_ciphersuites"):
            context.set_ciphersuites(_AES256_13)
        own = recipe.server if server else recipe.client
        if own is not None and (server or recipe.shows_certificate):
            context.load_cert_chain(own)
        if recipe.client is not None or not server:
            context.load_verify_locations(recipe.ca)
            context.verify_mode = tls.CERT_REQUIRED
        return context

    def server_context(self, recipe: Recipe) -> Any:
        context = self._context(recipe, server=True)
        if recipe.hosts is not None:
            by_name = {}
            for number in range(recipe.host_count):
                path = str(Path(recipe.hosts) / f"{number}.pem")
                by_name[host_name(number)] = self._context(_with_server(recipe, path), server=True)
            context.sni_callback = _chooser(by_name)
        if recipe.check is not None:
            checks.find(recipe.check).on_server(self.module, context, recipe)
        return context

    def client_context(self, recipe: Recipe) -> Any:
        context = self._context(recipe, server=False)
        if recipe.check is not None:
            checks.find(recipe.check).on_client(self.module, context, recipe)
        return context

    def accept(self, context: Any, plain: socket.socket) -> Any:
        return context.wrap_socket(plain, server_side=True)

    def connect(self, context: Any, plain: socket.socket, host: str, session: Any) -> Any:
        if session is None:
            return context.wrap_socket(plain, server_hostname=host)
        return context.wrap_socket(plain, server_hostname=host, session=session)

    def session(self, connection: Any) -> Any:
        return connection.session

    def resumed(self, connection: Any) -> bool | None:
        return bool(connection.session_reused)

    def state(self, connection: Any) -> State:
        suite = connection.cipher()
        seen = bool(connection.getpeercert(binary_form=True) or connection.getpeercert())
        return State(connection.version(), suite and suite[0], connection.session_reused, seen)

    def in_memory(self, server: Any, client: Any, host: str) -> None:
        tls = self.module
        up, down = tls.MemoryBIO(), tls.MemoryBIO()
        theirs = client.wrap_bio(down, up, server_hostname=host)
        ours = server.wrap_bio(up, down, server_side=True)
        waiting = [theirs, ours]
        while waiting:
            for end in tuple(waiting):
                try:
                    end.do_handshake()
                    waiting.remove(end)
                except tls.SSLWantReadError:
                    pass
        ours.write(b"1")
        if theirs.read(1) != b"1":
            raise RuntimeError("the byte did not arrive")


def _with_server(recipe: Recipe, path: str) -> Recipe:
    return Recipe.of(recipe.fields() | {"server": path, "hosts": None})


def _chooser(by_name: dict[str, Any]) -> Callable[[Any, str | None, Any], None]:
    def choose(connection: Any, name: str | None, _: Any) -> None:
        connection.context = by_name[name or ""]

    return choose


class PyOpenSSL(Contestant):
    """pyOpenSSL: OpenSSL through cffi, with an interface of its own."""

    name = "pyOpenSSL"

    def __init__(self) -> None:
        self._ssl: Any = _imported("OpenSSL.SSL")

    def _context(self, recipe: Recipe, *, server: bool) -> Any:
        ssl_ = self._ssl
        context = ssl_.Context(ssl_.TLS_METHOD)
        version = {TLS12: ssl_.TLS1_2_VERSION, TLS13: ssl_.TLS1_3_VERSION}[recipe.version]
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        if recipe.hosts is not None or recipe.check is not None:
            raise LeftOut("not written for this")
        if recipe.timeout is not None:
            raise LeftOut("leaves waiting to its caller where a socket has a timeout")
        if recipe.suite == AES256:
            context.set_cipher_list(_AES256_12.encode())
            context.set_tls13_ciphersuites(_AES256_13.encode())
        own = recipe.server if server else recipe.client
        if own is not None and (server or recipe.shows_certificate):
            context.use_privatekey_file(own)
            context.use_certificate_chain_file(own)
        context.set_session_id(b"bench")
        if recipe.client is not None or not server:
            context.load_verify_locations(recipe.ca)
            context.set_verify(ssl_.VERIFY_PEER | ssl_.VERIFY_FAIL_IF_NO_PEER_CERT)
        return context

    def server_context(self, recipe: Recipe) -> Any:
        return self._context(recipe, server=True)

    def client_context(self, recipe: Recipe) -> Any:
        return self._context(recipe, server=False)

    def accept(self, context: Any, plain: socket.socket) -> Any:
        connection = self._ssl.Connection(context, plain)
        connection.set_accept_state()
        connection.do_handshake()
        return connection

    def connect(self, context: Any, plain: socket.socket, host: str, session: Any) -> Any:
        connection = self._ssl.Connection(context, plain)
        self._as_client(connection, host)
        if session is not None:
            connection.set_session(session)
        connection.do_handshake()
        return connection

    def _as_client(self, connection: Any, host: str) -> None:
        connection.set_connect_state()
        connection.set_tlsext_host_name(host.encode())

    def session(self, connection: Any) -> Any:
        session = connection.get_session()
        # OpenSSL spoils the session of a TLS 1.2 connection that ends without this.
        connection.set_shutdown(self._ssl.SENT_SHUTDOWN | self._ssl.RECEIVED_SHUTDOWN)
        return session

    def resumed(self, connection: Any) -> bool | None:
        return None

    def state(self, connection: Any) -> State:
        seen = connection.get_peer_certificate(as_cryptography=True) is not None
        return State(connection.get_protocol_version_name(), connection.get_cipher_name(), None, seen)

    def in_memory(self, server: Any, client: Any, host: str) -> None:
        want_read = self._ssl.WantReadError
        theirs, ours = self._ssl.Connection(client, None), self._ssl.Connection(server, None)
        self._as_client(theirs, host)
        ours.set_accept_state()
        waiting = [theirs, ours]
        while waiting:
            for end, other in ((theirs, ours), (ours, theirs)):
                try:
                    if end in waiting:
                        end.do_handshake()
                        waiting.remove(end)
                except want_read:
                    pass
                self._pass_on(end, other)
        ours.sendall(b"1")
        self._pass_on(ours, theirs)
        if theirs.recv(1) != b"1":
            raise RuntimeError("the byte did not arrive")

    def _pass_on(self, end: Any, other: Any) -> None:
        with contextlib.suppress(self._ssl.WantReadError):
            other.bio_write(end.bio_read(65536))


class PlainTcp(Contestant):
    """No TLS at all: what the harness and the kernel cost."""

    name = "TCP"

    def server_context(self, recipe: Recipe) -> Any:
        if recipe.client is not None:
            raise LeftOut("has no certificates")
        return None

    def client_context(self, recipe: Recipe) -> Any:
        return None

    def accept(self, context: Any, plain: socket.socket) -> Any:
        return plain

    def connect(self, context: Any, plain: socket.socket, host: str, session: Any) -> Any:
        return plain

    def state(self, connection: Any) -> State:
        return State(None, None, False, False)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as why:
        raise LeftOut(f"is not installed ({why})") from why


BLOCKING: dict[str, Callable[[], Contestant]] = {
    "ssl": lambda: SslLike("ssl"),
    "veritls": lambda: SslLike("veritls"),
    "rtls": lambda: SslLike("rtls"),
    "utls": lambda: SslLike("utls"),
    "pyOpenSSL": PyOpenSSL,
    "TCP": PlainTcp,
}
"""Every contestant over blocking sockets, by its name; RUSTLS joins them as a program of its own."""

RUSTLS = "rustls"


_PACKAGES = (
    *("veritls", "rtls", "utls", "pyOpenSSL", "cryptography", "uvloop", "aiofastnet"),
    *("httpx", "requests", "aiohttp", "certifi"),
)


def versions() -> dict[str, str]:
    """What is installed of all that takes part, for the record."""
    found = {"ssl": ssl.OPENSSL_VERSION}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    try:
        from OpenSSL import SSL

        linked = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()
        found["pyOpenSSL"] += f" ({linked})"
    except ImportError:
        pass
    return found
