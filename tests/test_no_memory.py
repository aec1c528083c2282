"""Memory that cannot be had is a MemoryError; the process lives, and nothing that was sent is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Files

PREAMBLE = """
import contextlib, resource, socket, ssl, sys, veritls
from tests.support.memory import connect
def limit(extra):
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size + extra if extra else hard, hard))
server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
server.load_cert_chain(sys.argv[1])
client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
client.load_verify_locations(sys.argv[2])
"""

BUFFER = """
bio, piece, count = veritls.MemoryBIO(), bytes(65_536), 0
limit(8 << 20)
try:
    while True:
        bio.write(piece)
        count += 1
except MemoryError:
    limit(0)
print(count > 16, bio.pending == count * len(piece), len(bio.read()) == count * len(piece))
"""

OBJECT = """
pair = connect(server, client)
outgoing, piece, sent = pair.client._outgoing, bytes(range(256)) * 1024, b""
limit(8 << 20)
try:
    while True:
        pair.client.write(piece)
        sent += piece
except MemoryError:
    limit(0)
pair.client.write(piece)
sent += piece
got = b""
with contextlib.suppress(ssl.SSLWantReadError):
    while True:
        got += pair.server.read(1 << 20)
print(len(sent) > 1 << 20, got == sent)
"""

READ = """
pair = connect(server, client)
for _ in range(64):
    pair.client.write(bytes(1 << 18))
limit(1 << 20)
count = 0
with contextlib.suppress(ssl.SSLWantReadError):
    while True:
        count += len(pair.server.read(1 << 62))
print(count)
"""

SOCKET = """
from tests.support.connections import tls_pair
def exhaust():
    limit(1 << 20)
    taken = []
    try:
        while True:
            taken.append(bytearray(16_384))
    except MemoryError:
        del taken[::8]
        return taken
sent, got, without = bytes(range(251)) * 800, b"", 0
with tls_pair(server, client) as (far, near):
    for _ in range(20):
        far.sendall(sent)
        taken = exhaust()
        try:
            piece = near.recv(1 << 20)
        except MemoryError:
            piece = b""
            without += 1
        limit(0)
        del taken
        while len(piece) < len(sent):
            piece += near.recv(1 << 20)
        got += piece
print(without > 10, got == 20 * sent)
"""

MAPPING = """
import mmap
huge = mmap.mmap(-1, 1 << 44, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
bio = veritls.MemoryBIO()
bio.write(b"abc")
try:
    bio.write(huge)
except MemoryError:
    print(bio.read())
"""


def outcome(files: Files, program: str) -> str:
    command = [sys.executable, "-c", PREAMBLE + program, str(files.server), str(files.ca)]
    folder = Path(__file__).parents[1]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.strip()


def test_a_memory_buffer_that_cannot_grow_keeps_what_it_has(files: Files) -> None:
    assert outcome(files, BUFFER) == "True True True"


def test_a_write_that_finds_no_memory_is_repeated_without_loss(files: Files) -> None:
    assert outcome(files, OBJECT) == "True True"


def test_a_read_of_more_than_memory_holds_gives_what_fits(files: Files) -> None:
    assert outcome(files, READ) == str(64 << 18)


def test_a_read_from_a_socket_that_finds_no_memory_is_repeated_without_loss(files: Files) -> None:
    assert outcome(files, SOCKET) == "True True"


@pytest.mark.skipif(sys.maxsize < 2**32, reason="needs 64-bit addresses")
def test_a_mapping_that_is_larger_than_memory_is_refused(files: Files) -> None:
    assert outcome(files, MAPPING) == "b'abc'"
