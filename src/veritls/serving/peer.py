"""The client of a connection, and what an ASGI scope has of it: the TLS extension, version 0.2."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from veritls._connection.state import ConnectionState
from veritls._connection.telling import named
from veritls._report.rendering import counted, plain
from veritls.events import PeerIdentity
from veritls.peers import Matcher, as_matchers

KEY = "veritls.tls"
"""In a WSGI environ. A header cannot have this name: those begin with HTTP_."""


@dataclass(frozen=True, repr=False)
class Peer(PeerIdentity):
    """A client whose certificate was validated: whom it names.

    `chain`: the verified path (DER), its own certificate first, up to the trust anchor. `subject`, `names`,
    `names_left_out` and `spiffe_id` are those of `veritls.events.PeerIdentity`.
    """

    chain: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Peer | None:
        """The client of an ASGI `scope` or a WSGI environ; None where there is none that was validated.

        None, too, for a scope that the servers of this package did not make, whatever it contains: see
        `veritls.serving`. Raises TypeError for what is not a mapping.
        """
        if not isinstance(scope, Mapping):
            raise TypeError(f"Peer.of() takes a scope or an environ, not {type(scope).__name__}")
        extension = extension_of(scope)
        return extension._peer if extension is not None else None

    @classmethod
    def of_connection(cls, connection: Any) -> Peer | None:
        """The client of an SSLSocket, of an SSLObject, or of what has one, such as a transport or a
        StreamWriter of asyncio; None for anything else, and where there is none that was validated."""
        if not isinstance(connection, ConnectionState):
            ask = getattr(connection, "get_extra_info", None)
            connection = ask("ssl_object") if ask is not None else None
        return peer_of(connection) if isinstance(connection, ConnectionState) else None

    @property
    def certificate(self) -> bytes:
        """The client's certificate (DER)."""
        return self.chain[0]

    def matches(self, *patterns: Matcher) -> bool:
        """Whether one of `patterns` matches the certificate. Raises TypeError for what is no pattern."""
        return any(pattern.matches(self) for pattern in as_matchers(patterns, "Peer.matches()"))

    def __repr__(self) -> str:
        names = counted(len(self.names) + self.names_left_out, "name")
        spiffe = f", spiffe_id={plain(self.spiffe_id)!r}" if self.spiffe_id is not None else ""
        return f"<Peer {plain(self.subject)!r}, {names}{spiffe}>"


def extension_of(scope: Mapping[str, Any]) -> TLSExtension | None:
    """What veritls put into a scope or an environ; None where it did not."""
    extensions = scope.get("extensions")
    extension = extensions.get("tls") if isinstance(extensions, Mapping) else scope.get(KEY)
    return extension if type(extension) is TLSExtension else None


def peer_of(connection: ConnectionState) -> Peer | None:
    """The client of a server's connection; None before the handshake is done, and for one that is unknown."""
    stream = connection._agreed()
    if stream is None or not connection._is_server() or not stream.validated:
        return None
    chain = stream.verified_chain
    return Peer(*named(chain[0]), chain=tuple(chain)) if chain else None


class TLSExtension(dict[str, Any]):
    """``scope["extensions"]["tls"]``, and whose it is. Only veritls makes one; a copy is a plain dict, and
    nobody's."""

    __slots__ = ("_address", "_peer")

    def __init__(self, entries: Mapping[str, Any], peer: Peer | None, address: Any) -> None:
        super().__init__(entries)
        self._peer = peer
        self._address = address

    def __reduce_ex__(self, protocol: Any) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


@dataclass(frozen=True)
class Facts:
    """What a connection says of itself. It is asked once, and each request gets an extension of its own."""

    peer: Peer | None
    server_cert: str | None
    client_cert_chain: tuple[str, ...]
    tls_version: int
    cipher_suite: int

    def extension(self, address: Any) -> TLSExtension:
        """`address`: the client's, as the server has it."""
        entries = {
            "server_cert": self.server_cert,
            "client_cert_chain": list(self.client_cert_chain),
            "client_cert_name": None if self.peer is None else self.peer.subject,
            "client_cert_error": None,  # a client that shows a bad certificate is refused in the handshake
            "tls_version": self.tls_version,
            "cipher_suite": self.cipher_suite,
        }
        return TLSExtension(entries, self.peer, address)


def facts_of(connection: object) -> Facts | None:
    """None for anything but a server's connection of veritls whose handshake is done."""
    if not isinstance(connection, ConnectionState) or not connection._is_server():
        return None
    stream = connection._agreed()
    agreed = stream.negotiated if stream is not None else None
    if stream is None or agreed is None:
        return None
    peer, own = peer_of(connection), stream.own_certificate
    return Facts(
        peer=peer,
        server_cert=None if own is None else ssl.DER_cert_to_PEM_cert(own),
        client_cert_chain=tuple(map(ssl.DER_cert_to_PEM_cert, peer.chain)) if peer is not None else (),
        tls_version=agreed[0],
        cipher_suite=agreed[1],
    )


def with_facts(scope: Any, facts: Facts | None) -> dict[str, Any]:
    """`scope` with the TLS extension of its connection; without one, where that has none."""
    extensions = {key: value for key, value in (scope.get("extensions") or {}).items() if key != "tls"}
    if facts is not None:
        extensions["tls"] = facts.extension(scope.get("client"))
    return {**scope, "extensions": extensions}
