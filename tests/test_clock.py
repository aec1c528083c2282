"""A clock before 1970, as of a machine without a battery: an error, and not a word of a panic on stderr."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Files

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static long moved = 0;

void move_clock(long seconds) { moved = seconds; }

int clock_gettime(clockid_t which, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int outcome = real(which, at);
    if (which == CLOCK_REALTIME) at->tv_sec += moved;
    return outcome;
}
"""
"""Stands before the C library's clock, which Rust asks; `move_clock` sets it."""

PROGRAM = """
import ctypes, os, ssl, sys, time
from pathlib import Path
import veritls
from tests.support.connections import client_context, server_context, tls_pair
from tests.support.memory import memory_pair

move = ctypes.CDLL(os.environ["LD_PRELOAD"]).move_clock
move.argtypes = [ctypes.c_long]
server_file, ca = Path(sys.argv[1]), Path(sys.argv[2])
version = ssl.TLSVersion[sys.argv[3]]


def contexts():
    server, client = server_context(server_file), client_context(ca)
    client.load_cert_chain(server_file)
    server.load_verify_locations(ca)
    server.verify_mode, server.maximum_version = ssl.CERT_REQUIRED, version
    return server, client


def pair(session=None):
    return memory_pair(*used, session=session)


def drive(server_end, client_end):
    for end in (client_end, server_end) * 4:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass


def refused(work, *arguments):
    move(-200 * 365 * 86400)
    assert time.time() < 0
    try:
        work(*arguments)
    except ssl.SSLError as error:
        assert "shows a time before 1970" in str(error), error
    else:
        raise AssertionError("it went on")
    finally:
        move(0)


used = contexts()
refused(pair)  # settings that no connection had yet
drive(*pair())
refused(pair)  # and those of one
drive(*pair())

both = pair()
refused(drive, *both)  # in the middle

with tls_pair(*used) as (server_end, client_end):
    server_end.sendall(b"x")
    client_end.recv(1)
    session, chain = client_end.session, client_end.get_verified_chain()
both = pair(session)
refused(drive, *both)  # a resumption, on both sides
refused(used[1].verify_chain, chain)
refused(pair, session)
drive(*pair(session))
used[1].verify_chain(chain)
print("all of it")
"""


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that moves the clock of the process that it is loaded into."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("c++")
    if compiler is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("a C compiler is not installed")
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(CLOCK)
    library = folder / "clock.so"
    command = [
        str(compiler),
        "-x",
        "c",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(folder / "clock.c"),
        "-ldl",
    ]
    subprocess.run(command, check=True, timeout=60)
    return library


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD")
@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_clock_before_1970_is_an_error_and_no_panic(version: str, clock: Path, files: Files) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(files.server), str(files.ca), version],
        env=os.environ | {"LD_PRELOAD": str(clock)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "all of it\n"
    # Each refusal is a line of the log, and nothing else is said.
    said = "the system's clock cannot be used: it shows a time before 1970 [unusable]"
    assert done.stderr and all(line.endswith(said) for line in done.stderr.splitlines()), done.stderr
