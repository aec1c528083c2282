"""Identity and trust from a SPIFFE Workload API, by way of the package `spiffe` (extra `spiffe`)."""

from __future__ import annotations

import os
import threading
import time
import weakref
from base64 import b64encode
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from veritls._report.rendering import counted, plain
from veritls.events.material import Kind
from veritls.sources._svids import SVID as SVID, parse, trust_domain_of
from veritls.sources._workload_api import Stream, settle
from veritls.sources.source import Identity, Material

VARIABLE = "SPIFFE_ENDPOINT_SOCKET"

Pick: TypeAlias = str | Callable[[Sequence[SVID]], SVID]
"""Which of several identities: its SPIFFE ID, or what returns one of those that it is given."""

_APART = 1.0
"""Seconds between the beginnings of two streams, where a Workload API ends each at once."""

_LONGEST_PATH = 107
"""Bytes of a path that a socket's address has room for (Linux)."""


class SPIFFESource:
    """X.509-SVIDs and bundles of a SPIFFE Workload API, which SPIRE's agent serves; for `SSLContext.follow`.

    `endpoint`: where it is, ``unix:///run/spire/agent.sock``; by default the variable SPIFFE_ENDPOINT_SOCKET.
    `pick`: which identity, where there are several: its SPIFFE ID, or a callable that is given all of them,
    each with `spiffe_id` and `hint`, and returns one; by default the first. `timeout`: seconds that `load`
    waits for the first message of a stream. `crls`: whether CRLs are followed, too; each message must have
    some then.

    The trust is a mapping of trust domains to anchors: the own one, and the federated ones. Raises ValueError
    where the endpoint is missing, or is not ``unix:`` and an absolute path, and where `pick` is not the
    SPIFFE ID of a workload; TypeError for a `pick` of another type; ImportError without the package `spiffe`.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        pick: Pick | None = None,
        timeout: float = 10.0,
        crls: bool = False,
    ) -> None:
        self._path = _socket_path(endpoint)
        if isinstance(pick, str):
            if trust_domain_of(pick) is None:
                raise ValueError(f"pick: {pick!r} is not the SPIFFE ID of a workload")
        elif pick is not None and not callable(pick):
            raise TypeError(f"pick must be a SPIFFE ID or a callable, not {type(pick).__name__}")
        if not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, not {timeout}")
        _needs_package()
        self._pick = pick
        self._timeout = timeout
        self._crls = crls
        self._stream: Stream | None = None
        self._end: weakref.finalize[[], SPIFFESource] | None = None
        self._known = 0
        self._loaded: tuple[bytes, Material] | None = None

    @property
    def name(self) -> str:
        """What it is called in logs and metrics."""
        return f"the SPIFFE Workload API at {plain(self._path)}"

    @property
    def provides(self) -> frozenset[Kind]:
        """Identity and trust, and CRLs where they are followed."""
        return frozenset({"identity", "trust", "crls"} if self._crls else {"identity", "trust"})

    def load(self) -> Material:
        """What the newest message on the stream has, all of it. Opens a stream where none is open.

        Raises TimeoutError where there is no answer in time, PermissionError where there is no identity for
        this process, ConnectionError where the Workload API is gone, refuses or ends the stream; ValueError
        where a message is malformed, too much or of another trust domain, or `pick` picks none of it;
        RuntimeError in a forked process where gRPC cannot be used.
        """
        stream = self._stream
        if stream is not None and stream.process != os.getpid():
            settle()
            stream = None  # the parent's, which goes on using it
        if stream is None or stream.ended is not None:
            self.close()
            stream = self._stream = self._opened()
            # At the exit, too: while the interpreter ends, gRPC waits for threads that no longer run.
            self._end = weakref.finalize(self, stream.close)
        self._known, message = stream.latest()
        if self._loaded is None or self._loaded[0] != message:
            self._loaded = message, self._material(message)
        return self._loaded[1]

    def wait(self, stop: threading.Event, timeout: float) -> None:
        """Returns when a message came or the stream ended, when `stop` is set, or after `timeout` seconds; at
        once in a process that was forked from the stream's.
        """
        stream = self._stream
        if stream is None:
            stop.wait(timeout)
        elif stream.process == os.getpid():
            begun = time.monotonic()
            stream.wait(self._known, timeout, stop)
            if stream.ended is not None:
                now = time.monotonic()
                stop.wait(max(0, min(timeout - (now - begun), _APART - (now - stream.opened))))

    def close(self) -> None:
        """Ends the stream, as it ends where the source is let go of. `load` opens another."""
        self._stream, self._known = None, 0
        if self._end is not None:
            self._end()

    def _opened(self) -> Stream:
        """A stream that has a message."""
        stream = Stream(self._path, self.name)
        try:
            stream.wait(0, self._timeout)
            if stream.number == 0:
                late = TimeoutError(f"{self.name} sent nothing within {self._timeout:g} s")
                raise stream.ended or late
        except BaseException:
            stream.close()
            raise
        return stream

    def _material(self, message: bytes) -> Material:
        from spiffe._proto import workload_pb2

        try:
            update = parse(message, workload_pb2.X509SVIDResponse.FromString)
            svid = self._picked(update.svids)
            if self._crls and not update.crls:
                raise ValueError("there is no CRL")
        except ValueError as error:
            raise ValueError(f"the message of the Workload API is refused: {error}") from None
        return Material(
            identity=Identity(svid._chain, svid._key),
            trust=update.bundles,
            crls="".join(map(_pem, update.crls)) if self._crls else None,
        )

    def _picked(self, svids: Sequence[SVID]) -> SVID:
        pick = self._pick
        if pick is None:
            return svids[0]
        if isinstance(pick, str):
            for each in svids:
                if each.spiffe_id == pick:
                    return each
            raise ValueError(f"{pick} is not among its {counted(len(svids), 'SVID')}")
        try:
            picked = pick(svids)
        except Exception as error:
            raise ValueError(f"pick raised {plain(repr(error))}") from error
        if not any(picked is each for each in svids):
            raise ValueError(f"pick returned {plain(repr(picked))}, none of the identities")
        return picked

    def __repr__(self) -> str:
        return f"<SPIFFESource {plain(self._path)!r}>"


def _pem(crl: bytes) -> str:
    text = "\n".join(wrap(b64encode(crl).decode(), 64))
    return f"-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n"


def _socket_path(endpoint: str | None) -> str:
    """The path that an endpoint's URI names (SPIFFE Workload Endpoint, section 4)."""
    given = f"{VARIABLE}=" if endpoint is None else ""
    if endpoint is None:
        endpoint = os.environ.get(VARIABLE)
    if not endpoint:
        raise ValueError(
            f"no SPIFFE Workload API: give its endpoint, or set {VARIABLE}, to unix:///path/of/socket"
        )
    what = f"the endpoint {given}{plain(endpoint)}"
    try:
        parts = urlsplit(endpoint)
    except ValueError as error:
        raise ValueError(f"{what} is not a URI: {error}") from None
    if parts.scheme == "tcp":
        raise ValueError(
            f"{what}: over TCP, keys would travel in the clear, and whoever answers on the port would be "
            "trusted. Give unix: and the absolute path of a socket"
        )
    if parts.scheme != "unix":
        raise ValueError(f"{what} is not unix: and the absolute path of a socket")
    if parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"{what}: only a path may stand after unix:, as in unix:///path/of/socket")
    path = unquote(parts.path)
    if not path.startswith("/"):
        raise ValueError(f"{what}: the path of the socket must be absolute, as in unix:///path/of/socket")
    if path.endswith("/"):
        raise ValueError(f"{what} names no socket")
    if "," in path:
        raise ValueError(f"{what}: gRPC takes a comma for the end of the path")
    if len(os.fsencode(path)) > _LONGEST_PATH or not path.isprintable():
        raise ValueError(f"{what}: a socket's path has at most {_LONGEST_PATH} bytes, all of them printable")
    return path


def _needs_package() -> None:
    from importlib.util import find_spec

    try:
        found = find_spec("spiffe") is not None and find_spec("grpc") is not None
    except ValueError:  # it is in sys.modules, and is no package
        found = False
    if not found:
        raise ImportError(
            "SPIFFESource needs the package spiffe: pip install 'veritls[spiffe]'", name="spiffe"
        )
