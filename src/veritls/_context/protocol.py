"""The settings that are not about trust: versions, cipher suites, groups, ALPN, tickets, key log."""

from __future__ import annotations

import os
import ssl
import warnings
from operator import index, or_

from veritls import _engine
from veritls._context import cipher_suites as ciphers, groups
from veritls._context.combining import choice, demand
from veritls._explaining.reasons import ssl_error
from veritls._loading.pem import pem_blocks, read_file
from veritls._value import Value, replace, shown_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Self, TypeVar

    from veritls._loading.pem import StrPath

    Item = TypeVar("Item")

_V = ssl.TLSVersion

_NO_SIGALGS = "{} is not supported: every algorithm of get_sigalgs() is secure and may sign a handshake"
_NO_VERSION = sum(
    (
        ssl.OP_NO_SSLv2.value,
        ssl.OP_NO_SSLv3.value,
        ssl.OP_NO_TLSv1.value,
        ssl.OP_NO_TLSv1_1.value,
        ssl.OP_NO_TLSv1_2.value,
        ssl.OP_NO_TLSv1_3.value,
    )
)

MOST_TICKETS = 255
"""Tickets for one TLS 1.3 handshake: each is encrypted and sent, with the client's chain in it."""


def _older(first: ssl.TLSVersion, second: ssl.TLSVersion) -> ssl.TLSVersion:
    """The older of two maximum versions."""
    if _V.MAXIMUM_SUPPORTED in (first, second):
        return second if first == _V.MAXIMUM_SUPPORTED else first
    return min(first, second)


def _in_both(first: tuple[Item, ...], second: tuple[Item, ...]) -> tuple[Item, ...]:
    """The items of both, in the order of the second."""
    return tuple(each for each in second if each in first)


def as_version(value: int) -> ssl.TLSVersion:
    """A version as it is kept. Raises ValueError for anything else."""
    try:
        return _V(index(value) if isinstance(value, int) else value)
    except ValueError:
        raise ValueError(f"{value!r} is not a valid TLS version") from None


def as_alpn(protocols: Iterable[str]) -> tuple[bytes, ...]:
    """Application protocols as they are kept. Raises ssl.SSLError for one that is not 1 to 255 bytes long."""
    names = tuple(bytes(protocol, "ascii") for protocol in protocols)
    if not all(0 < len(name) < 256 for name in names):
        raise ssl.SSLError("ALPN protocols must be 1 to 255 bytes long")
    return names


def as_suites(text: str) -> tuple[ciphers.Suite, ...]:
    """The TLS 1.2 suites of a cipher string. Raises TypeError or ssl.SSLError for anything else."""
    return _selected(ciphers.select, "ciphers", text)


def as_tls13_suites(text: str) -> tuple[ciphers.Suite, ...]:
    """The TLS 1.3 suites of a list. Raises TypeError or ssl.SSLError for anything else."""
    return _selected(ciphers.select_tls13, "ciphers", text)


def as_groups(text: str) -> tuple[int, ...]:
    """The groups of a list. Raises TypeError or ssl.SSLError for anything else."""
    return _selected(groups.select, "groups", text)


def as_group(name: str | bytes) -> tuple[int, ...]:
    """One group. Raises TypeError or ValueError for anything else."""
    text = name.decode("ascii", "backslashreplace") if isinstance(name, bytes) else name
    if not isinstance(text, str):
        raise TypeError(f"name must be str or bytes, not {type(name).__name__}")
    return (groups.number_of(text),)


def _selected(select: Callable[[str], tuple[Item, ...]], what: str, text: str) -> tuple[Item, ...]:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    try:
        return select(text)
    except ValueError as why:
        raise ssl.SSLError(str(why)) from None


