"""openssl s_client and s_server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import Files
from tests.peers.cases import NONE, OPTIONAL, REQUIRED, VERSIONS, Case, Outcome
from tests.peers.peer import PING, Peer, Serving, certificate, lacking, running, server_certificate

DEMANDS = {NONE: [], OPTIONAL: ["-verify", "1"], REQUIRED: ["-Verify", "1"]}


class OpenSSL(Peer):
    name = "openssl"
    version_command = ("openssl", "version")
    roles = frozenset({"client", "server"})
    reply = b"gnip\n"  # -rev: s_server answers each line with its letters in reverse
    tells = frozenset({"certificate", "which alert"})
    resumes = frozenset({"client"})

    def missing(self) -> str | None:
        return lacking("openssl")

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        return self._connect(case, files, port)

    def connect_twice(self, case: Case, files: Files, port: int) -> list[Outcome]:
        with TemporaryDirectory(dir=files.ca.parent) as folder:
            session = Path(folder, "session.pem")
            first = self._connect(case, files, port, "-sess_out", session)
            return [first, self._connect(case, files, port, "-sess_in", session)]

    def _connect(self, case: Case, files: Files, port: int, *session: str | Path) -> Outcome:
        shown = certificate(files, case.client)
        to = ["-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-verify_hostname", "localhost"]
        common = [*_common(case, files, shown), *session]
        with running(["openssl", "s_client", "-quiet", *to, *common]) as program:
            program.send(PING)
            output = program.rest()
        return Outcome(self.reply.decode() in output, output)

    @contextmanager
    def serve(self, case: Case, files: Files) -> Iterator[Serving]:
        options = ["-accept", "127.0.0.1:0", "-naccept", "1", "-rev", *DEMANDS[case.mode]]
        common = _common(case, files, server_certificate(files, case))
        with running(["openssl", "s_server", *options, *common]) as program:
            found = program.until(r"ACCEPT .*:(\d+)\n")
            assert found, program.output

            def finish() -> Outcome:
                output = program.rest()
                return Outcome("1 server accepts that finished" in output, output)

            yield Serving(int(found[1]), finish)


def _common(case: Case, files: Files, shown: Path | None) -> list[str | Path]:
    version = {VERSIONS[0]: "-tls1_2", VERSIONS[1]: "-tls1_3"}[case.version]
    own: list[str | Path] = ["-cert", shown, "-key", shown, "-cert_chain", shown] if shown else []
    return [version, "-CAfile", files.ca, "-verify_return_error", *own]
