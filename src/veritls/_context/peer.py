"""What a context demands of the peer: mode, host name, allowed peers, pinned keys, callbacks, flags."""

from __future__ import annotations

import os
import ssl
from operator import add, index, or_

from veritls import _engine, policy
from veritls._context.combining import demand
from veritls._value import Value, replace, shown_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from typing import Literal, Self

    from veritls.peers import Matcher
    from veritls.report import VerifyCallback

    UnknownStatus = Literal["refuse", "accept"]

_OFFERED_FLAGS = (
    ssl.VERIFY_CRL_CHECK_CHAIN
    | ssl.VERIFY_X509_STRICT
    | ssl.VERIFY_X509_TRUSTED_FIRST
    | ssl.VERIFY_X509_PARTIAL_CHAIN
)


class Registered(Value):
    """A verify callback. `token` tells it from every other: functions cannot be compared by content."""

    callback: VerifyCallback
    token: bytes


def _all_flags(first: ssl.VerifyFlags, second: ssl.VerifyFlags) -> ssl.VerifyFlags:
    """The union of the flags; VERIFY_X509_PARTIAL_CHAIN, which allows more, only where both have it."""
    allowing = ssl.VERIFY_X509_PARTIAL_CHAIN
    return (first | second) & ~allowing | first & second & allowing


def _each_once(first: tuple[Registered, ...], second: tuple[Registered, ...]) -> tuple[Registered, ...]:
    """All callbacks. One that both have, as values of one context do, is called once."""
    known = {each.token for each in first}
    return first + tuple(each for each in second if each.token not in known)


def _both_accept(first: UnknownStatus, second: UnknownStatus) -> UnknownStatus:
    return "accept" if first == second == "accept" else "refuse"


class PeerPolicy(Value):
    """What is demanded of the peer. The methods give the next value, or raise and leave this one as it is.
    Their arguments come from the functions below (`as_mode` ...), which run the caller's code beforehand.

    `allowed_peers`, `pinned_keys` and `callbacks` hold one entry for each context that has the demand: each
    must be satisfied.
    """

    verify_mode: ssl.VerifyMode = demand(max, ssl.CERT_NONE)
    check_hostname: bool = demand(or_, False)
    verify_flags: ssl.VerifyFlags = demand(_all_flags, ssl.VERIFY_X509_TRUSTED_FIRST)
    unknown_status: UnknownStatus = demand(_both_accept, "refuse")
    require_ocsp: bool = demand(or_, False)
    allowed_peers: tuple[tuple[Matcher, ...], ...] = demand(add, ())
    pinned_keys: tuple[frozenset[bytes], ...] = demand(add, ())
    callbacks: tuple[Registered, ...] = demand(_each_once, ())
    reverify: bool = demand(or_, True)
    max_resumption_age: int = demand(min, 24 * 60 * 60)

    def with_verify_mode(self, mode: ssl.VerifyMode) -> Self:
        if mode == ssl.CERT_NONE and self.check_hostname:
            raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
        if mode == ssl.CERT_NONE and self.allowed_peers:
            raise ValueError("Cannot set verify_mode to CERT_NONE when allowed_peers is set.")
        return replace(self, verify_mode=mode)

    def _raised(self) -> ssl.VerifyMode:
        return ssl.CERT_REQUIRED if self.verify_mode == ssl.CERT_NONE else self.verify_mode

    def with_check_hostname(self, value: bool) -> Self:
        return replace(self, check_hostname=value, verify_mode=self._raised() if value else self.verify_mode)

    def with_verify_flags(self, flags: ssl.VerifyFlags) -> Self:
        return replace(self, verify_flags=flags)

    def with_unknown_status(self, value: UnknownStatus) -> Self:
        return replace(self, unknown_status=value)

    def with_require_ocsp(self, value: bool) -> Self:
        return replace(self, require_ocsp=value)

    def with_allowed_peers(self, matchers: tuple[Matcher, ...] | None) -> Self:
        if matchers is None:
            return replace(self, allowed_peers=())
        return replace(self, allowed_peers=(matchers,), verify_mode=self._raised())

    def with_pinned_keys(self, pins: frozenset[bytes] | None) -> Self:
        return replace(self, pinned_keys=() if pins is None else (pins,))

    def with_callbacks(self, callbacks: tuple[Registered, ...]) -> Self:
        return replace(self, callbacks=callbacks)

    def with_reverify(self, value: bool) -> Self:
        return replace(self, reverify=value)

    def with_max_resumption_age(self, seconds: int) -> Self:
        return replace(self, max_resumption_age=seconds)

    @property
    def token(self) -> bytes:
        """Identifies the verify callbacks; empty where there are none."""
        return b"".join(each.token for each in self.callbacks)

    @property
    def partial_chain(self) -> bool:
        """Whether every certificate in the trust store is a trust anchor."""
        return bool(self.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN)

    @property
    def strict(self) -> bool:
        """Whether VERIFY_X509_STRICT is set."""
        return bool(self.verify_flags & ssl.VERIFY_X509_STRICT)

    @property
    def revocation(self) -> Literal["none", "leaf", "chain"]:
        """Which certificates are checked for revocation."""
        if self.verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN == ssl.VERIFY_CRL_CHECK_CHAIN:
            return "chain"
        return "leaf" if self.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF else "none"

    def demands(self, server_side: bool) -> _engine.Demands:
        """The engine's form. Raises ValueError where a demand would never be checked."""
        rule = policy.rule(server_side=server_side, mode=self.verify_mode)
        if not rule.request and (self.pinned_keys or self.callbacks):
            raise ValueError(
                "pinned_keys and set_verify_callback need CERT_OPTIONAL or CERT_REQUIRED on a server: "
                "under CERT_NONE it requests no certificate (set verify_mode)"
            )
        return {
            "request": rule.request,
            "require": rule.require,
            "validate": rule.validate,
            "check_name": rule.name_matters and self.check_hostname,
            "revocation": self.revocation,
            "accept_unknown": self.unknown_status == "accept",
            "require_ocsp": self.require_ocsp,
            "strict": self.strict,
            "allowed": [[each._for_engine() for each in several] for several in self.allowed_peers],
            "pinned": [list(several) for several in self.pinned_keys],
            "verify_callback": bool(self.callbacks),
            "reverify": self.reverify,
            "max_resumption_age": self.max_resumption_age,
        }


