"""A misspelt setting is an error: it would demand nothing."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

import veritls
from tests.conftest import Files

MISSPELT = {
    "allowed_peer": "allowed_peers",
    "pinned_key": "pinned_keys",
    "check_hostnames": "check_hostname",
    "verify_modes": "verify_mode",
    "requires_ocsp": "require_ocsp",
    "verify_callback": "set_verify_callback",
    "minimum_versions": "minimum_version",
    "xyzzy": None,
}


@pytest.mark.parametrize("name", MISSPELT)
@pytest.mark.parametrize("protocol", [veritls.PROTOCOL_TLS_CLIENT, veritls.PROTOCOL_TLS_SERVER])
def test_an_attribute_that_a_context_does_not_have_cannot_be_set(name: str, protocol: Any) -> None:
    context = veritls.SSLContext(protocol)
    with pytest.raises(AttributeError, match=f"'SSLContext' object has no attribute {name!r}") as caught:
        setattr(context, name, [])
    assert not hasattr(context, name)
    meant = MISSPELT[name]
    assert ("Did you mean" in str(caught.value)) == (meant is not None)
    if meant is not None:
        assert f"Did you mean {meant!r}?" in str(caught.value)
    assert (caught.value.name, caught.value.obj) == (name, context)


def test_every_public_attribute_that_can_be_set_with_ssl_can_be_set() -> None:
    context, theirs = (module.SSLContext(module.PROTOCOL_TLS_SERVER) for module in (veritls, ssl))
    for name in dir(ssl.SSLContext):
        if name.startswith("_") or not isinstance(getattr(ssl.SSLContext, name), property):
            continue
        value = getattr(theirs, name)
        try:
            setattr(theirs, name, value)
        except (AttributeError, NotImplementedError):
            continue
        setattr(context, name, value if name != "hostname_checks_common_name" else False)


def test_a_subclass_may_have_what_it_defines(files: Files) -> None:
    class Labelled(veritls.SSLContext):
        label: str
        count = 0

        def __init__(self, protocol: int) -> None:
            self.label = "web"
            self._private = 1

    class Further(Labelled):
        other: int = 0

    for kind in (Labelled, Further):
        context: Any = kind(veritls.PROTOCOL_TLS_CLIENT)
        context.count = 3
        assert (context.label, context.count, context._private) == ("web", 3, 1)
        with pytest.raises(AttributeError, match="Did you mean 'label'"):
            context.lable = "x"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("set_verify_callback", print),
        ("set_ocsp_response", print),
        ("set_verify_callback", None),
        ("load_crls", "crl.pem"),
        ("load_verify_locations", "ca.pem"),
        ("set_ciphers", "ECDHE"),
        ("set_alpn_protocols", ["h2"]),
    ],
)
def test_what_a_method_takes_cannot_be_put_in_its_place(name: str, value: Any) -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    with pytest.raises(AttributeError, match=f"{name!r} is a method of 'SSLContext': call it"):
        setattr(context, name, value)
    assert name not in vars(context)


def test_what_a_method_is_called_can_be_replaced_as_in_tests() -> None:
    context: Any = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.wrap_socket = lambda *_: "mine"
    assert context.wrap_socket(None) == "mine"
