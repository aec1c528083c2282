"""Other programs at the far end of a stream: openssl's s_client and s_server with key updates, and Go."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import random
import re
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from campaign.credentials import NAME, Credentials
from campaign.integrity_ends import PATIENCE, Digests, Plan

_BEGIN = b"the stream begins\n"
_REMARKS = (b"Read BLOCK\n", b"SSL_do_handshake -> 1\n")
_MOST_UPDATES = 100


def _without_remarks(output: bytes) -> bytes:
    """The data within what s_server writes: behind the mark, without what it says when keys are updated."""
    data = output.partition(_BEGIN)[2]
    for remark in _REMARKS:
        data = data.replace(remark, b"")
    return data


class Failed(Exception):
    """The program did not do its part."""


class Program:
    """A program that is one end of a stream. Its port is known at once where it is the server."""

    port = 0
    updates = 0
    mark = b""
    """What the other end has to send first, which is not counted."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*map(str, command)], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin and self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout

    def digests(self) -> Digests:
        """Of what it was given to send and of what came out of it, once all has."""
        raise NotImplementedError

    def _read(self, end: float) -> bytes:
        if not select.select([self._out], [], [], max(0.0, end - time.monotonic()))[0]:
            raise Failed("nothing came in time")
        data = os.read(self._out.fileno(), 1 << 16)
        if not data:
            raise Failed("it ended")
        return data

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._in, self._out):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


class OpenSSL(Program):
    """What it is given has no letter that it takes for a command: hexadecimal digits, with g for c."""

    mark = _BEGIN

    def __init__(self, credentials: Credentials, version: str, plan: Plan, port: int) -> None:
        self._plan, self._version = plan, version
        own = credentials.server if plan.server else credentials.client
        common: list[str | Path] = [
            "-cert",
            own,
            "-key",
            own,
            "-CAfile",
            credentials.ca,
            "-verify_return_error",
        ]
        common.append({"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}[version])
        if plan.server:
            super().__init__(["openssl", "s_server", "-accept", "127.0.0.1:0", "-Verify", "1", *common])
            self.port = self._announced()
        else:
            # Without -no_ign_eof, -quiet turns the commands off.
            to: list[str | Path] = [
                "-connect",
                f"127.0.0.1:{port}",
                "-servername",
                NAME,
                "-quiet",
                "-no_ign_eof",
            ]
            super().__init__(["openssl", "s_client", *to, *common])
        self._sent = hashlib.sha256()
        self._failed: list[BaseException] = []
        self._feeding = threading.Thread(target=self._feed, daemon=True)

    def _announced(self) -> int:
        output, end = b"", time.monotonic() + PATIENCE
        while not (found := re.search(rb"ACCEPT .*:(\d+)\n", output)):
            output += self._read(end)
        return int(found[1])

    def digests(self) -> Digests:
        self._feeding.start()
        output, end = b"", time.monotonic() + PATIENCE
        while len(data := _without_remarks(output)) < self._plan.incoming or _BEGIN not in output:
            output += self._read(end)
        self._feeding.join(PATIENCE)
        if self._failed:
            raise self._failed[0]
        return self._sent.hexdigest(), hashlib.sha256(data).hexdigest()

    def _feed(self) -> None:
        chance = random.Random(self._plan.seed)
        try:
            for piece in self._plan.pieces():
                data = piece.hex().replace("c", "g").encode()[: len(piece)]
                self._sent.update(data)
                self._in.write(data)
                self._in.flush()
                if self._version == "TLSv1.3" and self.updates < _MOST_UPDATES and chance.random() < 0.1:
                    self._command(chance.choice((b"K\n", b"k\n")))
                    self.updates += 1
        except BaseException as error:
            self._failed.append(error)

    def _command(self, letter: bytes) -> None:
        """Alone in the pipe, since it looks at the first letter of what one read brings."""
        self._drained()
        self._in.write(letter)
        self._in.flush()
        self._drained()

    def _drained(self) -> None:
        end = time.monotonic() + PATIENCE
        while struct.unpack("i", fcntl.ioctl(self._in.fileno(), termios.FIONREAD, bytes(4)))[0]:
            if time.monotonic() > end:
                raise Failed("it reads no more")
            time.sleep(0.001)


class Go(Program):
    """campaign/programs/stream.go."""

    def __init__(self, credentials: Credentials, version: str, plan: Plan, port: int) -> None:
        own = credentials.server if plan.server else credentials.client
        role = "server" if plan.server else "client"
        numbers = [str(each) for each in (plan.outgoing, plan.incoming, port)]
        super().__init__([_built(), role, version, own, credentials.ca, *numbers])
        self._end = time.monotonic() + PATIENCE
        self._output = b""
        if plan.server:
            self.port = int(self._line())

    def _line(self) -> bytes:
        while b"\n" not in self._output:
            self._output += self._read(self._end)
        line, _, self._output = self._output.partition(b"\n")
        return line

    def digests(self) -> Digests:
        line = self._line().decode()
        if line.startswith("error"):
            raise Failed(line)
        sent, came = line.split()
        return sent, came


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@functools.cache
def _built() -> Path:
    program = Path(_folder().name) / "stream"
    environment = os.environ | {"GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}
    source = Path(__file__).parent / "programs" / "stream.go"
    subprocess.run(["go", "build", "-o", program, source], env=environment, check=True, timeout=300)
    return program


PROGRAMS: dict[str, type[OpenSSL] | type[Go]] = {"openssl": OpenSSL, "go": Go}
"""By the name of the program that each needs."""


def missing() -> list[str]:
    return [name for name in PROGRAMS if not shutil.which(name)]
