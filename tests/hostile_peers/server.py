"""A server by hand up to the client's hello; then it sends what a script says.

A script speaks both versions. `prove` is CertificateVerify, or ServerKeyExchange in TLS 1.2; `done` is
Finished and ServerHelloDone. `complete` is for TLS 1.2, where the server finishes after the client.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from tlslite.constants import ContentType, ExtensionType, GroupName, HandshakeType
from tlslite.errors import TLSAbruptCloseError
from tlslite.extensions import (
    KeyShareEntry,
    ServerKeyShareExtension,
    SignatureAlgorithmsExtension,
    SrvSupportedVersionsExtension,
    TLSExtension,
)
from tlslite.handshakehashes import HandshakeHashes
from tlslite.messages import CertificateRequest, ClientHello, ServerHello
from tlslite.utils.codec import Parser

from tests.hostile_peers import proofs
from tests.hostile_peers.wire import (
    EXTENDED_MASTER_SECRET,
    RENEGOTIATION_INFO,
    SUITE13,
    SUITES12,
    TLS12,
    TLS13,
    Answer,
    KeyShare,
    Refused,
    Version,
    Wire,
)
from tests.support.forger import message


class Server:
    """A server's side of one handshake."""

    def __init__(self, raw: socket.socket, version: Version) -> None:
        self.version = version
        self.wire = Wire(raw, version, client=False)
        self._share = KeyShare()
        self._random = os.urandom(32)
        self._completed = False

    def hello(self, suite: str = "ECDSA") -> None:
        """Reads the client's hello, and sends what comes before a Certificate. `suite`: of TLS 1.2."""
        _, content = self.wire.receive_handshake()
        hello = ClientHello().parse(Parser(bytearray(content[1:])))
        self._client_random = bytes(hello.random)
        if self.version == TLS12:
            extensions: list[Any] = [
                TLSExtension(extType=EXTENDED_MASTER_SECRET).create(bytearray()),
                TLSExtension(extType=RENEGOTIATION_INFO).create(bytearray(1)),
            ]
        else:
            own = KeyShareEntry().create(GroupName.x25519, bytearray(self._share.public))
            extensions = [
                SrvSupportedVersionsExtension().create(TLS13),
                ServerKeyShareExtension().create(own),
            ]
        chosen = SUITES12[suite] if self.version == TLS12 else SUITE13
        session = hello.session_id if self.version == TLS13 else bytearray()
        answer = ServerHello().create(TLS12, bytearray(self._random), session, chosen, extensions=extensions)
        self.wire.queue(bytes(answer.write()))
        self.wire.end_record()
        self.wire.negotiated(chosen)
        if self.version == TLS13:
            shares = hello.getExtension(ExtensionType.key_share).client_shares
            (theirs,) = (each.key_exchange for each in shares if each.group == GroupName.x25519)
            self.wire.tls13_handshake_keys(self._share.with_peer(theirs))
            self.wire.write_with_new_keys()
            self.wire.queue(message(HandshakeType.encrypted_extensions, bytes(2)))

    # What a script sends

    @property
    def transcript(self) -> HandshakeHashes:
        """What has passed until now, as it will not change any more."""
        return self.wire.transcript.copy()

    def certificate(self, *chain: bytes, context: bytes = b"", extensions: bytes = b"") -> None:
        self.wire.queue(proofs.certificate(self.version, chain, context, extensions))

    def request(self) -> None:
        """CertificateRequest."""
        schemes = [(each >> 8, each & 255) for each in proofs.OFFERED]
        asked = CertificateRequest(self.version)
        if self.version == TLS12:
            ecdsa_sign = 64
            asked.create([ecdsa_sign], [], schemes)
        else:
            asked.create(context=b"", extensions=[SignatureAlgorithmsExtension().create(schemes)])
        self.wire.queue(bytes(asked.write()))

    def proof(
        self,
        key: Any,
        *,
        scheme: int | None = None,
        says: int | None = None,
        side: str = "server",
        transcript: HandshakeHashes | None = None,
        client_random: bytes | None = None,
        signature: bytes | None = None,
    ) -> bytes:
        """CertificateVerify or ServerKeyExchange. `says`: the scheme that it claims.

        TLS 1.3 signs as a `side`, over `transcript` or what has passed. TLS 1.2 signs `client_random` or that
        of the client, its own, and its share. `signature`: this one, whatever it is.
        """
        scheme = scheme or proofs.usual_scheme(key)
        parameters = b""
        if self.version == TLS12:
            named_curve = 3
            share = self._share.public
            parameters = bytes([named_curve, 0, GroupName.x25519, len(share)]) + share
            content = (client_random or self._client_random) + self._random + parameters
        else:
            over = transcript or self.wire.transcript
            content = proofs.tls13_content(side, bytes(over.digest("sha256")))
        if signature is None:
            signature = proofs.sign(key, content, scheme)
        kinds = {TLS12: HandshakeType.server_key_exchange, TLS13: HandshakeType.certificate_verify}
        return message(kinds[self.version], parameters + proofs.signed(says or scheme, signature))

    def prove(self, key: Any, **options: Any) -> None:
        """Sends `proof`."""
        self.wire.queue(self.proof(key, **options))

    def send(self, handshake_message: bytes) -> None:
        self.wire.queue(handshake_message)

    def data(self, data: bytes) -> None:
        """Application data, under whatever keys there are."""
        self.wire.queue_data(data)

    def done(self, transcript: HandshakeHashes | None = None) -> None:
        """The end of the server's flight. `transcript`: what the Finished of TLS 1.3 covers."""
        if self.version == TLS12:
            self.wire.queue(message(HandshakeType.server_hello_done, b""))
            return
        finished = self.wire.finished(client=False, transcript=transcript)
        self.wire.queue(message(HandshakeType.finished, finished))
        self.wire.tls13_application_keys()
        self.wire.write_with_new_keys()

    def complete(self) -> None:
        """TLS 1.2: the client's flight is read, and finished with. Once. `Refused` where it is an alert."""
        if self.version == TLS13 or self._completed:
            return
        self._completed = True
        self.wire.send()
        kind = None
        while kind != HandshakeType.finished:
            kind, content = self.wire.receive_handshake()
            if kind == HandshakeType.client_key_exchange:
                shared = self._share.with_peer(content[5:])
                self.wire.tls12_keys(shared, self._client_random, self._random)
        self.wire.queue_change_cipher_spec()
        self.wire.write_with_new_keys()
        self.wire.queue(message(HandshakeType.finished, self.wire.finished(client=False)))
        self.wire.end_record()

    def answer(self) -> Answer:
        """What the client says to it all, in the end."""
        try:
            while True:
                kind, content = self.wire.receive()
                if kind == ContentType.alert:
                    return Answer(alert=content[1])
                if kind == ContentType.application_data:
                    return Answer(data=content)
                if kind == ContentType.handshake and content[0] == HandshakeType.finished:
                    self.wire.read_with_new_keys()
        except TLSAbruptCloseError:
            return Answer()


def converse(server: Server, sends: Any, data: bytes, *args: Any) -> Answer:
    """Sends what `sends` says, and `data` behind it; what the client answered."""
    try:
        sends(server, *args)
        server.complete()
    except Refused as refused:
        return Answer(alert=refused.alert)
    except TLSAbruptCloseError:
        return Answer()
    server.data(data)
    server.wire.send()
    return server.answer()
