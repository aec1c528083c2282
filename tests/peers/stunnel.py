"""stunnel: as a server it passes what it receives on to `answering`, as a client it passes on a `ping`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import Files
from tests.peers.cases import NONE, OPTIONAL, REQUIRED, VERSIONS, Case, Outcome
from tests.peers.peer import (
    PING,
    PONG,
    Peer,
    Program,
    Serving,
    answering,
    certificate,
    lacking,
    ping,
    running,
    server_certificate,
)

DEMANDS = {NONE: "", OPTIONAL: "verifyChain = yes\nrequireCert = no", REQUIRED: "verifyChain = yes"}
PINS = {VERSIONS[0]: "TLSv1.2", VERSIONS[1]: "TLSv1.3"}
ENDED = r"byte\(s\) sent to socket\n"

CONFIGURATION = """
foreground = yes
pid =
syslog = no
debug = info
[only]
accept = 127.0.0.1:0
connect = 127.0.0.1:{port}
CAfile = {ca}
sslVersion = {version}
{rest}
"""


class Stunnel(Peer):
    name = "stunnel"
    version_command = ("stunnel4", "-version")
    roles = frozenset({"client", "server"})
    tells = frozenset({"certificate", "which alert"})
    resumes = roles
    of_a_session = "Decrypted ticket for an authenticated session: yes"

    def missing(self) -> str | None:
        return lacking("stunnel4")

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        with self._client(case, files, port) as ended:
            return ended()

    def connect_twice(self, case: Case, files: Files, port: int) -> list[Outcome]:
        with self._client(case, files, port) as ended:
            return [ended(), ended()]

    @contextmanager
    def _client(self, case: Case, files: Files, port: int) -> Iterator[Callable[[], Outcome]]:
        own = f"cert = {shown}" if (shown := certificate(files, case.client)) else ""
        rest = f"client = yes\nverifyChain = yes\nsni = localhost\ncheckHost = localhost\n{own}"
        with _proxy(case, files, port, rest) as (program, plain):
            yield lambda: Outcome(ping(plain) == PONG, program.take(ENDED))

    @contextmanager
    def serve(self, case: Case, files: Files) -> Iterator[Serving]:
        rest = f"cert = {server_certificate(files, case)}\n{DEMANDS[case.mode]}"
        with answering() as (behind, received), _proxy(case, files, behind, rest) as (program, port):

            def finish() -> Outcome:
                detail = program.take(ENDED)
                return Outcome(bool(received) and received.pop() == PING, detail)

            yield Serving(port, finish)


@contextmanager
def _proxy(case: Case, files: Files, port: int, rest: str) -> Iterator[tuple[Program, int]]:
    """stunnel between its own port and another: the program, and its own."""
    with TemporaryDirectory(dir=files.ca.parent) as folder:
        path = Path(folder, "stunnel.conf")
        version = PINS[case.version]
        path.write_text(CONFIGURATION.format(port=port, ca=files.ca, version=version, rest=rest))
        with running(["stunnel4", path]) as program:
            found = program.until(r"bound to 127\.0\.0\.1:(\d+)")
            assert found, program.output
            yield program, int(found[1])
