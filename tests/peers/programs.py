"""Peers in other languages: Node.js, Java (JSSE), Go, and in C wolfSSL and mbedTLS.

Each is one process that lives as long as the tests.

It says `ready`, then converses: a line each way for each case, fields `key=value` with tabs between:
to the program, `role=server|client  version=1.2|1.3  mode=none|optional|required  certificate=  ca=  port=
times=1|2`; from it, a server first answers `port=`; then both, for each connection, of which the second has
the session of the first, `result=established|refused|error  detail=`.
`error` is a failure of the test itself (a file, a port, a silence of 15 seconds); it never passes for a
refusal, but is raised as ProgramError.
"""

from __future__ import annotations

import atexit
import os
import queue
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)

from tests.conftest import Files
from tests.peers.cases import VERSIONS, Case, Outcome
from tests.peers.peer import Cannot, Peer, Role, Serving, certificate, server_certificate

SECONDS = 20
HERE = Path(__file__).parent / "programs"
_HEADERS = Path("/usr/include")
ROLES: tuple[Role, ...] = ("client", "server")
_VERSIONS = {ssl.TLSVersion.TLSv1_2: "1.2", ssl.TLSVersion.TLSv1_3: "1.3"}
_MODES = {ssl.CERT_NONE: "none", ssl.CERT_OPTIONAL: "optional", ssl.CERT_REQUIRED: "required"}


class ProgramError(Exception):
    """The program, or the test around it, failed: neither an established connection nor a refusal."""


