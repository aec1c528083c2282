"""The types that a user's program sees: clean under mypy --strict, and not `Any`."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files as package_files
from pathlib import Path

import pytest

PROGRAM = """
import asyncio
import socket
import ssl as standard

import veritls as ssl


def server(certificate: str, ca: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, password=lambda: "secret")
    context.load_verify_locations(cadata=ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def client(name: str) -> tuple[str, list[bytes]]:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    with socket.create_connection((name, 443)) as raw:
        try:
            connection = context.wrap_socket(raw, server_hostname=name)
        except ssl.SSLCertVerificationError as refused:
            return refused.verify_message, []
        with connection:
            connection.sendall(b"x")
            received: bytes = connection.recv(1024)
            certificate = connection.getpeercert()
            assert certificate is not None
            subject: object = certificate["subject"]
            protocol: str | None = connection.selected_alpn_protocol()
            print(received, subject, protocol, connection.version(), connection.group())
            return "", connection.get_verified_chain()


def between_buffers(context: ssl.SSLContext) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = context.wrap_bio(incoming, outgoing, server_side=True)
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def accepted(listener: ssl.SSLSocket) -> ssl.SSLSocket:
    connection, address = listener.accept()
    return connection


async def with_asyncio(context: standard.SSLContext) -> None:
    reader, writer = await asyncio.open_connection("localhost", 443, ssl=context)
    writer.close()


def main() -> None:
    context = server("server.pem", b"")
    asyncio.run(with_asyncio(context))
    ssl.inject()
    ssl.extract()
    context.verify_mode = "required"  # wrong
    context.wrap_socket(b"").recv(1)  # wrong
    number: int = between_buffers(context)  # wrong
    context.wrap_socket(socket.socket()).version().upper()  # wrong
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO()).no_such_member  # wrong
    client(5)  # wrong
"""


def test_mypy_strict_finds_in_a_users_program_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    assert package_files("veritls").joinpath("py.typed").is_file()
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    command += ["--cache-dir", str(tmp_path / "cache"), str(program)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=tmp_path)
    lines = (line.split(":") for line in outcome.stdout.splitlines() if ": error:" in line)
    wrong = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# wrong")}
    assert {int(number) for _, number, *_ in lines} == wrong, outcome.stdout + outcome.stderr
