"""The programs for type checkers, checked all at once: the same start of a checker serves all tests."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import veritls

FOLDER = Path(__file__).parent

TOUCHING = ("front_door.py", "connections.py", "operating.py", "serving.py")
"""Beside this file: a users' program that touches every public name."""

WRONG = """
import asyncio
import socket
import ssl as standard
from typing import Any

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
            report: ssl.VerificationReport = refused.report
            print(report.kind, report.certificates[0].subject, refused.verify_code)
            return report.sentence, []
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


def who(context: ssl.SSLContext, chain: bytes) -> str | None:
    def look(report: ssl.VerificationReport) -> None:
        print(report.question.server_hostname)

    context.set_verify_callback(look)
    context.allowed_peers = [ssl.SPIFFE("spiffe://example.org/**"), ssl.DNSPattern("*.example.org")]
    try:
        return context.verify_chain(chain).sentence
    except ssl.CertificateError as error:
        return error.report.kind


class Own(ssl.SSLContext):
    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return super().wrap_bio(*args, **kwargs)


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
"""A line that ends with "# wrong" is; nothing else is."""

NAMES = "import veritls as ssl\n" + "".join(f"reveal_type(ssl.{name})\n" for name in veritls.__all__)


class Finding(NamedTuple):
    """What a checker says of a program. `kind`: "error" or another word."""

    file: str
    line: int
    kind: str
    text: str


@cache
def findings(checker: str) -> list[Finding]:
    """What "mypy" or "pyright" says of all programs, apart from this checkout and its settings."""
    if importlib.util.find_spec(checker) is None:
        if "CI" in os.environ:
            pytest.fail(f"{checker} is not installed")
        pytest.skip(f"{checker} is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "wrong.py").write_text(WRONG)
        (folder / "names.py").write_text(NAMES)
        for program in TOUCHING:
            shutil.copy(FOLDER / program, folder)
        command = [sys.executable, "-m", checker]
        if checker == "mypy":
            command += ["--strict", "--no-error-summary", "--hide-error-context", "--cache-dir", "cache"]
        else:
            command += ["--outputjson", "--pythonpath", sys.executable]
        command += ["wrong.py", "names.py", *TOUCHING]
        done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=folder)
    if checker == "mypy":
        found = re.findall(r"^(.*?):(\d+): (\w+): (.*)$", done.stdout, re.MULTILINE)
        assert found, done.stdout + done.stderr
        return [Finding(Path(file).name, int(line), kind, text) for file, line, kind, text in found]
    said = json.loads(done.stdout)["generalDiagnostics"]
    return [
        Finding(
            Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["severity"], each["message"]
        )
        for each in said
    ]


def errors(checker: str, file: str) -> list[Finding]:
    """What a checker finds wrong in one program."""
    return [each for each in findings(checker) if each.file == file and each.kind == "error"]
