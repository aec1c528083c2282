"""What `help(veritls)` and the pages of classes say: a guide first, and no module that is not a user's."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pydoc
import re
import socket
import textwrap
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.support.certificates import Party

MODULES = (
    "veritls",
    "veritls.aio",
    "veritls.errors",
    "veritls.events",
    "veritls.events.prometheus",
    "veritls.events.opentelemetry",
    "veritls.peers",
    "veritls.policy",
    "veritls.report",
    "veritls.serving",
    "veritls.serving.hypercorn",
    "veritls.serving.uvicorn",
    "veritls.serving.wsgi",
    "veritls.sources",
    "veritls.sources.spiffe",
    "veritls.tickets",
)
"""The modules that users import from."""

PRIVATE = re.compile(r"(?<![\w.])(?:\w+\.)*_[a-z]\w*\.\w")
"""A module with a leading underscore, and a name in it."""

THE_INTERPRETERS = ("_ssl.", "_socket.")
"""Modules of the bases that a standard class has itself."""


def public_classes() -> dict[str, type]:
    found = {}
    for module in MODULES:
        with suppress(ImportError):  # of what is optional
            names = vars(importlib.import_module(module))
            for name in getattr(importlib.import_module(module), "__all__", names):
                kind = getattr(importlib.import_module(module), name)
                ours = inspect.isclass(kind) and (kind.__module__ or "").split(".")[0] == "veritls"
                if ours and not name.startswith("_") and not kind.__module__.startswith("veritls._"):
                    found[f"{kind.__module__}.{kind.__qualname__}"] = kind
    return found


CLASSES = public_classes()


def page_of(thing: object) -> list[str]:
    return pydoc.plain(pydoc.render_doc(thing)).splitlines()


@pytest.mark.parametrize("name", CLASSES)
def test_the_page_of_a_class_names_no_private_module(name: str) -> None:
    lines = [line for line in page_of(CLASSES[name]) if "__annotations__ =" not in line]
    named = [
        line for line in lines if PRIVATE.search(line) and not any(each in line for each in THE_INTERPRETERS)
    ]
    assert named == []


def test_the_classes_of_the_front_door_are_known_by_it() -> None:
    ours = {"MemoryBIO", "OwnIdentity", "SSLContext", "SSLObject", "SSLSession", "SSLSocket", "TrustEntry"}
    assert {f"veritls.{name}" for name in ours} <= CLASSES.keys()
    for name in ours:
        kind = getattr(veritls, name)
        assert repr(kind) == f"<class 'veritls.{name}'>"
        assert pickle.loads(pickle.dumps(kind)) is kind


def test_the_page_of_a_context_is_ordered_by_topic_and_says_so() -> None:
    page = "\n".join(page_of(veritls.SSLContext))
    topics = ["defined here:", *(f"{name}Members:" for name in ("Protocol", "Peer", "Trust", "Own"))]
    places = [page.index(topic) for topic in topics]
    assert places == sorted(places)
    assert page.index("create_default_context") < page.index("Method resolution order")


def test_help_begins_with_a_guide() -> None:
    lines = page_of(veritls)
    begin = lines.index("DESCRIPTION")
    guide = "\n".join(lines[: lines.index("PACKAGE CONTENTS")])
    assert "import veritls as ssl" in lines[lines.index("NAME") + 1]
    assert lines.index("CLASSES") > begin
    for name in ("create_default_context", "SSLContext", "SSLSocket", "CERT_OPTIONAL", "docs/migrating.md"):
        assert name in guide
    assert all(len(line) <= 120 for line in guide.splitlines())


def test_what_the_guide_names_exists() -> None:
    text = veritls.__doc__ or ""
    for name in re.findall(r"veritls\.(\w+)", text):
        assert importlib.import_module(f"veritls.{name}") if name != "SSLContext" else veritls.SSLContext
    for page in re.findall(r"docs/\w+\.md", text):
        assert (Path(__file__).parent.parent / page).is_file()
    for name in re.findall(r"SSLContext\.(\w+)", text):
        assert hasattr(veritls.SSLContext, name)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The files that the guide names, in the current folder."""
    root = Party("Root", ca=True)
    (tmp_path / "ca.pem").write_bytes(root.pem)
    for name in ("server", "client"):
        party = Party("localhost", root)
        (tmp_path / f"{name}.pem").write_bytes(party.pem)
        (tmp_path / f"{name}.key").write_bytes(party.key_pem)
    monkeypatch.chdir(tmp_path)
    yield


def test_the_server_and_the_client_of_the_guide_work(
    files: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = veritls.__doc__ or ""
    server, client = map(textwrap.dedent, re.findall(r"::\n\n((?:    .*\n|\n)+)", text))
    assert len(server.split("\n\n")[1].splitlines()) <= 12
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    connect = socket.create_connection

    def connected(address: Any) -> socket.socket:
        assert address == ("localhost", 8443)
        return connect(listener.getsockname(), timeout=10)

    monkeypatch.setattr(socket, "create_server", lambda address: listener)
    monkeypatch.setattr(socket, "create_connection", connected)

    def serve() -> None:
        with suppress(OSError):  # the listener is closed
            exec(server, {})

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    exec(client, {})
    assert capsys.readouterr().out == "b'hello world'\n"
    without = client.replace('context.load_cert_chain("client.pem", "client.key")\n', "")
    with pytest.raises(veritls.SSLError, match="certificate required"):
        exec(without, {})
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert "peer did not return a certificate" in capsys.readouterr().out
