"""The types that a user's program sees: clean under mypy --strict and pyright, and not `Any`."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import ssl
import subprocess
import sys
from importlib.resources import files as package_files
from pathlib import Path

import pytest

import veritls
from veritls.errors import SSLCertVerificationError

PROGRAM = """
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


NAMES = "import veritls as ssl\n" + "".join(f"reveal_type(ssl.{name})\n" for name in veritls.__all__)


def lines_with_errors(program: Path, checker: str) -> set[int]:
    """The lines of a program in which "mypy" or "pyright" finds something wrong."""
    return {line for line, kind, _ in findings(program, checker) if kind == "error"}


def findings(program: Path, checker: str) -> list[tuple[int, str, str]]:
    """What a checker says of a program: lines, "error" or another word, and the text."""
    if importlib.util.find_spec(checker) is None:
        if "CI" in os.environ:
            pytest.fail(f"{checker} is not installed")
        pytest.skip(f"{checker} is not installed")
    command = [sys.executable, "-m", checker]
    if checker == "mypy":
        command += ["--strict", "--no-error-summary", "--hide-error-context"]
        command += ["--cache-dir", str(program.parent / "cache")]
    else:
        command += ["--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, str(program)], capture_output=True, text=True, timeout=110, cwd=program.parent
    )
    if checker == "mypy":
        found = re.findall(r"^.*?:(\d+): (\w+): (.*)$", done.stdout, re.MULTILINE)
        assert found, done.stdout + done.stderr
        return [(int(line), kind, text) for line, kind, text in found]
    said = json.loads(done.stdout)["generalDiagnostics"]
    return [(each["range"]["start"]["line"] + 1, each["severity"], each["message"]) for each in said]


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_checker_finds_in_a_users_program_what_is_wrong_and_nothing_else(
    checker: str, tmp_path: Path
) -> None:
    assert package_files("veritls").joinpath("py.typed").is_file()
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    wrong = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# wrong")}
    assert lines_with_errors(program, checker) == wrong


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_every_public_name_has_a_type(checker: str, tmp_path: Path) -> None:
    program = tmp_path / "names.py"
    program.write_text(NAMES)
    said = [
        finding for finding in findings(program, checker) if "evealed" in finding[2] or "ype of" in finding[2]
    ]
    assert len({line for line, _, _ in said}) == len(veritls.__all__)
    assert not lines_with_errors(program, checker)
    untyped = re.compile(r'(is|type) "(Any|Unknown)"$')
    assert not [text for _, _, text in said if untyped.search(text)]


def test_the_class_that_checkers_see_is_the_one_that_is_raised_and_caught() -> None:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    with pytest.raises(veritls.SSLCertVerificationError) as raised:
        context.verify_chain(b"junk")
    assert type(raised.value) is SSLCertVerificationError
    assert isinstance(raised.value.report, veritls.VerificationReport)
    assert veritls.SSLCertVerificationError is veritls.CertificateError is ssl.SSLCertVerificationError
