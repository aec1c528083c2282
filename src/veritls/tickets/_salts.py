"""The salts of epochs, as a Redis keeps them; and all that is read from it.

Redis is asked for the five epochs that count by this process's clock, by their numbers, and for nothing else.
Each has a key of its own, ``PREFIX:SECONDS:NUMBER``, with 32 random bytes and a time to live. Where the
present or the next one is missing, ``SET … NX EX`` makes it: whichever member comes first wins, and all read
what is there then. Nothing is ever overwritten.

A connection is made for each look and closed after it; it reads `MOST_READ` bytes and takes `SECONDS` at
most, whatever the other end sends.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from veritls._report.rendering import plain
from veritls.tickets._secrets import AHEAD, BACK

try:
    from redis import Redis
    from redis._parsers import _RESP2Parser
    from redis.backoff import NoBackoff
    from redis.connection import Connection, ConnectionPool, parse_url
    from redis.retry import Retry
except ImportError as error:
    _needs = "TicketKeys.from_redis needs redis: pip install 'veritls[redis]'"
    raise ImportError(_needs, name=error.name) from error

if TYPE_CHECKING:
    from collections.abc import Mapping

SALT = 32
SECONDS = 5.0
MOST_READ = 64 * 1024


class TooMuch(Exception):
    """The other end sent more than any answer has."""


class _Bounded:
    """A connected socket of which so many bytes are read at most, until a deadline."""

    def __init__(self, plain: socket.socket) -> None:
        self._socket = plain
        self._timeout = plain.gettimeout()
        self._left = MOST_READ
        self._deadline = time.monotonic() + SECONDS

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def _limit(self) -> None:
        rest = self._deadline - time.monotonic()
        if rest <= 0:
            raise TimeoutError(f"no answer within {SECONDS:.0f} seconds")
        if self._left <= 0:
            raise TooMuch(f"the answer is longer than {MOST_READ} bytes")
        self._socket.settimeout(rest if self._timeout is None else min(rest, self._timeout))

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds
        self._socket.settimeout(seconds)

    def recv(self, size: int, *flags: int) -> bytes:
        self._limit()
        data = self._socket.recv(min(size, self._left), *flags)
        self._left -= len(data)
        return data

    def recv_into(self, buffer: Any, size: int = 0, *flags: int) -> int:
        self._limit()
        got = self._socket.recv_into(buffer, min(size or len(buffer), self._left), *flags)
        self._left -= got
        return got

    def sendall(self, data: bytes) -> None:
        self._limit()
        self._socket.sendall(data)


def _bounded(kind: type[Connection]) -> type[Connection]:
    class Bounded(kind):  # type: ignore[misc, valid-type]
        def _connect(self) -> Any:
            return _Bounded(super()._connect())

    return Bounded


class Salts:
    """The salts in the Redis at `url`. Raises ValueError for a URL that is none of Redis."""

    def __init__(self, url: str, prefix: str, period: int) -> None:
        arguments = parse_url(url)  # type: ignore[no-untyped-call]
        kind = arguments.pop("connection_class", Connection)
        host = arguments.get("path") or f"{arguments.get('host', 'localhost')}:{arguments.get('port', 6379)}"
        self.name = plain(str(host))
        self._period = period
        self._prefix = f"{prefix}:{period}"
        bounds: dict[str, Any] = {
            "socket_timeout": SECONDS,
            "socket_connect_timeout": SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_error": [],
            "health_check_interval": 0,
            "decode_responses": False,
            # The one whose memory is bounded by what it has read.
            "protocol": 2,
            "parser_class": _RESP2Parser,
        }
        self._arguments = {**arguments, **bounds, "connection_class": _bounded(kind)}

    def __repr__(self) -> str:
        return f"<Salts at {self.name}>"

    def exchange(self, offered: Mapping[int, bytes | None], now: float) -> dict[int, bytes]:
        """What Redis has for each epoch, once those were added that it lacks and that are offered.

        Whatever it has: not every value is a salt. Raises redis.RedisError, OSError, and anything else that
        an answer can lead its client to.
        """
        pool = ConnectionPool(**self._arguments)
        try:
            client = Redis(connection_pool=pool)
            found = self._read(client, list(offered))
            missing = {each: salt for each, salt in offered.items() if each not in found and salt is not None}
            if missing:
                with client.pipeline(transaction=False) as pipeline:
                    for epoch, salt in missing.items():
                        life = max(1, (epoch + AHEAD + BACK + 1) * self._period - int(now))
                        pipeline.set(self._key(epoch), salt, nx=True, ex=life)
                    pipeline.execute()
                found |= self._read(client, list(missing))
        finally:
            pool.disconnect()
        return found

    def _key(self, epoch: int) -> str:
        return f"{self._prefix}:{epoch}"

    def _read(self, client: Redis, epochs: list[int]) -> dict[int, bytes]:
        with client.pipeline(transaction=False) as pipeline:
            for epoch in epochs:
                # Not GET: whoever writes into Redis may have put 512 MB there.
                pipeline.getrange(self._key(epoch), 0, SALT)
            values = pipeline.execute()
        if len(values) != len(epochs) or not all(isinstance(value, bytes) for value in values):
            raise ValueError("the answer is none to what was asked")
        return {epoch: value for epoch, value in zip(epochs, values, strict=True) if value}
