"""A client by hand up to the server's flight; then it sends what a script says.

A script speaks both versions: `key_exchange` is nothing in TLS 1.3, and `finished` brings the
ChangeCipherSpec that TLS 1.2 wants. It chooses what is sent, in which order and with which key.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from tlslite.constants import GroupName, HandshakeType
from tlslite.extensions import (
    ClientKeyShareExtension,
    KeyShareEntry,
    SignatureAlgorithmsExtension,
    SupportedGroupsExtension,
    SupportedVersionsExtension,
    TLSExtension,
)
from tlslite.handshakehashes import HandshakeHashes
from tlslite.messages import ClientHello, ServerHello
from tlslite.utils.codec import Parser

from tests.hostile_peers import proofs
from tests.hostile_peers.wire import (
    EXTENDED_MASTER_SECRET,
    RENEGOTIATION_SCSV,
    SUITE13,
    SUITES12,
    TLS12,
    TLS13,
    KeyShare,
    Version,
    Wire,
)
from tests.support.forger import message


class Client:
    """A client's side of one handshake."""

    def __init__(self, raw: socket.socket, version: Version) -> None:
        self.version = version
        self.wire = Wire(raw, version, client=True)
        self.asked = False
        """Whether the server asked for a certificate."""
        self._share = KeyShare()
        self._random = os.urandom(32)

    def begin(self) -> None:
        """The hello, and everything that the server sends before it is the client's turn."""
        self.wire.queue(self._hello())
        self.wire.send()
        last = HandshakeType.finished if self.version == TLS13 else HandshakeType.server_hello_done
        kind = None
        while kind != last:
            kind, content = self.wire.receive_handshake()
            self._take(kind, content)

    def _hello(self) -> bytes:
        schemes = [(each >> 8, each & 255) for each in proofs.OFFERED]
        extensions: list[Any] = [
            # TLS 1.2 counts the curves of certificates among them.
            SupportedGroupsExtension().create([GroupName.x25519, GroupName.secp256r1]),
            SignatureAlgorithmsExtension().create(schemes),
        ]
        if self.version == TLS13:
            share = KeyShareEntry().create(GroupName.x25519, bytearray(self._share.public))
            extensions += [
                SupportedVersionsExtension().create([TLS13]),
                ClientKeyShareExtension().create([share]),
            ]
        else:
            extensions.append(TLSExtension(extType=EXTENDED_MASTER_SECRET).create(bytearray()))
        suites = [SUITE13] if self.version == TLS13 else [*SUITES12.values(), RENEGOTIATION_SCSV]
        hello = ClientHello().create(
            TLS12, bytearray(self._random), bytearray(), suites, extensions=extensions
        )
        return bytes(hello.write())

    def _take(self, kind: int, content: bytes) -> None:
        if kind == HandshakeType.server_hello:
            hello = ServerHello().parse(Parser(bytearray(content[1:])))
            self._server_random = bytes(hello.random)
            self.wire.negotiated(hello.cipher_suite)
            if self.version == TLS13:
                share = next(each for each in hello.extensions if hasattr(each, "server_share"))
                self._shared = self._share.with_peer(share.server_share.key_exchange)
                self.wire.tls13_handshake_keys(self._shared)
                self.wire.write_with_new_keys()
        elif kind == HandshakeType.server_key_exchange:
            length = content[7]  # after the message's header, the kind of curve and the curve
            self._shared = self._share.with_peer(content[8 : 8 + length])
        elif kind == HandshakeType.certificate_request:
            self.asked = True
        elif kind == HandshakeType.finished and self.version == TLS13:
            self.wire.tls13_application_keys()
            self.wire.read_with_new_keys()

    # What a script sends

    @property
    def transcript(self) -> HandshakeHashes:
        """What has passed until now, as it will not change any more."""
        return self.wire.transcript.copy()

    def certificate(self, *chain: bytes, context: bytes = b"", extensions: bytes = b"") -> None:
        self.wire.queue(proofs.certificate(self.version, chain, context, extensions))

    def key_exchange(self) -> None:
        """ClientKeyExchange."""
        if self.version == TLS12:
            share = self._share.public
            self.wire.queue(message(HandshakeType.client_key_exchange, bytes([len(share)]) + share))
            self.wire.tls12_keys(self._shared, self._random, self._server_random)

    def proof(
        self,
        key: Any,
        *,
        scheme: int | None = None,
        says: int | None = None,
        side: str = "client",
        transcript: HandshakeHashes | None = None,
    ) -> bytes:
        """A CertificateVerify over `transcript` or what has passed. `says`: the scheme that it claims."""
        over = transcript or self.wire.transcript
        scheme = scheme or proofs.usual_scheme(key)
        if self.version == TLS12:
            content = bytes(over.digest("intrinsic"))
        else:
            content = proofs.tls13_content(side, bytes(over.digest("sha256")))
        signature = proofs.sign(key, content, scheme)
        return message(HandshakeType.certificate_verify, proofs.signed(says or scheme, signature))

    def verify(self, key: Any, **options: Any) -> None:
        """Sends `proof`."""
        self.wire.queue(self.proof(key, **options))

    def send(self, handshake_message: bytes) -> None:
        self.wire.queue(handshake_message)

    def finished(self, transcript: HandshakeHashes | None = None, *, end_record: bool = True) -> None:
        """Finished, over `transcript` or what has passed. What follows is under the application's keys."""
        if self.version == TLS12:
            self.wire.queue_change_cipher_spec()
            self.wire.write_with_new_keys()
        data = self.wire.finished(client=True, transcript=transcript)
        self.wire.queue(message(HandshakeType.finished, data))
        if self.version == TLS13:
            self.wire.write_with_new_keys()
        elif end_record:
            self.wire.end_record()