class ProtocolSettings(Value):
    """The protocol settings of a context. The methods give the next value, or raise and leave this one as it
    is. Their arguments come from the functions above (`as_version` ...), which run the caller's code
    beforehand.
    """

    method: ssl._SSLMethod = choice()
    options: ssl.Options = demand(or_)
    minimum: ssl.TLSVersion = demand(max, _V.MINIMUM_SUPPORTED)
    maximum: ssl.TLSVersion = demand(_older, _V.MAXIMUM_SUPPORTED)
    tls12_suites: tuple[ciphers.Suite, ...] = demand(_in_both, ciphers.DEFAULT_TLS12)
    tls13_suites: tuple[ciphers.Suite, ...] = demand(_in_both, ciphers.DEFAULT_TLS13)
    groups: tuple[int, ...] = demand(_in_both, groups.DEFAULT)
    alpn: tuple[bytes, ...] = choice(())
    tickets: int = choice(2)
    keylog: str | None = choice(None)

    def with_minimum(self, version: ssl.TLSVersion) -> Self:
        return replace(self, minimum=_V.TLSv1_3 if version == _V.MAXIMUM_SUPPORTED else version)

    def with_maximum(self, version: ssl.TLSVersion) -> Self:
        if version in (_V.SSLv3, _V.TLSv1, _V.TLSv1_1):
            raise ValueError(
                f"maximum_version {version.name} is not supported: TLS 1.2 is the oldest version"
            )
        return replace(self, maximum=_V.TLSv1_2 if version == _V.MINIMUM_SUPPORTED else version)

    def with_alpn(self, names: tuple[bytes, ...]) -> Self:
        return replace(self, alpn=names)

    def with_ciphers(self, suites: tuple[ciphers.Suite, ...]) -> Self:
        return replace(self, tls12_suites=suites)

    def with_ciphersuites(self, suites: tuple[ciphers.Suite, ...]) -> Self:
        return replace(self, tls13_suites=suites)

    def with_groups(self, numbers: tuple[int, ...]) -> Self:
        return replace(self, groups=numbers)

    def with_tickets(self, count: int) -> Self:
        if count < 0:
            raise ValueError("value must be non-negative")
        if count > MOST_TICKETS:
            raise ValueError(f"value must be at most {MOST_TICKETS}")
        if self.method != ssl.PROTOCOL_TLS_SERVER:
            raise ValueError("SSLContext is not a server context.")
        return replace(self, tickets=count)

    def versions(self) -> tuple[bool, bool]:
        """Whether TLS 1.2 and TLS 1.3 are enabled. Raises ssl.SSLError where neither is."""
        minimum = max(self.minimum, _V.TLSv1_2) if self.minimum > 0 else _V.TLSv1_2
        maximum = self.maximum if self.maximum > 0 else _V.TLSv1_3
        tls12 = minimum <= _V.TLSv1_2 <= maximum and not self.options & ssl.OP_NO_TLSv1_2
        tls13 = minimum <= _V.TLSv1_3 <= maximum and not self.options & ssl.OP_NO_TLSv1_3
        if not (tls12 or tls13):
            raise ssl_error(
                "NO_PROTOCOLS_AVAILABLE",
                f"no protocols available between minimum_version {self.minimum.name} "
                f"and maximum_version {self.maximum.name} with these options",
            )
        return tls12, tls13

    def recipe(self, server_side: bool) -> _engine.Recipe:
        """The engine's form. Raises ssl.SSLError where no version, suite or group is left."""
        tls12, tls13 = self.versions()
        tls12, tls13 = tls12 and bool(self.tls12_suites), tls13 and bool(self.tls13_suites)
        if not (tls12 or tls13):
            raise ssl_error(
                "NO_CIPHERS_AVAILABLE",
                "no ciphers available for the enabled versions (set_ciphers, set_ciphersuites)",
            )
        if not self.groups:
            raise ssl_error("NO_SUITABLE_GROUPS", "no key exchange group is enabled in both contexts")
        suites = (self.tls13_suites if tls13 else ()) + (self.tls12_suites if tls12 else ())
        return {
            "server_side": server_side,
            "tls12": tls12,
            "tls13": tls13,
            "alpn": self.alpn,
            "suites": [suite.number for suite in suites],
            "groups": list(self.groups),
            "own_order": bool(self.options & ssl.OP_CIPHER_SERVER_PREFERENCE),
            "tickets": None if self.options & ssl.OP_NO_TICKET else self.tickets,
            "keylog": self.keylog,
        }


