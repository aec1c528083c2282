"""curl, which is only a client."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tests.conftest import Files
from tests.peers.cases import VERSIONS, Case, Outcome
from tests.peers.peer import SECONDS, Cannot, Peer, Serving, certificate, lacking, running


class Curl(Peer):
    name = "curl"
    version_command = ("curl", "--version")
    roles = frozenset({"client"})
    resumes = roles
    cannot_resume = (Cannot("client", {"version": VERSIONS[0]}, "takes no tickets in TLS 1.2"),)
    request = b"\r\n\r\n"
    reply = b"HTTP/1.0 200 OK\r\n\r\npong\n"

    def missing(self) -> str | None:
        return lacking("curl")

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        output = self._output(case, files, port, 1)
        return Outcome(output == "pong\n", output)

    def connect_twice(self, case: Case, files: Files, port: int) -> list[Outcome]:
        output = self._output(case, files, port, 2)
        return [Outcome(output.count("pong\n") >= count, output) for count in (1, 2)]

    def _output(self, case: Case, files: Files, port: int, times: int) -> str:
        version = {VERSIONS[0]: "1.2", VERSIONS[1]: "1.3"}[case.version]
        pinned = [f"--tlsv{version}", "--tls-max", version]
        to = ["--resolve", f"localhost:{port}:127.0.0.1", *[f"https://localhost:{port}/"] * times]
        quiet = ["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(SECONDS)]
        shown = certificate(files, case.client)
        own: list[str | Path] = ["--cert", shown] if shown else []
        with running(["curl", *quiet, "--http1.0", *pinned, "--cacert", files.ca, *own, *to]) as program:
            return program.rest()

    def serve(self, case: Case, files: Files) -> AbstractContextManager[Serving]:
        raise NotImplementedError
