"""``veritls serve``: its options."""

import ssl
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from veritls.cli import serve as serving

EXAMPLES = """\
veritls serve app:app --cert server.pem
veritls serve app:app --cert server.pem --trust clients-ca.pem --require
"""
_FILE = "FILE"
_TLS = "Certificates"


class HTTP(StrEnum):
    """What `--http` takes."""

    AUTO = "auto"
    H11 = "h11"
    HTTPTOOLS = "httptools"
    HTTP2 = "http2"


def _mode(trust: Path | None, crls: Path | None, require: bool, optional: bool) -> ssl.VerifyMode:
    """Raises ValueError where the options contradict each other."""
    if require and optional:
        raise ValueError("--require and --optional exclude each other: give one of them")
    if trust is None and crls is not None:
        raise ValueError("--crls needs --trust, the CAs of the clients")
    if trust is None and (require or optional):
        raise ValueError("--require and --optional need --trust, the CAs of the clients")
    if trust is not None and not require and not optional:
        raise ValueError("--trust needs --require or --optional: whether a client must have a certificate")
    return ssl.CERT_REQUIRED if require else ssl.CERT_OPTIONAL if optional else ssl.CERT_NONE


def serve(
    application: Annotated[
        str, typer.Argument(metavar="MODULE:APP", help="The ASGI application, like app:app.")
    ],
    cert: Annotated[
        Path,
        typer.Option(
            metavar=_FILE, help="PEM file of the server's certificate, with its chain.", rich_help_panel=_TLS
        ),
    ],
    key: Annotated[
        Path | None,
        typer.Option(
            metavar=_FILE, help="PEM file of its key, if it is not in --cert.", rich_help_panel=_TLS
        ),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            metavar=_FILE, help="PEM file of the CAs whose clients are trusted.", rich_help_panel=_TLS
        ),
    ] = None,
    crls: Annotated[
        Path | None,
        typer.Option(
            metavar=_FILE,
            help="PEM file of their CRLs: a client must not be revoked, and one must cover it.",
            rich_help_panel=_TLS,
        ),
    ] = None,
    require: Annotated[
        bool,
        typer.Option(
            "--require", help="Refuse clients without a certificate of --trust.", rich_help_panel=_TLS
        ),
    ] = False,
    optional: Annotated[
        bool,
        typer.Option(
            "--optional", help="Let clients have a certificate of --trust or none.", rich_help_panel=_TLS
        ),
    ] = False,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="NUMBER", help="Port; 0 takes a free one.")
    ] = 8443,
    http: Annotated[
        HTTP,
        typer.Option(metavar="NAME", help="HTTP implementation of uvicorn: auto, h11, httptools or http2."),
    ] = HTTP.AUTO,
) -> None:
    """Serve an ASGI application over TLS, and follow its certificates.

    uvicorn serves it. The files may be renewed at any time. Refused clients are logged. The application sees
    the client: `veritls.serving.Peer.of(scope)`. Exits with 0 when it is told to end, with 2 for what cannot
    be used.
    """
    try:
        serving.serve(
            application,
            host,
            port,
            cert=cert,
            key=key,
            trust=trust,
            crls=crls,
            mode=_mode(trust, crls, require, optional),
            http=http.value,
        )
    except ValueError as why:
        typer.echo(f"veritls serve: {serving.explained(why)}", err=True)
        raise typer.Exit(2) from None
