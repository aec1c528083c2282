"""Ticket keys that several processes share, on one host or many: a fleet.

A server's session tickets open where the same secret *and* the same policy hold: what a ticket is sealed with
is derived from both. So the workers of a fleet share keys, never policy; docs/deploying.md shows how, and
docs/decisions/0072 has the construction.
"""

from __future__ import annotations

from datetime import timedelta

from veritls import _engine
from veritls.tickets._secrets import EPOCH, LAST_EPOCH, as_secret, hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from veritls._loading.pem import StrPath
    from veritls.tickets._refreshing import Refresher

__all__ = ["TicketKeys"]


def as_policy_version(value: object) -> str | None:
    """`policy_version` as it is kept. Raises TypeError or ValueError for anything but a name."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"policy_version must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError("policy_version must not be empty")
    return str(value)


def as_period(value: object) -> int:
    """`rotate_every` as it is kept, in seconds. Raises TypeError or ValueError for anything else."""
    if isinstance(value, timedelta):
        value = value // timedelta(seconds=1)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"rotate_every must be an int or a timedelta, not {type(value).__name__}")
    if not 1 <= value < 1 << 31:
        raise ValueError(f"rotate_every must be 1 to 2**31 - 1 seconds, not {value}")
    return value


class TicketKeys:
    """What the tickets of `SSLContext.ticket_keys` are sealed with; made by the class methods below.

    Any number of contexts, threads and forked processes may have it. It is neither copied nor pickled, and
    shows no secret.

    `policy_version` is for contexts with a Python callback (`set_verify_callback`, `sni_callback`), which
    cannot be compared across processes: they share tickets only where it is set, and only with contexts that
    have callbacks of the same kinds and the same `policy_version`. Change it with each change of what the
    callbacks decide. Without it such a context keeps keys of its own. Where it is set, contexts without a
    callback share with those of the same `policy_version` only, too.
    """

    __slots__ = ("__weakref__", "_keyring", "_policy_version", "_refresher")

    _keyring: _engine.TicketKeyring
    _policy_version: str | None
    _refresher: Refresher | None

    def __new__(cls) -> Self:
        raise TypeError("TicketKeys has no public constructor: use from_secret, from_file or from_redis")

    @classmethod
    def _made(cls, period: int, policy_version: str | None) -> Self:
        self = super().__new__(cls)
        self._keyring = _engine.TicketKeyring(period)
        self._policy_version = as_policy_version(policy_version)
        self._refresher = None
        return self

    @classmethod
    def from_secret(
        cls, secret: bytes | bytearray | memoryview, *, policy_version: str | None = None
    ) -> Self:
        """Ticket keys that are derived from `secret`: 32 random bytes or more, the same in each process.

        A ticket counts for 6 to 8 hours. Raises TypeError for anything but bytes, ValueError for fewer than
        32 of them, and for an empty `policy_version`.
        """
        secret = hidden(secret)
        self = cls._made(EPOCH, policy_version)
        self._keyring.hold([(as_secret(secret), None, 0, LAST_EPOCH)])
        return self

    @classmethod
    def from_file(cls, path: StrPath, *, policy_version: str | None = None) -> Self:
        """Ticket keys from the secret in a file, which is rotated in place.

        The file has base64, a secret of 32 bytes or more a line, at most eight: tickets are made with the
        first, and opened with each (``openssl rand -base64 32``). A file of any other bytes is one secret as
        it is. A thread looks every two seconds, and takes what two looks in a row found. A secret that is
        gone from the file opens what it sealed until that is 6 to 8 hours old. A file that is missing,
        half-written or of something else changes nothing: one line at WARNING in the log
        ``veritls.tickets`` says so. So does one for a file that every user of the host can read.

        Raises OSError where the file cannot be read now, ValueError where it has no secrets; else as
        `from_secret`.
        """
        from veritls.tickets._file import FileRefresher

        self = cls._made(EPOCH, policy_version)
        refresher = FileRefresher(self._keyring, path)
        refresher.load()
        self._refresher = refresher
        refresher.start(wait=0)
        return self

    @classmethod
    def from_redis(
        cls,
        url: str,
        *,
        secret: bytes | bytearray | memoryview,
        rotate_every: int | timedelta = EPOCH,
        prefix: str = "veritls:tickets",
        policy_version: str | None = None,
    ) -> Self:
        """Ticket keys that are derived from `secret` and a random salt for each epoch, which a Redis keeps.

        Neither the secret alone nor all that Redis has opens or makes a ticket; an epoch's tickets are lost
        for good with its salt, which Redis drops once it does not count any more. `url`: redis, rediss or
        unix, as redis-py takes it; it needs the extra ``redis``. `rotate_every`: seconds of an epoch, 2 hours
        by default; a ticket counts for three to four of them. `prefix`: of the keys in Redis. Members of a
        fleet have the same `secret`, `rotate_every` and `prefix`.

        Redis is asked by a thread, at first for up to a second while this call waits; an unreachable one is
        no error. As long as there is no salt, tickets are made with a secret of this process and those forked
        from it. The log ``veritls.tickets`` says so, one line each time that this changes.

        Raises ImportError without the package redis, ValueError for a URL that is none of Redis and for less
        than a second; else as `from_secret`.
        """
        from veritls.tickets._redis import RedisRefresher
        from veritls.tickets._salts import Salts

        secret = hidden(secret)
        kept, period = as_secret(secret), as_period(rotate_every)
        if not isinstance(url, str) or not isinstance(prefix, str):
            raise TypeError("url and prefix must be str")
        self = cls._made(period, policy_version)
        self._refresher = RedisRefresher(self._keyring, Salts(url, prefix, period), kept, period)
        self._refresher.start()
        return self

    @property
    def policy_version(self) -> str | None:
        """What the callbacks of the contexts decide, by a name of the program's choice; None by default."""
        return self._policy_version

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__}>"

    def __reduce__(self) -> str:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def __copy__(self) -> Self:
        raise TypeError(f"cannot copy {type(self).__name__!r} object")
