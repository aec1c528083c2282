"""One operation on a context of `ssl` and on one of veritls: what differs is what the library says."""

from __future__ import annotations

import ast
import re
import ssl
import warnings
from collections.abc import Callable
from typing import Any

import veritls
from veritls._context import cipher_suites
from veritls._doctor import constants

Act = Callable[[Any], object]
"""What a program does with a context or connection."""

_CALLED_WITH: dict[str, tuple[object, ...]] = {
    "set_alpn_protocols": (["h2"],),
    "set_ciphers": ("DEFAULT",),
    "set_ciphersuites": ("TLS_AES_128_GCM_SHA256",),
    "set_client_sigalgs": ("ecdsa_secp256r1_sha256",),
    "set_ecdh_curve": ("prime256v1",),
    "set_groups": ("P-256",),
    "set_npn_protocols": (["h2"],),
    "set_psk_client_callback": (lambda hint: (None, b""),),
    "set_psk_server_callback": (lambda identity: b"",),
    "set_server_sigalgs": ("ecdsa_secp256r1_sha256",),
}
"""The methods of a context that are tried, which touch nothing but the context -> arguments in place of those
that the program's text does not tell."""

CONNECTION_METHODS: dict[str, tuple[object, ...]] = {
    "get_channel_binding": ("tls-unique",),
    "verify_client_post_handshake": (),
}
"""The same for a connection, before its handshake."""

_OPENS_A_FILE = ("keylog_filename",)


def _outcome(act: Act, module: Any, protocol: int) -> Exception | None:
    """What an operation raises on a new context of `ssl` or veritls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            act(module.SSLContext(ssl._SSLMethod(protocol)))
        except Exception as raised:
            return raised
    return None


def refused(protocols: tuple[int, ...], act: Act, *, newer: str = "") -> Exception | None:
    """What veritls raises where `ssl` does not, whichever of the protocols it is; else None.

    `newer`: a method that this interpreter's `ssl` may not have yet, which is then no error of it.
    """
    ours: Exception | None = None
    for protocol in protocols:
        ours = _outcome(act, veritls, protocol)
        if ours is None:
            return None
        if newer and not hasattr(ssl.SSLContext, newer) and hasattr(veritls.SSLContext, newer):
            continue
        if _outcome(act, ssl, protocol) is not None and not isinstance(ours, NotImplementedError):
            return None
    return ours


def construction(protocol: int) -> Exception | None:
    """What veritls raises for a protocol that `ssl` makes a context with."""
    return refused((protocol,), lambda context: None)


def call(protocols: tuple[int, ...], name: str, values: list[object]) -> Exception | None:
    """What the method of a context raises with these arguments, of which some may be unknown."""
    default = _CALLED_WITH.get(name)
    if default is None:
        if hasattr(veritls.SSLContext, name) or not hasattr(ssl.SSLContext, name):
            return None
        default = ()
    known = values and constants.UNKNOWN not in values
    given = values if known else default
    return refused(protocols, lambda context: getattr(context, name)(*given), newer=name)


def connection_call(name: str, values: list[object]) -> Exception | None:
    """The same for a method of a connection."""
    default = CONNECTION_METHODS.get(name)
    if default is None:
        return None
    given = values if values and constants.UNKNOWN not in values else default

    def act(context: Any) -> None:
        module: Any = veritls if isinstance(context, veritls.SSLContext) else ssl
        server = context.protocol == ssl.PROTOCOL_TLS_SERVER
        buffers = module.MemoryBIO(), module.MemoryBIO()
        connection = context.wrap_bio(*buffers, server_side=server, server_hostname=None if server else "a")
        getattr(connection, name)(*given)

    return refused((int(ssl.PROTOCOL_TLS_SERVER),), act)


def setting(
    protocols: tuple[int, ...], name: str, value: object, operation: ast.operator | None = None
) -> Exception | None:
    """What setting an attribute of a context raises. `operation`: that of ``|=`` and the like."""
    if value is constants.UNKNOWN or name in _OPENS_A_FILE:
        # Whatever is set: of a name that cannot be set at all both say so by the same exception.
        found = refused(protocols, lambda context: setattr(context, name, lambda *_: None))
        return found if isinstance(found, AttributeError) else None

    def act(context: Any) -> None:
        new = value if operation is None else constants.binary(operation, getattr(context, name), value)
        if new is not constants.UNKNOWN:
            setattr(context, name, new)

    return refused(protocols, act)


def missing_suites(text: str) -> tuple[list[str], bool]:
    """The words of a cipher string that select suites of OpenSSL's and none here; whether that leaves any
    suite of TLS 1.2.

    Raises ValueError where the whole string selects nothing with OpenSSL either.
    """
    missing = []
    for word in re.findall(r"[^:, ;]+", text):
        if word[0] in "!-+@":
            continue
        try:
            if not cipher_suites.select(word):
                missing.append(word)
        except ValueError:
            continue  # nothing with OpenSSL either
    return missing, bool(cipher_suites.select(text))