def as_mode(value: int) -> ssl.VerifyMode:
    """`verify_mode` as it is kept. Raises TypeError or ValueError for anything else."""
    if not isinstance(value, int):
        raise TypeError(f"verify_mode must be a VerifyMode, not {type(value).__name__}")
    try:
        return ssl.VerifyMode(index(value))
    except ValueError:
        raise ValueError(f"invalid value for verify_mode: {value!r}") from None


def as_flags(value: int) -> ssl.VerifyFlags:
    """`verify_flags` as they are kept. Raises ValueError for a flag that is not supported."""
    flags = ssl.VerifyFlags(index(value) if isinstance(value, int) else value)
    # As numbers: the complement of flags has no bits above those that Python knows.
    unknown = int(flags) & ~int(_OFFERED_FLAGS)
    if unknown:
        raise ValueError(f"verify_flags: {ssl.VerifyFlags(unknown)!r} is not supported")
    return flags


def as_status(value: str) -> UnknownStatus:
    """`unknown_revocation_status` as it is kept. Raises ValueError for anything else."""
    known: UnknownStatus
    for known in ("refuse", "accept"):
        if isinstance(value, str) and str.__eq__(known, value) is True:
            return known
    raise ValueError(f'unknown_revocation_status must be "refuse" or "accept", not {value!r}')


def as_registered(callback: VerifyCallback | None) -> tuple[Registered, ...]:
    """A verify callback as it is kept. Raises TypeError for anything else, and for coroutine functions."""
    if callback is None:
        return ()
    if not callable(callback):
        raise TypeError("not a callable object")
    import inspect

    if inspect.iscoroutinefunction(callback):
        raise TypeError("a verify callback cannot be asynchronous: it would never be awaited")
    return (Registered(callback, os.urandom(16)),)


def as_age(value: int | timedelta) -> int:
    """`max_resumption_age` as it is kept, in seconds. Raises TypeError or ValueError for anything else."""
    if not isinstance(value, int):
        from datetime import timedelta

        if isinstance(value, timedelta):
            value = value // timedelta(seconds=1)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"max_resumption_age must be an int or a timedelta, not {type(value).__name__}")
    seconds = index(value)
    if not 0 <= seconds < 1 << 32:
        raise ValueError(f"max_resumption_age must be 0 to 2**32 - 1 seconds, not {seconds}")
    return seconds


