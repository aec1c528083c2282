"""The names, signatures and kinds of the standard module are veritls's too, but for a written list."""

from __future__ import annotations

import inspect
import socket
import ssl
from types import ModuleType
from typing import Any

import pytest

import veritls
from veritls._compat import functions

NOT_OURS = {
    "namedtuple",
    "socket",
    "socket_error",
    "create_connection",
    "SOCK_STREAM",
    "SOL_SOCKET",
    "SO_TYPE",
}
"""What the standard module's namespace holds because it imports it; other modules document these."""

VALUES = {
    "HAS_TLSv1": False,
    "HAS_TLSv1_1": False,
    "HAS_PSK": False,
    "HAS_PHA": False,
    "HAS_PSK_TLS13": False,
    "CHANNEL_BINDING_TYPES": ["tls-server-end-point"],
}
"""Constants whose value says that a feature is, or is not, there."""

HARMLESS = {
    "_checkClosed",
    "_check_connected",
    "_encode_hostname",
    "_host_flags",
    "_load_windows_store_certs",
    "_windows_cert_stores",
}
"""Members of the standard classes that touch nothing of the base, or only through what is ours."""

CLASSES = ("SSLContext", "SSLSocket", "SSLObject", "MemoryBIO", "SSLSession")

SIGNATURES = {
    # ours names what the standard class takes as *args, **kwargs, or the other way round
    ("SSLContext", "set_psk_client_callback"),
    ("SSLContext", "set_psk_server_callback"),
    ("SSLSocket", "recvmsg"),
}


def public_names(module: ModuleType) -> list[str]:
    names = (name for name in dir(module) if not name.startswith("_") and name not in NOT_OURS)
    return [name for name in names if not isinstance(getattr(module, name), ModuleType)]


@pytest.mark.parametrize("name", public_names(ssl))
def test_every_public_name_of_ssl_is_there_with_the_same_value_or_kind(name: str) -> None:
    theirs, ours = getattr(ssl, name), getattr(veritls, name)
    if name in VALUES:
        assert ours == VALUES[name]
    elif name in CLASSES:
        assert isinstance(ours, type)
    elif name in ("create_default_context", "get_server_certificate", "get_sigalgs", "wrap_socket"):
        assert parameters(ours) == parameters(theirs)
    else:
        assert ours == theirs and type(ours) is type(theirs)


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    found = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in found]


def members() -> list[tuple[str, str]]:
    found = []
    for kind in CLASSES:
        names = (name for name in dir(getattr(ssl, kind)) if not name.startswith("_"))
        found += [(kind, name) for name in names]
    return found


@pytest.mark.parametrize(("kind", "name"), members())
def test_every_member_of_the_classes_is_there_with_the_same_parameters(kind: str, name: str) -> None:
    theirs, ours = getattr(getattr(ssl, kind), name), getattr(getattr(veritls, kind), name)
    assert callable(ours) == callable(theirs)
    if not inspect.isfunction(theirs) or (kind, name) in SIGNATURES:
        return
    taken = [each[0::2] for each in parameters(ours)]
    documented = [each[0::2] for each in parameters(theirs) if each[0] not in ("args", "kwargs")]
    assert [each for each in taken if each[0] not in ("args", "kwargs")] == documented


@pytest.mark.parametrize("kind", ["SSLContext", "SSLSocket", "SSLObject"])
def test_nothing_public_of_a_class_falls_through_to_the_inert_base(kind: str) -> None:
    ours, base = getattr(veritls, kind), getattr(ssl, kind)
    inherited = {
        name
        for name in {name for each in base.__mro__[:-1] for name in vars(each)}
        if not name.startswith("__")
        and getattr(base, name, None) is not None
        and inspect.getattr_static(ours, name) is inspect.getattr_static(base, name)
    }
    assert inherited - set(dir(socket.socket)) <= HARMLESS


def test_objects_are_instances_of_the_standard_classes() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    assert isinstance(context, ssl.SSLContext)
    assert issubclass(veritls.SSLSocket, ssl.SSLSocket) and issubclass(veritls.SSLObject, ssl.SSLObject)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    assert isinstance(context.wrap_bio(incoming, outgoing, server_side=True), ssl.SSLObject)


@pytest.mark.parametrize("name", ["_create_unverified_context", "_create_stdlib_context"])
def test_the_private_functions_that_the_standard_library_uses_are_there(name: str) -> None:
    assert [each[0] for each in parameters(getattr(functions, name))] == [
        each[0] for each in parameters(getattr(ssl, name))
    ]
    assert getattr(veritls, name)().verify_mode == ssl.CERT_NONE
