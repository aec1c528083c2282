"""A SPIFFE Workload API for tests, over gRPC with the stubs that the package `spiffe` ships.

It is not SPIRE: it attests nobody, and answers whoever connects with what the test last gave it. What SPIRE's
agent does, it does no better than the text of the standard says.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509

from tests.ecosystem.parties import library
from tests.support.certificates import Party
from tests.support.connections import SECONDS


class Domain:
    """A trust domain: its CA, and the SVIDs that it issues."""

    def __init__(self, name: str, ca: Party | None = None) -> None:
        self.name = name
        self.ca = ca or authority(name)

    def party(self, path: str, *uris: str, **options: Any) -> Party:
        """A certificate for the SPIFFE ID with `path`, or for the given URIs."""
        names = [x509.UniformResourceIdentifier(uri) for uri in uris or (f"spiffe://{self.name}{path}",)]
        return self.ca.issue(*names, **options)

    def svid(self, path: str, *, hint: str = "", **fields: Any) -> Any:
        """An X509SVID for the SPIFFE ID with `path`. `fields` replace those of the message; `party` its
        certificate with the key.
        """
        party = fields.pop("party", None) or self.party(path)
        given = {
            "spiffe_id": f"spiffe://{self.name}{path}",
            "x509_svid": party.der,
            "x509_svid_key": party.key_der,
            "bundle": self.ca.der,
            "hint": hint,
        }
        return protocol().X509SVID(**{**given, **fields})


def authority(domain: str) -> Party:
    """A CA as SPIRE makes them: its SPIFFE ID is that of its trust domain."""
    return Party(f"CA of {domain}", ca=True, names=[x509.UniformResourceIdentifier(f"spiffe://{domain}")])


def protocol() -> Any:
    """The module of the messages."""
    return library("spiffe._proto.workload_pb2")


def response(*svids: Any, crls: Any = (), **federated: Any) -> Any:
    """An X509SVIDResponse. `federated`: trust domain, with _ for its dots, and its bundle."""
    return protocol().X509SVIDResponse(
        svids=svids,
        crl=crls,
        federated_bundles={f"spiffe://{name.replace('_', '.')}": der for name, der in federated.items()},
    )


class _Refusal(Exception):
    pass


class WorkloadAPI:
    """A server on the socket `path`. Every stream has what `send` gave last, and what it gives afterwards.

    `calls`: how many streams were opened. `open`: how many are now. `raw`: messages are sent as bytes, which
    need not be messages.
    """

    def __init__(self, path: Path, *, raw: bool = False) -> None:
        self.path = path
        self.raw = raw
        self.calls = 0
        self.open = 0
        self._changed = threading.Condition()
        self._steps: list[Any] = []
        self._first = 0
        self._server: Any = None

    @property
    def endpoint(self) -> str:
        return f"unix://{self.path}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        grpc, stubs = library("grpc"), library("spiffe._proto.workload_pb2_grpc")
        api = self

        class Servicer(stubs.SpiffeWorkloadAPIServicer):  # type: ignore[misc, name-defined]
            def FetchX509SVID(self, request: Any, context: Any) -> Iterator[Any]:
                return api._stream(grpc, context)

        self._stopping = False
        self._server = grpc.server(ThreadPoolExecutor(20), options=[("grpc.max_send_message_length", -1)])
        if self.raw:
            method = grpc.unary_stream_rpc_method_handler(Servicer().FetchX509SVID)
            service = grpc.method_handlers_generic_handler("SpiffeWorkloadAPI", {"FetchX509SVID": method})
            self._server.add_generic_rpc_handlers((service,))
        else:
            stubs.add_SpiffeWorkloadAPIServicer_to_server(Servicer(), self._server)
        self._server.add_insecure_port(f"unix:{self.path}")
        self._server.start()

    def stop(self) -> None:
        """The socket is gone, with every connection."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._server.stop(0).wait(SECONDS)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def send(self, message: Any) -> None:
        """A message, for the streams that are open and, as their first, for those that come."""
        self._do(message, stays=True)

    def end(self) -> None:
        """Ends the streams that are open."""
        self._do(StopIteration(), stays=False)

    def refuse(self, code: str, details: str = "") -> None:
        """Ends every stream, also those that come, with a status of gRPC, until `send`."""
        self._do(_Refusal(code, details), stays=True)

    def hang(self) -> None:
        """Streams that come get nothing, until `send`."""
        self._do(None, stays=True)

    def _do(self, step: Any, *, stays: bool) -> None:
        with self._changed:
            if stays:
                self._first = len(self._steps)
            self._steps.append(step)
            self._changed.notify_all()

    def wait(self, *, calls: int = 0, open: int | None = None) -> None:
        """Returns once so many streams were opened, or are open."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.calls >= calls and (open is None or self.open == open), SECONDS
            ), (self.calls, self.open)

    def _stream(self, grpc: Any, context: Any) -> Iterator[Any]:
        if ("workload.spiffe.io", "true") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing from request")
        context.add_callback(self._wake)
        with self._changed:
            self.calls += 1
            self.open += 1
            self._changed.notify_all()
            step = self._first
        try:
            while True:
                with self._changed:
                    while len(self._steps) <= step and context.is_active() and not self._stopping:
                        self._changed.wait()
                    if self._stopping or not context.is_active():
                        return
                    given, step = self._steps[step], step + 1
                if isinstance(given, StopIteration):
                    return
                if isinstance(given, _Refusal):
                    code, details = given.args
                    context.abort(grpc.StatusCode[code], details)
                if given is not None:
                    yield given
        finally:
            with self._changed:
                self.open -= 1
                self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
