"""SSLSession: what a client keeps of a connection to take it up again."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from veritls import _engine

if TYPE_CHECKING:
    from veritls._context.context import SSLContext

TIMEOUT = 7200
"""Seconds, as `ssl` tells them. What ends a session are `max_resumption_age` and the server."""


class SSLSession:
    """A TLS session, from `SSLSocket.session`, for the `session` argument of `SSLContext.wrap_socket`.

    Bound to its context, the context's settings and the server's name: after a change there, for another
    name, where the server's certificate is not acceptable any more (it expired), or
    `SSLContext.max_resumption_age` seconds after the server last proved its key, the handshake is one in
    full. The verify callback is asked again. A TLS 1.3 ticket is used once (RFC 8446, appendix C.4).
    """

    __slots__ = ("_context", "_engine_session", "_id", "_time")

    _context: SSLContext
    _engine_session: _engine.Session
    _id: bytes
    _time: int

    def __init__(self) -> None:
        raise TypeError("cannot create 'SSLSession' instances: use SSLSocket.session")

    @classmethod
    def _create(
        cls, context: SSLContext, session: _engine.Session, resumes: SSLSession | None = None
    ) -> SSLSession:
        self = cls.__new__(cls)
        self._context = context
        self._engine_session = session
        self._id = resumes._id if resumes is not None else secrets.token_bytes(32)
        self._time = int(time.time())
        return self

    @property
    def id(self) -> bytes:
        """32 bytes that name the session here; a connection that takes it up has the same."""
        return self._id

    @property
    def time(self) -> int:
        """When it was made, in seconds since 1970."""
        return self._time

    @property
    def timeout(self) -> int:
        """7200 seconds, as with `ssl`; `SSLContext.max_resumption_age` is what bounds its use."""
        return TIMEOUT

    @property
    def has_ticket(self) -> bool:
        """Whether there is anything to come back with. With TLS 1.3 that arrives after the handshake."""
        return self._engine_session.has_ticket

    @property
    def ticket_lifetime_hint(self) -> int:
        """Seconds for which the ticket is of use at most; 0 where there is none."""
        return TIMEOUT if self.has_ticket else 0

    def __eq__(self, other: object) -> bool:
        return self._id == other._id if isinstance(other, SSLSession) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._id)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("cannot pickle 'SSLSession' object")