class _Process:
    """A running program; lines go in, the fields of its answers come out."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.answer("ready")
        except ProgramError:
            self.close()
            raise

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def ask(self, **fields: object) -> None:
        assert self._process.stdin
        self._process.stdin.write("\t".join(f"{key}={value}" for key, value in fields.items()) + "\n")

    def answer(self, *beginnings: str) -> dict[str, str]:
        """The next line that begins so, in 20 seconds at most; the rest only explains a failure."""
        noise = ""
        while True:
            try:
                line = self._lines.get(timeout=SECONDS)
            except queue.Empty:
                raise ProgramError(f"no answer in {SECONDS} seconds: {noise}") from None
            if line is None:
                raise ProgramError(f"the program ended: {noise}")
            if line.startswith(beginnings):
                return dict(field.split("=", 1) for field in line.rstrip("\n").split("\t") if "=" in field)
            noise += line

    def outcome(self) -> Outcome:
        answer = self.answer("result=")
        if answer.get("result") not in ("established", "refused"):
            raise ProgramError(answer.get("detail", str(answer)))
        return Outcome(established=answer["result"] == "established", detail=answer["detail"])

    def close(self) -> None:
        self._process.kill()
        self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()


class _Finish:
    def __init__(self, process: _Process, times: int) -> None:
        self.left = times
        self._process = process

    def __call__(self) -> Outcome:
        """Waits for the end of the next connection."""
        outcome = self._process.outcome()
        self.left -= 1
        return outcome


class Program(Peer):
    """A peer that is a program of `tests/peers/programs`; it starts with its first case."""

    roles = frozenset(ROLES)
    request = b"ping\n"
    reply = b"pong\n"

    def __init__(
        self,
        name: str,
        needs: Sequence[str],
        command: Callable[[Path], Sequence[str]],
        identity: Callable[[Path, Path], Path] = lambda certificate, folder: certificate,
    ) -> None:
        """`command` and `identity` (a PEM file as the program reads it) may write to the folder given."""
        self.name = name
        self._needs = needs
        self._command = command
        self._identity = identity
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: _Process | None = None
        atexit.register(self.close)

    def missing(self) -> str | None:
        """The first program or header that is lacking, or None."""
        return next(
            (need for need in self._needs if not (shutil.which(need) or (_HEADERS / need).is_file())), None
        )

    def prepare(self) -> None:
        """Builds and starts the program."""
        self._started()

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        """Plays the client of `case` against 127.0.0.1:`port`, under the name localhost."""
        return self._connect(case, files, port, 1)[0]

    def connect_twice(self, case: Case, files: Files, port: int) -> list[Outcome]:
        return self._connect(case, files, port, 2)

    def _connect(self, case: Case, files: Files, port: int, times: int) -> list[Outcome]:
        try:
            process = self._asked("client", case, files, certificate(files, case.client), port, times)
            return [process.outcome() for _ in range(times)]
        except ProgramError:
            self.close()  # else its late answer would be taken for the next case's
            raise

    def serve(self, case: Case, files: Files) -> AbstractContextManager[Serving]:
        """Plays the server of `case` for one connection."""
        return self._serve(case, files, 1)

    def serve_twice(self, case: Case, files: Files) -> AbstractContextManager[Serving]:
        return self._serve(case, files, 2)

    @contextmanager
    def _serve(self, case: Case, files: Files, times: int) -> Iterator[Serving]:
        process = self._asked("server", case, files, server_certificate(files, case), 0, times)
        finish = _Finish(process, times)
        try:
            answer = process.answer("port=", "result=")
            if "port" not in answer:
                raise ProgramError(answer["detail"])
            yield Serving(int(answer["port"]), finish)
        finally:
            if finish.left:
                self.close()  # for the same reason

    def close(self) -> None:
        """Ends the program and removes its folder; the next case starts it anew."""
        if self._process:
            self._process.close()
            self._process = None
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def _asked(
        self, role: Role, case: Case, files: Files, shown: Path | None, port: int, times: int
    ) -> _Process:
        process, folder = self._started()
        own = self._identity(shown, folder) if shown else ""
        version, mode = _VERSIONS[case.version], _MODES[case.mode]
        process.ask(
            role=role, version=version, mode=mode, certificate=own, ca=files.ca, port=port, times=times
        )
        return process

    def _started(self) -> tuple[_Process, Path]:
        if not self._folder:
            self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        if not self._process:
            self._process = _Process(self._command(folder))
        return self._process, folder


class Node(Program):
    version_command = ("node", "--version")
    silent = frozenset({"stranger", "expired"})
    resumes = frozenset(ROLES)


class Java(Program):
    resumes = frozenset(ROLES)
    version_command = ("java", "--version")


class Go(Program):
    version_command = ("go", "version")
    resumes = frozenset(ROLES)


class WolfSSL(Program):
    version_command = ("grep", "VERSION_STRING", "/usr/include/wolfssl/version.h")
    silent = frozenset({"none"})
    takes_tickets = False
    falls_back = False
    resumes = frozenset(ROLES)
    cannot_resume = (Cannot("client", {"version": VERSIONS[1]}, "takes no ticket of rustls in TLS 1.3"),)


class MbedTLS(Program):
    version_command = ("grep", "VERSION_STRING", "/usr/include/mbedtls/version.h")
    resumes = frozenset(ROLES)
    silent = frozenset({"none"})
    cannot = tuple(Cannot(role, {"version": VERSIONS[1]}, "has no TLS 1.3") for role in ROLES)


def _built_go(folder: Path) -> Sequence[str]:
    environment = os.environ | {"GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}
    command = ["go", "build", "-o", str(folder / "peer"), str(HERE / "peer.go")]
    subprocess.run(command, env=environment, cwd=folder, check=True, timeout=250)
    return [str(folder / "peer")]


def _built_c(name: str, *libraries: str) -> Callable[[Path], Sequence[str]]:
    def build(folder: Path) -> Sequence[str]:
        warnings = ["-Wall", "-Wextra", "-Werror"]
        command = ["cc", *warnings, "-o", str(folder / "peer"), str(HERE / name), *libraries]
        subprocess.run(command, check=True, timeout=250)
        return [str(folder / "peer")]

    return build


def _pkcs12(certificate: Path, folder: Path) -> Path:
    """The same key and chain as PKCS #12, which is what Java reads; the password is `password`."""
    pem = certificate.read_bytes()
    leaf, *chain = x509.load_pem_x509_certificates(pem)
    key = load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    path = folder / f"{certificate.stem}.p12"
    encryption = BestAvailableEncryption(b"password")
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"only", key, leaf, chain, encryption))
    return path


_JAVA = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx128m", str(HERE / "Peer.java")]

PROGRAMS: list[Peer] = [
    Node("node", ["node"], lambda folder: ["node", str(HERE / "peer.js")]),
    Java("java", ["java", "javac"], lambda folder: _JAVA, _pkcs12),
    Go("go", ["go"], _built_go),
    WolfSSL("wolfssl", ["cc", "wolfssl/ssl.h"], _built_c("wolfssl.c", "-lwolfssl")),
    MbedTLS(
        "mbedtls", ["cc", "mbedtls/ssl.h"], _built_c("mbedtls.c", "-lmbedtls", "-lmbedx509", "-lmbedcrypto")
    ),
]
