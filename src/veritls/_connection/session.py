"""SSLSession: what a client keeps of a connection to resume it."""

from __future__ import annotations

import os
import time

from veritls import _engine
from veritls._value import shown_in

TIMEOUT = 7200
"""Seconds, as with `ssl`. `max_resumption_age` and the server bound the use of a session."""


@shown_in("veritls")
class SSLSession:
    """A TLS session, from `SSLSocket.session`, for the `session` argument of `SSLContext.wrap_socket`.

    It is bound to its context, the context's settings and the server's name. The handshake is a full one
    after a change of these, for another name, where the server's certificate is no longer accepted (it
    expired), and `SSLContext.max_resumption_age` seconds after the server last proved that it holds its key.
    The verify callback is called again. A TLS 1.3 ticket is used once (RFC 8446, appendix C.4). Raises
    TypeError when instantiated or pickled.
    """

    __slots__ = ("_context", "_engine_session", "_id", "_time")

    _context: object
    _engine_session: _engine.Session
    _id: bytes
    _time: int

    def __init__(self) -> None:
        raise TypeError("cannot create 'SSLSession' instances: use SSLSocket.session")

    @classmethod
    def _create(
        cls, context: object, session: _engine.Session, resumes: SSLSession | None = None
    ) -> SSLSession:
        self = cls.__new__(cls)
        self._context = context
        self._engine_session = session
        self._id = resumes._id if resumes is not None else os.urandom(32)
        self._time = int(time.time())
        return self

    @property
    def id(self) -> bytes:
        """32 random bytes that identify the session; a connection that resumes it has the same."""
        return self._id

    @property
    def time(self) -> int:
        """The time at which it was made, in seconds since 1970."""
        return self._time

    @property
    def timeout(self) -> int:
        """7200 seconds, as with `ssl`; `SSLContext.max_resumption_age` bounds its use."""
        return TIMEOUT

    @property
    def has_ticket(self) -> bool:
        """Whether it can be resumed. A TLS 1.3 ticket arrives after the handshake."""
        return self._engine_session.has_ticket

    @property
    def ticket_lifetime_hint(self) -> int:
        """`timeout` where there is a ticket, else 0, in seconds."""
        return TIMEOUT if self.has_ticket else 0

    def __eq__(self, other: object) -> bool:
        return self._id == other._id if isinstance(other, SSLSession) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._id)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("cannot pickle 'SSLSession' object")
