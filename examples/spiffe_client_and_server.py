"""A server and a client that know each other by SPIFFE IDs, and renew what they are and whom they trust.

    pip install 'veritls[spiffe]'
    python examples/spiffe_client_and_server.py

starts both, with a Workload API that is a part of this file; exchanges a message, rotates the CA and both
certificates, exchanges another, and shows that a workload of another trust domain is refused. Where there is
a Workload API, such as that of SPIRE's agent, each is started by itself:

    export SPIFFE_ENDPOINT_SOCKET=unix:///run/spire/agent.sock
    python examples/spiffe_client_and_server.py server --allow 'spiffe://example.org/**'
    python examples/spiffe_client_and_server.py client --allow spiffe://example.org/server --port PORT
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import veritls
from veritls.events import HandshakeEvent
from veritls.sources import SPIFFESource

SECONDS = 30


def say(*words: object) -> None:
    print(" ".join(map(str, words)), flush=True)


def following(protocol: int, allowed: str) -> veritls.SSLContext:
    """A context that is whom the Workload API says, and accepts peers that the pattern `allowed` matches."""
    context = veritls.SSLContext(protocol)
    context.check_hostname = False  # SPIFFE IDs take the place of host names
    context.verify_mode = ssl.CERT_REQUIRED
    context.allowed_peers = [veritls.SPIFFE(allowed)]
    context.follow(SPIFFESource())
    context.on_material(lambda event: say(f"{event.outcome}, generation {event.generation}"))
    return context


def spiffe_id(connection: veritls.SSLSocket) -> str:
    """Of the peer, whose certificate was verified, and so has one."""
    certificate: Any = connection.getpeercert()
    return str(dict(certificate["subjectAltName"])["URI"])


def tell(event: HandshakeEvent) -> None:
    say(f"{event.outcome}: {event.peer_identity.spiffe_id if event.peer_identity else event.sentence}")


def serve(allowed: str, port: int) -> None:
    """Answers each client that is allowed. A refusal is a line of the logger veritls.handshake, too."""
    context = following(veritls.PROTOCOL_TLS_SERVER, allowed)
    context.on_handshake(tell)

    def answer(plain: socket.socket) -> None:
        try:
            plain.settimeout(SECONDS)
            with plain, context.wrap_socket(plain, server_side=True) as connection:
                who, text = spiffe_id(connection), connection.recv(1000).decode()
                connection.sendall(f"{text}, {who}".encode())
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", port)) as listener:
        say("serving on port", listener.getsockname()[1])
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=answer, args=(plain,), daemon=True).start()


def ask(allowed: str, port: int) -> None:
    """Sends each line of the standard input on a connection of its own, and says what is answered."""
    context = following(veritls.PROTOCOL_TLS_CLIENT, allowed)
    say("ready")
    for line in sys.stdin:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain,
                context.wrap_socket(plain) as connection,
            ):
                connection.sendall(line.strip().encode())
                say(f"{spiffe_id(connection)} answers: {connection.recv(1000).decode()}")
        except OSError as error:
            say(f"refused: {error}")


# What follows is not needed where there is a Workload API.


class TrustDomain:
    """A CA, and the certificates that it issues; SPIRE's server has this part."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key, self.certificate = self._issue(f"spiffe://{name}", None)

    def _issue(self, uri: str, issuer: TrustDomain | None) -> tuple[Any, Any]:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri)])
        now = datetime.datetime.now(datetime.UTC)
        usage = dict.fromkeys(
            (
                *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
                *("encipher_only", "decipher_only"),
            ),
            False,
        )
        ca = issuer is None
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            (issuer.key if issuer else key).public_key()
        )
        builder = (
            x509.CertificateBuilder(issuer.certificate.subject if issuer else name, name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(
                x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(above, False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False)
        )
        return key, builder.sign(issuer.key if issuer else key, hashes.SHA256())

    def bundle(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding

        return bytes(self.certificate.public_bytes(Encoding.DER))

    def message(self, path: str, *federated: TrustDomain) -> Any:
        """What a workload gets: one identity, and the bundles of its trust domain and of others."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
        from spiffe._proto import workload_pb2

        uri = f"spiffe://{self.name}{path}"
        key, certificate = self._issue(uri, self)
        svid = workload_pb2.X509SVID(
            spiffe_id=uri,
            x509_svid=certificate.public_bytes(Encoding.DER),
            x509_svid_key=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            bundle=self.bundle(),
        )
        bundles = {f"spiffe://{each.name}": each.bundle() for each in federated}
        return workload_pb2.X509SVIDResponse(svids=[svid], federated_bundles=bundles)


class WorkloadAPI:
    """Sends one workload what `send` is given. It does not ask who connects, as SPIRE's agent would."""

    def __init__(self, path: Path, first: Any) -> None:
        self.endpoint = f"unix://{path}"
        self._messages = [first]
        self._changed = threading.Condition()

    def send(self, message: Any) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def _stream(self, context: Any) -> Iterator[Any]:
        sent = 0
        while context.is_active():
            with self._changed:
                if len(self._messages) == sent:
                    self._changed.wait(1)
                new, sent = self._messages[sent:][-1:], len(self._messages)
            yield from new

    @contextmanager
    def serving(self) -> Iterator[None]:
        import grpc

        stubs: Any = importlib.import_module("spiffe._proto.workload_pb2_grpc")
        api = self

        class Servicer(stubs.SpiffeWorkloadAPIServicer):  # type: ignore[misc]
            def FetchX509SVID(self, request: Any, context: Any) -> Iterator[Any]:
                if ("workload.spiffe.io", "true") not in context.invocation_metadata():
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing from request")
                return api._stream(context)

        server = grpc.server(ThreadPoolExecutor(4))
        stubs.add_SpiffeWorkloadAPIServicer_to_server(Servicer(), server)
        server.add_insecure_port(self.endpoint)
        server.start()
        try:
            yield
        finally:
            server.stop(0).wait()


class Workload:
    """A process of this file, and what it says."""

    def __init__(self, who: str, api: WorkloadAPI, *arguments: str) -> None:
        self._who = who
        self._process = subprocess.Popen(
            [sys.executable, __file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "SPIFFE_ENDPOINT_SOCKET": api.endpoint},
        )

    def says(self, begins: str) -> str:
        """Shows what it says, up to a line that begins so, and returns that."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            say(f"  {self._who}: {line.strip()}")
            if line.startswith(begins):
                return line.strip()
        raise SystemExit(f"{self._who} has ended")

    def is_told(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate()


def show() -> None:
    """Everything at once."""
    home, other = TrustDomain("example.org"), TrustDomain("other.example")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def api(name: str, message: Any) -> WorkloadAPI:
            made = WorkloadAPI(folder / name, message)
            stack.enter_context(made.serving())
            return made

        def workload(who: str, api: WorkloadAPI, *arguments: str) -> Workload:
            made = Workload(who, api, *arguments)
            stack.callback(made.end)
            return made

        server_api, client_api = (
            api("server", home.message("/server")),
            api("client", home.message("/client")),
        )
        say("A server and a client follow their Workload APIs.")
        server = workload("server", server_api, "server", "--allow", "spiffe://example.org/client")
        port = server.says("serving on port").split()[-1]
        to = ("client", "--allow", "spiffe://example.org/server", "--port", port)
        client = workload("client", client_api, *to)
        client.says("ready")
        client.is_told("hello")
        client.says("spiffe://")

        say("The CA of their trust domain is replaced, and with it both certificates.")
        home = TrustDomain("example.org")
        server_api.send(home.message("/server"))
        client_api.send(home.message("/client"))
        server.says("loaded")
        client.says("loaded")
        client.is_told("hello again")
        client.says("spiffe://")

        say("A workload of another trust domain, which trusts that of the server, is refused.")
        stranger = workload("stranger", api("stranger", other.message("/client", home)), *to)
        stranger.says("ready")
        stranger.is_told("let me in")
        stranger.says("refused")
        server.says("refused")


def main() -> None:
    parser = argparse.ArgumentParser(description="SPIFFE: a client and a server.")
    parser.add_argument("role", nargs="?", choices=["server", "client"], help="one of them; by default, both")
    parser.add_argument("--allow", default="spiffe://example.org/**", help="the SPIFFE IDs of the peers")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    roles: dict[str | None, Callable[[], None]] = {
        "server": lambda: serve(given.allow, given.port),
        "client": lambda: ask(given.allow, given.port),
        None: show,
    }
    roles[given.role]()


if __name__ == "__main__":
    main()
