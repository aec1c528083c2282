"""inject, extract and `python -m veritls run`: veritls in the place of `ssl`, and back."""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context, tls_pair


@pytest.fixture
def injected() -> Iterator[None]:
    veritls.inject()
    try:
        yield
    finally:
        veritls.extract()


def test_inject_replaces_and_extract_restores_every_name() -> None:
    before = dict(vars(ssl))
    members = {kind: dict(vars(kind)) for kind in (ssl.SSLContext, ssl.SSLSocket, ssl.SSLObject)}
    veritls.inject()
    veritls.inject()
    try:
        assert ssl.SSLContext is veritls.SSLContext
        assert isinstance(ssl.create_default_context(), veritls.SSLContext)
        assert isinstance(ssl._create_stdlib_context(), veritls.SSLContext)  # type: ignore[attr-defined]
    finally:
        veritls.extract()
    veritls.extract()
    assert dict(vars(ssl)) == before
    for kind, content in members.items():
        assert dict(vars(kind)) == content


def test_contexts_of_the_standard_module_go_on_to_work(files: Files) -> None:
    server, client = server_context(files.server, ssl), client_context(files.ca, ssl)
    standard = ssl.SSLContext
    veritls.inject()
    try:
        client.minimum_version = ssl.TLSVersion.TLSv1_2
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        client.options |= ssl.OP_NO_TICKET
        with tls_pair(server, client) as (server_end, client_end):
            client_end.sendall(b"x")
            assert server_end.recv(1) == b"x"
            assert client_end.context is client and type(client_end) is not veritls.SSLSocket
        assert standard(ssl.PROTOCOL_TLS_SERVER).minimum_version
    finally:
        veritls.extract()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verify_mode", ssl.CERT_REQUIRED),
        ("check_hostname", True),
        ("verify_flags", ssl.VERIFY_X509_STRICT),
        ("options", ssl.OP_NO_TICKET),
        ("minimum_version", ssl.TLSVersion.TLSv1_3),
        ("maximum_version", ssl.TLSVersion.TLSv1_2),
        ("num_tickets", 7),
    ],
)
def test_what_a_wrapper_sets_past_the_class_counts(injected: None, name: str, value: object) -> None:
    """Wrappers of `ssl.SSLContext` (truststore, gevent) set what its base holds, to come round their own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    getattr(super(ssl.SSLContext, ssl.SSLContext), name).__set__(context, value)
    assert getattr(context, name) == value


def test_an_sni_callback_set_past_the_class_is_refused(injected: None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    past: Any = super(ssl.SSLContext, ssl.SSLContext)
    with pytest.raises(ValueError, match="sni_callback"):
        past.sni_callback.__set__(context, print)


def test_the_standard_librarys_modules_use_veritls(files: Files, injected: None) -> None:
    assert isinstance(http.client.HTTPSConnection("localhost")._context, veritls.SSLContext)  # type: ignore[attr-defined]

    async def talk() -> type:
        server_raw, client_raw = raw_pair()
        serving = in_thread(server_context(files.server).wrap_socket, server_raw, server_side=True)
        client_raw.setblocking(False)
        context = ssl.create_default_context(cafile=files.ca)
        _, writer = await asyncio.open_connection(sock=client_raw, ssl=context, server_hostname="localhost")
        kind = type(writer.get_extra_info("ssl_object"))
        serving.result(SECONDS).close()
        writer.close()
        return kind

    assert asyncio.run(asyncio.wait_for(talk(), SECONDS)) is veritls.SSLObject


def ran(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "veritls", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)


def test_run_starts_a_script_and_a_module_with_their_arguments(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import ssl, sys, module\n"
        "if __name__ == '__main__':\n"
        "    print(ssl.SSLContext.__module__, sys.argv[1:], module.x)\n"
        "    sys.exit(7)\n"
    )
    (tmp_path / "module.py").write_text("x = 3\n")
    for arguments in (("program.py",), ("-m", "program")):
        outcome = ran(*arguments, "a", "--b", folder=tmp_path)
        assert outcome.stdout == "veritls ['a', '--b'] 3\n", outcome.stderr
        assert outcome.returncode == 7


@pytest.mark.parametrize("way", multiprocessing.get_all_start_methods())
def test_run_includes_the_processes_that_multiprocessing_starts(tmp_path: Path, way: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing\n"
        "from ssl import SSLContext\n"
        "def child(deeper):\n"
        "    print(SSLContext.__module__, flush=True)\n"
        "    if deeper:\n"
        "        start(False)\n"
        "def start(deeper):\n"
        f"    process = multiprocessing.get_context({way!r}).Process(target=child, args=(deeper,))\n"
        "    process.start()\n"
        "    process.join()\n"
        "if __name__ == '__main__':\n"
        "    start(True)\n"
    )
    for arguments in (("program.py",), ("-m", "program")):
        outcome = ran(*arguments, folder=tmp_path)
        assert outcome.stdout == "veritls\n" * 2, outcome.stderr


@pytest.mark.parametrize("arguments", [(), ("-m",), ("no-such-program",)])
def test_run_without_a_program_says_so(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    outcome = ran(*arguments, folder=tmp_path)
    assert outcome.returncode == 2 and outcome.stderr.count("\n") == 1


def test_inject_offers_names_of_veritls_without_importing_what_they_need() -> None:
    program = (
        "import ssl, sys, veritls; veritls.inject(); "
        "assert 'veritls.peers' not in sys.modules and 'dataclasses' not in sys.modules; "
        "assert ssl.SPIFFE is veritls.SPIFFE and ssl.SSLSession is veritls.SSLSession; "
        "assert not any(hasattr(ssl, name) for name in ('inject', 'extract', 'no_such_name')); "
        "veritls.extract(); assert not hasattr(ssl, 'SPIFFE')"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=SECONDS)
