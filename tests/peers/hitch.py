"""hitch, which is only a server, and passes what it receives on to `answering`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import Files
from tests.peers.cases import NONE, OPTIONAL, REQUIRED, VERSIONS, Case, Outcome
from tests.peers.peer import PING, Peer, Serving, answering, lacking, listening, server_certificate

DEMANDS = {NONE: "none", OPTIONAL: "optional", REQUIRED: "required"}
PINS = {VERSIONS[0]: "TLSv1.2", VERSIONS[1]: "TLSv1.3"}

CONFIGURATION = """
frontend = "[127.0.0.1]:{port}"
backend = "[127.0.0.1]:{behind}"
pem-file = "{own}"
client-verify = {demand}
client-verify-ca = "{ca}"
tls-protos = {version}
log-level = 2
{user}
"""


class Hitch(Peer):
    name = "hitch"
    version_command = ("hitch", "--version")
    roles = frozenset({"server"})
    tells = frozenset({"which alert"})
    resumes = roles

    def missing(self) -> str | None:
        return lacking("hitch")

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        raise NotImplementedError

    @contextmanager
    def serve(self, case: Case, files: Files) -> Iterator[Serving]:
        with TemporaryDirectory(dir=files.ca.parent) as folder, answering() as (behind, received):
            path = Path(folder, "hitch.conf")

            def arguments(port: int) -> list[str | Path]:
                values = {
                    "port": port,
                    "behind": behind,
                    "own": server_certificate(files, case),
                    "demand": DEMANDS[case.mode],
                    "ca": files.ca,
                    "version": PINS[case.version],
                    "user": "" if os.geteuid() else 'user = "nobody"',  # its workers refuse to be root
                }
                path.write_text(CONFIGURATION.format(**values))
                return ["hitch", f"--config={path}"]

            with listening(arguments, "Process 0 online") as (program, port):

                def finish() -> Outcome:
                    detail = program.take("proxy shutdown.*\n")
                    return Outcome(bool(received) and received.pop() == PING, detail)

                yield Serving(port, finish)