@shown_in("veritls")
class ProtocolMembers:
    """SSLContext's members about the protocol. A change holds for connections made after it."""

    @property
    def _protocol(self) -> ProtocolSettings:
        raise NotImplementedError

    def _change_protocol(self, change: Callable[[ProtocolSettings], ProtocolSettings]) -> None:
        raise NotImplementedError

    @property
    def protocol(self) -> ssl._SSLMethod:
        """The protocol constant that the context was made with, for example PROTOCOL_TLS_CLIENT."""
        return self._protocol.method

    @property
    def minimum_version(self) -> ssl.TLSVersion:
        """The oldest version to accept, an `ssl.TLSVersion`. Default MINIMUM_SUPPORTED, which is TLS 1.2.

        TLS 1.2 is the oldest in any case. Raises ValueError where it is not a TLSVersion.
        """
        return self._protocol.minimum

    @minimum_version.setter
    def minimum_version(self, value: int) -> None:
        version = as_version(value)
        self._change_protocol(lambda protocol: protocol.with_minimum(version))

    @property
    def maximum_version(self) -> ssl.TLSVersion:
        """The newest version to accept, an `ssl.TLSVersion`. Default MAXIMUM_SUPPORTED, which is TLS 1.3.

        Raises ValueError where it is not a TLSVersion, or is older than TLS 1.2, which is not supported.
        """
        return self._protocol.maximum

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        version = as_version(value)
        self._change_protocol(lambda protocol: protocol.with_maximum(version))

    @property
    def options(self) -> ssl.Options:
        """`ssl.Options`. The default is that of the interpreter's `ssl`.

        OP_NO_TLSv1_2, OP_NO_TLSv1_3, OP_NO_TICKET (a server resumes nothing, a client asks for no ticket with
        TLS 1.2) and OP_CIPHER_SERVER_PREFERENCE have an effect. What the others forbid is never done here;
        docs/compatibility.md lists all. Raises TypeError for anything but an int, OverflowError for one that
        is negative or over 64 bits long.
        """
        return self._protocol.options

    @options.setter
    def options(self, value: int) -> None:
        number = index(value)
        if not 0 <= number < 1 << 64:
            raise OverflowError("options must be a number of 64 bits")
        flags = ssl.Options(number)
        if flags & ~self._protocol.options & _NO_VERSION:
            words = "ssl.OP_NO_SSL*/ssl.OP_NO_TLS* options are deprecated"
            warnings.warn(words, category=DeprecationWarning, stacklevel=2)
        self._change_protocol(lambda protocol: replace(protocol, options=flags))

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Sets the application protocols to offer or accept, the preferred first (RFC 7301). Default none.

        Raises ssl.SSLError for a name that is not 1 to 255 bytes long, UnicodeEncodeError for one that is not
        ASCII, TypeError for anything but an iterable of str.
        """
        names = as_alpn(alpn_protocols)
        self._change_protocol(lambda protocol: protocol.with_alpn(names))

    def set_npn_protocols(self, npn_protocols: Iterable[str]) -> None:
        """Raises NotImplementedError: NPN, the predecessor of ALPN, is not supported (`ssl.HAS_NPN`)."""
        raise NotImplementedError("NPN is not supported: use set_alpn_protocols")

    def set_ciphers(self, ciphers: str) -> None:
        """Sets the TLS 1.2 suites, by an OpenSSL cipher string (``man openssl-ciphers``). Default all here.

        One that names only suites of OpenSSL's that do not exist here, such as "TLSv1", leaves TLS 1.3 only.
        Raises TypeError for anything but a str, ssl.SSLError where it selects nothing with OpenSSL either.
        """
        suites = as_suites(ciphers)
        self._change_protocol(lambda protocol: protocol.with_ciphers(suites))

    def set_ciphersuites(self, ciphersuites: str) -> None:
        """Sets the TLS 1.3 suites: names separated by colons, the preferred first. Default all here.

        Raises TypeError for anything but a str, ssl.SSLError for an unknown name and for none.
        """
        suites = as_tls13_suites(ciphersuites)
        self._change_protocol(lambda protocol: protocol.with_ciphersuites(suites))

    def get_ciphers(self) -> list[dict[str, Any]]:
        """The enabled suites, the preferred first, as dicts with the keys that `ssl` documents."""
        protocol = self._protocol
        return [suite.described() for suite in protocol.tls13_suites + protocol.tls12_suites]

    def set_groups(self, groups: str) -> None:
        """Sets the key exchange groups: names separated by colons, the preferred first.

        As in `ssl` of Python 3.15. ``?`` before a name lets it be unknown. The default is what the engine
        has. Raises TypeError for anything but a str, ssl.SSLError for a name that does not exist here and for
        none.
        """
        numbers = as_groups(groups)
        self._change_protocol(lambda protocol: protocol.with_groups(numbers))

    def get_groups(self, *, include_aliases: bool = False) -> list[str]:
        """The names of the enabled groups, the preferred first; with `include_aliases` all their names."""
        numbers = self._protocol.groups
        names = [groups.NAMES.get(number, (groups.name_of(number),)) for number in numbers]
        return [name for known in names for name in (known if include_aliases else known[:1])]

    def set_client_sigalgs(self, sigalgslist: str, /) -> None:
        """Raises NotImplementedError: the engine always accepts every algorithm of `get_sigalgs`."""
        raise NotImplementedError(_NO_SIGALGS.format("set_client_sigalgs"))

    def set_server_sigalgs(self, sigalgslist: str, /) -> None:
        """Raises NotImplementedError: the engine always accepts every algorithm of `get_sigalgs`."""
        raise NotImplementedError(_NO_SIGALGS.format("set_server_sigalgs"))

    def set_ecdh_curve(self, name: str | bytes) -> None:
        """Sets the only key exchange group, by name.

        Raises TypeError for anything but str or bytes, ValueError for a name that does not exist here.
        """
        numbers = as_group(name)
        self._change_protocol(lambda protocol: protocol.with_groups(numbers))

    def load_dh_params(self, path: StrPath) -> None:
        """Reads the PEM file and warns that it has no effect: no suite here uses finite-field DH.

        Raises OSError for a file that cannot be read, ssl.SSLError for one without DH parameters.
        """
        if b"DH PARAMETERS" not in dict(pem_blocks(read_file(path, "DH parameters"))):
            words = f"no start line: {os.fsdecode(path)!r} does not contain DH parameters"
            raise ssl_error("NO_START_LINE", words, library="PEM")
        words = "DH parameters have no effect: no cipher suite here uses finite-field Diffie-Hellman"
        warnings.warn(words, category=RuntimeWarning, stacklevel=2)

    @property
    def num_tickets(self) -> int:
        """How many tickets a server sends after a TLS 1.3 handshake, 0 to 255. Default 2.

        Raises TypeError for anything but an integer, ValueError for one out of range, and on any context but
        one of PROTOCOL_TLS_SERVER.
        """
        return self._protocol.tickets

    @num_tickets.setter
    def num_tickets(self, value: int) -> None:
        count = index(value)
        self._change_protocol(lambda protocol: protocol.with_tickets(count))

    @property
    def keylog_filename(self) -> str | None:
        """The path of a file to which the secrets of every connection are appended. Default None.

        For debugging only: the traffic can be decrypted with it. The file is made with mode 0600. Raises
        TypeError for anything but a path or None, OSError if it cannot be written.
        """
        return self._protocol.keylog

    @keylog_filename.setter
    def keylog_filename(self, value: StrPath | None) -> None:
        path = os.fsdecode(value) if value is not None else None
        if path is not None:
            from veritls._context import keylog

            keylog.begin(path)
        self._change_protocol(lambda protocol: replace(protocol, keylog=path))

    @property
    def security_level(self) -> int:
        """OpenSSL's security level: 2. It cannot be changed."""
        return ciphers.MAX_LEVEL

    @property
    def post_handshake_auth(self) -> None:
        """None, as in `ssl` where post-handshake authentication is not available."""
        return None

    @property
    def _msg_callback(self) -> None:
        """None: the engine does not report its messages."""
        return None

    def _wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("_wrap_socket is not supported: use wrap_socket")

    def _wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("_wrap_bio is not supported: use wrap_bio")

    def _set_alpn_protocols(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("_set_alpn_protocols is not supported: use set_alpn_protocols")

    def set_psk_client_callback(self, callback: Any) -> None:
        """Raises NotImplementedError: external pre-shared keys are not supported (`HAS_PSK`)."""
        raise NotImplementedError("external pre-shared keys are not supported")

    def set_psk_server_callback(self, callback: Any, identity_hint: str | None = None) -> None:
        """Raises NotImplementedError: external pre-shared keys are not supported (`HAS_PSK`)."""
        raise NotImplementedError("external pre-shared keys are not supported")
