"""What a program's arguments do when they are looked at happens before the change, and once."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.settings.conftest import CLIENT, ROOT
from tests.support.certificates import pem

HOOKS = (
    "__eq__",
    "__ne__",
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
    "__hash__",
    "__index__",
    "__int__",
    "__and__",
)
MOST = 50
"""Times that an argument is looked at; what tries again for ever reaches any number."""


class Endless(Exception):
    pass


def meddling(kind: type, hook: Callable[[], None]) -> type:
    """A subclass of int or str that calls `hook` whenever it is looked at."""

    def looked(name: str) -> Any:
        def method(self: Any, *others: Any) -> Any:
            hook()
            return getattr(kind, name)(self, *others)

        return method

    return type("Meddling", (kind,), {name: looked(name) for name in HOOKS if hasattr(kind, name)})


class Asked:
    """A path that calls `hook` whenever it is asked for."""

    def __init__(self, path: Path, hook: Callable[[], None]) -> None:
        self.path, self.hook = path, hook

    def __fspath__(self) -> str:
        self.hook()
        return str(self.path)


@pytest.fixture
def server() -> veritls.SSLContext:
    return veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)


@pytest.fixture
def changes(server: veritls.SSLContext) -> Callable[[], None]:
    """Changes the context, in another way each time."""
    seen: list[None] = []

    def change() -> None:
        seen.append(None)
        if len(seen) > MOST:
            raise Endless
        server.require_ocsp = not server.require_ocsp

    return change


NUMBERS = {
    "verify_mode": int(ssl.CERT_REQUIRED),
    "verify_flags": int(ssl.VERIFY_X509_STRICT),
    "minimum_version": int(ssl.TLSVersion.TLSv1_3),
    "maximum_version": int(ssl.TLSVersion.TLSv1_2),
    "num_tickets": 3,
    "max_resumption_age": 60,
    "options": int(ssl.OP_NO_TICKET),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_changes_the_context_when_it_is_looked_at_is_set_all_the_same(
    name: str, server: veritls.SSLContext, changes: Callable[[], None]
) -> None:
    setattr(server, name, meddling(int, changes)(NUMBERS[name]))
    shown = getattr(server, name)
    assert shown == NUMBERS[name] and type(shown).__module__ != __name__


def test_a_status_that_changes_the_context_when_it_is_looked_at_is_set_all_the_same(
    server: veritls.SSLContext, changes: Callable[[], None]
) -> None:
    server.unknown_revocation_status = meddling(str, changes)("accept")
    assert server.unknown_revocation_status == "accept" and type(server.unknown_revocation_status) is str


def test_a_status_that_says_that_it_is_equal_to_another_is_refused(server: veritls.SSLContext) -> None:
    lying = type("Lying", (str,), {"__eq__": lambda *_: True, "__hash__": str.__hash__})
    with pytest.raises(ValueError, match="not 'anything'"):
        server.unknown_revocation_status = lying("anything")
    assert server.unknown_revocation_status == "refuse"


def test_a_path_that_changes_the_context_when_it_is_asked_for_is_loaded_all_the_same(
    server: veritls.SSLContext, changes: Callable[[], None], tmp_path: Path
) -> None:
    crl = pem(ROOT.crl(CLIENT))
    for name in ("crl.pem", "9d66eef0.r0"):
        (tmp_path / name).write_bytes(crl)
    server.load_crls(Asked(tmp_path / "crl.pem", changes))
    server.load_verify_locations(cafile=Asked(tmp_path / "crl.pem", changes))
    server.load_verify_locations(capath=Asked(tmp_path, changes))
    assert server.cert_store_stats()["crl"] == 1


def test_iterables_that_change_the_context_are_read_before_it_is_changed(
    server: veritls.SSLContext, changes: Callable[[], None]
) -> None:
    def items(*values: Any) -> Iterator[Any]:
        for value in values:
            changes()
            yield value

    server.allowed_peers = items(veritls.DNSPattern("a.example"))
    server.pinned_keys = items(bytes(32))
    server.set_alpn_protocols(items("h2"))
    server.load_crls(items(ROOT.crl(CLIENT)))
    assert server.allowed_peers and server.pinned_keys and server.cert_store_stats()["crl"] == 1
