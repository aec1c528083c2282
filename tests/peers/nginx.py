"""nginx, which is only a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import Files
from tests.peers.cases import NONE, OPTIONAL, REQUIRED, Case, Outcome
from tests.peers.peer import Peer, Serving, lacking, listening, server_certificate

DEMANDS = {NONE: "off", OPTIONAL: "optional", REQUIRED: "on"}

CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log stderr info;
events {{ }}
http {{
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    log_format seen "request answered $status, certificate $ssl_client_verify $ssl_client_s_dn";
    access_log /dev/stderr seen;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {own}; ssl_certificate_key {own}; ssl_protocols {version};
        ssl_client_certificate {ca}; ssl_verify_client {demand};
        return 200 "pong\\n";
    }}
}}
"""


class Nginx(Peer):
    """Ends every handshake that proves the client's key, and refuses a certificate in its HTTP reply."""

    name = "nginx"
    version_command = ("nginx", "-v")
    roles = frozenset({"server"})
    request = b"GET / HTTP/1.0\r\n\r\n"
    refusal = b"400 Bad Request"
    tells = frozenset({"certificate", "which alert"})
    resumes = roles

    def missing(self) -> str | None:
        return lacking("nginx")

    def connect(self, case: Case, files: Files, port: int) -> Outcome:
        raise NotImplementedError

    @contextmanager
    def serve(self, case: Case, files: Files) -> Iterator[Serving]:
        with TemporaryDirectory(dir=files.ca.parent) as folder:
            path = Path(folder, "nginx.conf")

            def arguments(port: int) -> list[str | Path]:
                values = {
                    "folder": folder,
                    "port": port,
                    "own": server_certificate(files, case),
                    "ca": files.ca,
                    "version": case.version.name.replace("_", "."),
                    "demand": DEMANDS[case.mode],
                }
                path.write_text(CONFIGURATION.format(**values))
                return ["nginx", "-e", "stderr", "-p", folder, "-c", path]

            with listening(arguments, "event method") as (program, port):

                def finish() -> Outcome:
                    detail = program.take("request answered .*\n|while SSL handshaking.*\n")
                    return Outcome("request answered 200" in detail, detail)

                yield Serving(port, finish)
