"""gnutls-cli and gnutls-serv. The latter listens on every interface: it has no option for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import Files
from tests.peers.cases import NONE, OPTIONAL, REQUIRED, Case, Outcome
from tests.peers.peer import (
    PING,
    Peer,
    Serving,
    certificate,
    lacking,
    listening,
    running,
    server_certificate,
)

DEMANDS = {
    NONE: ["--disable-client-cert"],
    OPTIONAL: ["--verify-client-cert"],
    REQUIRED: ["--require-client-cert", "--verify-client-cert"],
}


class GnuTLS(Peer):
    name = "gnutls"
    version_command = ("gnutls-cli", "--version")
    roles = frozenset({"client", "server"})
    reply = PING  # an echo
    odd_refusals = frozenset({"TLSV1_ALERT_DECODE_ERROR"})
    tells = frozenset({"certificate", "alert"})
    resumes = frozenset({"server"})

    def missing(self) -> str | None:
        return lacking("gnutls-cli") or lacking("gnutls-serv")

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        common = _common(case, files, certificate(files, case.client))
        to = ["--port", str(port), "--sni-hostname=localhost", "--verify-hostname=localhost", "127.0.0.1"]
        with running(["gnutls-cli", *common, *to]) as program:
            program.send(PING)
            output = program.rest()
        return Outcome(self.reply.decode() in output, output)

    @contextmanager
    def serve(self, case: Case, files: Files) -> Iterator[Serving]:
        common = [*DEMANDS[case.mode], *_common(case, files, server_certificate(files, case))]
        with listening(
            lambda port: ["gnutls-serv", "--echo", "--port", str(port), *common], r"IPv4 .*done"
        ) as (program, port):

            def finish() -> Outcome:
                detail = program.take("(Error in handshake|Error while receiving|Peer has closed).*\n")
                return Outcome("received cmd: ping" in detail, detail)

            yield Serving(port, finish)


def _common(case: Case, files: Files, shown: Path | None) -> list[str]:
    version = case.version.name.replace("v", "").replace("_", ".")  # TLS1.3
    own = [f"--x509certfile={shown}", f"--x509keyfile={shown}"] if shown else []
    return [f"--priority=NORMAL:-VERS-ALL:+VERS-{version}", f"--x509cafile={files.ca}", *own]
