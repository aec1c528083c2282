"""Every public name says in its docstring what it is, and what it raises."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import veritls
from veritls import errors, events, peers, policy, report

OURS = [getattr(veritls, name) for name in veritls.__all__] + [
    errors.SSLCertVerificationError,
    events.HandshakeEvent,
    events.PeerIdentity,
    events.Queue,
    events.Subscription,
    events.subscribe,
    policy.Rule,
    policy.rule,
    report.Certificate,
    report.Check,
    report.Refusal,
    report.Request,
]

for module in ("prometheus", "opentelemetry"):
    with suppress(ImportError):  # of what is optional; tests/operate fails under CI where it is missing
        optional = importlib.import_module(f"veritls.events.{module}")
        OURS += [getattr(optional, name) for name in optional.__all__ if name.lower() == "export"]

DELEGATED = {
    "DNSPattern": "TypeError ValueError",
    "Email": "TypeError ValueError",
    "Network": "TypeError ValueError",
    "SPIFFE": "TypeError ValueError",
    "URI": "TypeError ValueError",
    "rule": "KeyError",
    "Certificate.as_dict": "TypeError",
    "Certificate.days_left": "TypeError",
    "SSLContext": "ValueError AttributeError",
    "SSLContext.allowed_peers": "TypeError",
    "SSLContext.keylog_filename": "TypeError OSError",
    "SSLContext.load_cert_chain": "OSError SSLError TypeError ValueError",
    "SSLContext.load_crls": "OSError SSLError TypeError",
    "SSLContext.load_default_certs": "TypeError",
    "SSLContext.load_dh_params": "OSError SSLError",
    "SSLContext.load_pkcs12": "OSError SSLError TypeError ValueError",
    "SSLContext.load_verify_locations": "TypeError OSError SSLError ValueError",
    "SSLContext.max_resumption_age": "TypeError ValueError",
    "SSLContext.maximum_version": "ValueError",
    "SSLContext.minimum_version": "ValueError",
    "SSLContext.on_handshake": "TypeError",
    "export": "ValueError",
    "subscribe": "TypeError",
    "SSLContext.num_tickets": "TypeError ValueError",
    "SSLContext.options": "TypeError OverflowError",
    "SSLContext.pinned_keys": "TypeError ValueError",
    "SSLContext.reload_crls": "OSError SSLError",
    "SSLContext.set_alpn_protocols": "SSLError UnicodeEncodeError TypeError",
    "SSLContext.set_ciphers": "TypeError SSLError",
    "SSLContext.set_ciphersuites": "TypeError SSLError",
    "SSLContext.set_ecdh_curve": "TypeError ValueError",
    "SSLContext.set_groups": "TypeError SSLError",
    "SSLContext.set_ocsp_response": "SSLError TypeError",
    "SSLContext.set_verify_callback": "TypeError",
    "SSLContext.sni_callback": "ValueError TypeError",
    "SSLContext.unknown_revocation_status": "ValueError",
    "SSLContext.verify_chain": "SSLCertVerificationError TypeError ValueError SSLError",
    "SSLContext.verify_flags": "ValueError",
    "SSLContext.verify_mode": "TypeError ValueError",
    "SSLContext.wrap_bio": "TypeError",
    "SSLContext.wrap_socket": "NotImplementedError SSLError ValueError TypeError",
    "SSLObject.do_handshake": "SSLWantReadError SSLCertVerificationError SSLError SSLEOFError",
    "SSLObject.get_unverified_chain": "ValueError",
    "SSLObject.get_verified_chain": "ValueError",
    "SSLObject.read": "SSLWantReadError SSLEOFError ValueError SSLError",
    "SSLObject.session": "TypeError ValueError",
    "SSLObject.unwrap": "SSLWantReadError SSLError",
    "SSLObject.write": "SSLWantReadError SSLError",
    "SSLSocket.accept": "OSError",
    "SSLSocket.connect": "ValueError OSError",
    "SSLSocket.do_handshake": "SSLCertVerificationError SSLError TimeoutError SSLWantReadError OSError",
    "SSLSocket.read": "ValueError TimeoutError SSLError OSError",
    "SSLSocket.recv": "ValueError",
    "SSLSocket.recv_into": "ValueError",
    "SSLSocket.send": "ValueError",
    "SSLSocket.sendall": "ValueError SSLError",
    "SSLSocket.sendfile": "ValueError",
    "SSLSocket.shutdown": "OSError",
    "SSLSocket.unwrap": "SSLError SSLEOFError ValueError TimeoutError OSError",
    "SSLSocket.write": "ValueError TimeoutError SSLError OSError",
}
"""Names that raise by what they call -> the exceptions that their docstrings have to name."""

TAKES_ANYTHING = {"SSLContext.check_hostname", "SSLContext.require_ocsp", "SSLContext.reverify_on_resumption"}
"""Properties whose setters take any value, by its truth."""


def is_ours(kind: Any) -> bool:
    module = getattr(kind, "__module__", None) or ""
    return module.split(".")[0] == "veritls" and not module.startswith("veritls._compat")


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """The public members that classes of this package define."""
    found: dict[str, Any] = {}
    for each in reversed([base for base in kind.__mro__ if is_ours(base)]):
        found |= {name: value for name, value in vars(each).items() if not name.startswith("_")}
    for name, value in found.items():
        value = getattr(value, "__func__", value)
        if callable(value) or isinstance(value, property) or hasattr(value, "func"):
            yield f"{kind.__name__}.{name}", value


def public() -> dict[str, Any]:
    """Every public class, function, method and property, by its name."""
    found: dict[str, Any] = {}
    for each in OURS:
        if callable(each) and is_ours(each) and hasattr(each, "__name__"):
            found[each.__name__] = each
            if inspect.isclass(each):
                found |= dict(members(each))
    return found


PUBLIC = public()


def raises(function: Any) -> bool:
    """Whether there is a `raise` in a function's own code, apart from one that raises again."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        return False  # the engine's
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def code_of(value: Any) -> list[Any]:
    if isinstance(value, property):
        return [each for each in (value.fget, value.fset) if each is not None]
    return [] if inspect.isclass(value) else [getattr(value, "func", value)]


def test_the_public_names_are_found() -> None:
    assert {"SSLContext", "SSLContext.verify_mode", "SSLSocket.recv", "SSLObject.context"} <= PUBLIC.keys()
    assert {"MemoryBIO.read", "VerificationReport.sentence", "SSLSession.id", "DNSPattern"} <= PUBLIC.keys()
    assert {"get_sigalgs", "TrustEntry", "Check", "SSLCertVerificationError"} <= PUBLIC.keys()
    assert is_ours(peers.DNSPattern) and not is_ours(veritls.create_default_context)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = PUBLIC[name]
    text = value.__doc__ or ""
    assert text.strip()
    assert not text.startswith(f"{name}("), "the docstring that dataclasses make"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_names_what_is_raised(name: str) -> None:
    value = PUBLIC[name]
    text = " ".join((value.__doc__ or "").split())
    settable = isinstance(value, property) and value.fset is not None
    if any(map(raises, code_of(value))) or (settable and name not in TAKES_ANYTHING):
        assert "raises " in text.lower()
    if name in DELEGATED:
        assert [each for each in DELEGATED[name].split() if each not in text] == []


def test_the_tables_name_public_names_only() -> None:
    assert DELEGATED.keys() <= PUBLIC.keys()
    assert PUBLIC.keys() >= TAKES_ANYTHING