def as_allowed(values: Iterable[Matcher] | None) -> tuple[Matcher, ...] | None:
    """`allowed_peers` as it is kept. Raises TypeError for anything but patterns."""
    if values is None:
        return None
    from veritls.peers import as_matchers

    return as_matchers(values)


def as_pinned(values: Iterable[str | bytes] | None) -> frozenset[bytes] | None:
    """`pinned_keys` as they are kept. Raises TypeError or ValueError for anything but digests."""
    if values is None:
        return None
    from veritls.peers import as_pins

    return as_pins(values)


@shown_in("veritls")
class PeerMembers:
    """SSLContext's members about the peer. A change holds for connections made after it."""

    @property
    def _peer(self) -> PeerPolicy:
        raise NotImplementedError

    def _change_peer(self, change: Callable[[PeerPolicy], PeerPolicy]) -> None:
        raise NotImplementedError

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """What to demand of the peer: CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED; see `veritls.policy`.

        The default is CERT_REQUIRED for PROTOCOL_TLS_CLIENT, else CERT_NONE. Raises TypeError for anything
        but an int, ValueError for another value, and for CERT_NONE while `check_hostname` is True or
        `allowed_peers` is set.
        """
        return self._peer.verify_mode

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        mode = as_mode(value)
        self._change_peer(lambda peer: peer.with_verify_mode(mode))

    @property
    def check_hostname(self) -> bool:
        """Whether a client compares the server's certificate with `server_hostname` (RFC 9525).

        The default is True for PROTOCOL_TLS_CLIENT, else False. Setting it to True changes CERT_NONE to
        CERT_REQUIRED.
        """
        return self._peer.check_hostname

    @check_hostname.setter
    def check_hostname(self, value: object) -> None:
        wanted = bool(value)
        self._change_peer(lambda peer: peer.with_check_hostname(wanted))

    @property
    def verify_flags(self) -> ssl.VerifyFlags:
        """How paths are verified: VERIFY_CRL_CHECK_LEAF or _CHAIN, VERIFY_X509_STRICT, _PARTIAL_CHAIN.

        The default is VERIFY_X509_TRUSTED_FIRST, which always holds. Raises ValueError for anything
        but an int, and for a flag that is not supported.
        """
        return self._peer.verify_flags

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        flags = as_flags(value)
        self._change_peer(lambda peer: peer.with_verify_flags(flags))

    @property
    def hostname_checks_common_name(self) -> bool:
        """False: names in the subject are never used (RFC 9525, section 2). Raises ValueError for True."""
        return False

    @hostname_checks_common_name.setter
    def hostname_checks_common_name(self, value: object) -> None:
        if value:
            raise ValueError(
                "hostname_checks_common_name is not supported: only names in subjectAltName are used"
            )

    @property
    def allowed_peers(self) -> tuple[Matcher, ...] | None:
        """Patterns for the peers to accept: `veritls.DNSPattern`, `Network`, `URI`, `SPIFFE`, `Email`.

        A valid certificate is accepted if one pattern matches a name of its subjectAltName. None, the
        default, accepts every valid certificate; an empty list accepts none. Setting it changes CERT_NONE to
        CERT_REQUIRED: names in a certificate that is not validated prove nothing. Under CERT_OPTIONAL a
        server still accepts clients without a certificate. A refused peer gets the alert access_denied;
        `verify_code` is 50. Raises TypeError for anything but an iterable of patterns or None.
        """
        return next(iter(self._peer.allowed_peers), None)

    @allowed_peers.setter
    def allowed_peers(self, values: Iterable[Matcher] | None) -> None:
        matchers = as_allowed(values)
        self._change_peer(lambda peer: peer.with_allowed_peers(matchers))

    @property
    def pinned_keys(self) -> frozenset[bytes] | None:
        """SHA-256 digests of public keys, of which the verified path must contain one (RFC 7469).

        Each digest of a SubjectPublicKeyInfo is 32 bytes, or base64 text, bare or after ``sha256/``; a
        frozenset of bytes when read. None, the default, pins nothing; an empty collection accepts no peer. On
        a client under CERT_NONE the server's own key must be pinned. On a server under CERT_NONE, which
        requests no certificate, making a connection raises ValueError. Raises TypeError or ValueError for
        anything but digests or None.
        """
        return next(iter(self._peer.pinned_keys), None)

    @pinned_keys.setter
    def pinned_keys(self, values: Iterable[str | bytes] | None) -> None:
        pins = as_pinned(values)
        self._change_peer(lambda peer: peer.with_pinned_keys(pins))

    def set_verify_callback(self, callback: VerifyCallback | None) -> None:
        """Sets a function that is called with the VerificationReport, and may refuse the peer.

        It is called once per handshake and by `verify_chain`, after every other check has passed and, in a
        handshake, after the peer has proved that it holds its key; also on resumption. If it raises, the peer
        is refused (alert access_denied) with an ssl.SSLCertVerificationError whose ``__cause__`` is the
        exception; one that is no Exception, such as KeyboardInterrupt, refuses and propagates. Its result is
        ignored: it can only refuse.

        On a client under CERT_NONE the report's chain is not verified (`trusted` is False). It is not called
        where a client sends no certificate under CERT_OPTIONAL; on a server under CERT_NONE, which requests
        none, making a connection raises ValueError. The connection cannot be used during the call. On asyncio
        it runs in the loop's thread and blocks the loop. None removes it. Raises TypeError where `callback`
        is not callable, or is a coroutine function.
        """
        callbacks = as_registered(callback)
        self._change_peer(lambda peer: peer.with_callbacks(callbacks))

    @property
    def reverify_on_resumption(self) -> bool:
        """Whether the peer's path is verified again, at the current time, on resumption. Default True.

        False: the result of the last full handshake holds, even if a certificate has expired since, for at
        most `max_resumption_age` seconds. Either way a session is resumed only under the settings under which
        it was made, and the verify callback is called.
        """
        return self._peer.reverify

    @reverify_on_resumption.setter
    def reverify_on_resumption(self, value: object) -> None:
        wanted = bool(value)
        self._change_peer(lambda peer: peer.with_reverify(wanted))

    @property
    def max_resumption_age(self) -> int:
        """For how many seconds after a full handshake its session may be resumed. Default 86400 (24 hours).

        In a full handshake the peer proves that it holds its key. After this time there is a full handshake
        again, however often the session was resumed in between; also where the session's time lies in the
        future, because the clock was set back. 0 turns resumption off. It applies to a server's tickets and
        to a client's `session`. Other limits hold, too: a server's ticket is valid for 6 to 12 hours.

        Set it to an int or a datetime.timedelta (its whole seconds). Raises TypeError for anything else,
        ValueError for less than 0 and for more than 2**32 - 1 seconds.
        """
        return self._peer.max_resumption_age

    @max_resumption_age.setter
    def max_resumption_age(self, value: int | timedelta) -> None:
        seconds = as_age(value)
        self._change_peer(lambda peer: peer.with_max_resumption_age(seconds))

    @property
    def unknown_revocation_status(self) -> UnknownStatus:
        """Whether a certificate that no loaded CRL covers is refused, where `verify_flags` check CRLs.

        "refuse", the default, as in `ssl`, or "accept". Either way an expired CRL, or one that its issuer did
        not sign, refuses the certificate. Raises ValueError for anything else.
        """
        return self._peer.unknown_status

    @unknown_revocation_status.setter
    def unknown_revocation_status(self, value: UnknownStatus) -> None:
        status = as_status(value)
        self._change_peer(lambda peer: peer.with_unknown_status(status))

    @property
    def require_ocsp(self) -> bool:
        """Whether a client refuses a server that staples no good OCSP response (RFC 6066, section 8).

        The default is False. A server whose certificate demands one (must-staple, RFC 7633) is refused
        without one in any case, and so is a server that staples a response that is not good. Nothing is
        checked under CERT_NONE. Such a server's sessions are not resumed: resumption transmits no response.
        """
        return self._peer.require_ocsp

    @require_ocsp.setter
    def require_ocsp(self, value: object) -> None:
        wanted = bool(value)
        self._change_peer(lambda peer: peer.with_require_ocsp(wanted))
