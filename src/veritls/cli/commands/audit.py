"""``veritls audit``: its options."""

import json
import ssl
import sys
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from veritls.cli.auditing.preparing import Options, audited
from veritls.cli.auditing.table import show
from veritls.cli.console import console
from veritls.cli.options import CONNECTION, StartTLSProtocol, json_lines, matcher, timeout_option, wrong_usage

EXAMPLES = """\
veritls audit api.internal:8443 --require --ca ca.pem --ca-key ca.key
veritls audit www.internal --require --http / --ca ca.pem --ca-key ca.key
veritls audit api.internal --peer valid=me.pem --peer expired=old.pem
veritls audit myapp.tls:server_context --ca ca.pem --ca-key ca.key
veritls audit myapp.tls:make_client_context --name db.internal --json
"""
_DEMANDS = "What must happen"
_PEERS = "Who is tried"


class Side(StrEnum):
    """What `--side` takes."""

    SERVER = "server"
    CLIENT = "client"


def _mode(require: bool, optional: bool) -> ssl.VerifyMode | None:
    """Raises ValueError where the options contradict each other."""
    if require and optional:
        raise ValueError("--require and --optional exclude each other: give one of them")
    return ssl.CERT_REQUIRED if require else ssl.CERT_OPTIONAL if optional else None


def audit(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="HOST[:PORT]|MODULE:CONTEXT",
            help="A running server; or an SSLContext, or a callable that returns one. Its module is "
            "imported: its code runs.",
        ),
    ],
    require: Annotated[
        bool,
        typer.Option(
            "--require",
            help="The server must refuse clients without a certificate.",
            rich_help_panel=_DEMANDS,
        ),
    ] = False,
    optional: Annotated[
        bool,
        typer.Option(
            "--optional",
            help="The server must let clients have a valid certificate or none. By default a context is held "
            "to its verify_mode, and a server that asks for certificates must refuse invalid ones.",
            rich_help_panel=_DEMANDS,
        ),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only peers of this name must be accepted, such as DNS:web.internal; the first is that of "
            "the valid one; repeatable. By default a context's allowed_peers.",
            rich_help_panel=_DEMANDS,
        ),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PEER=FATE",
            help="What must happen to a peer after all: accepted or refused; repeatable.",
            rich_help_panel=_DEMANDS,
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PEM file of the CA of the peers.", rich_help_panel=_PEERS),
    ] = None,
    ca_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Its key, PEM: certificates that end within the hour are made with it, in memory.",
            rich_help_panel=_PEERS,
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The password of --ca-key is its first line.", rich_help_panel=_PEERS
        ),
    ] = None,
    crl: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A CRL of the CA: a certificate that it revokes must be refused.",
            rich_help_panel=_PEERS,
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PEER=FILE",
            help="PEM file of a peer's certificate, chain and key: valid, other-ca, namesake, self-signed, "
            "leaf-as-ca, expired, not-yet-valid, purpose, other-name, revoked or weak; repeatable.",
            rich_help_panel=_PEERS,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Host name to ask for. Of a client's context: the name that its server must have.",
            rich_help_panel=CONNECTION,
        ),
    ] = None,
    side: Annotated[
        Side | None,
        typer.Option(
            metavar="SIDE",
            help="server or client: whose context it is, where it may be either.",
            rich_help_panel=CONNECTION,
        ),
    ] = None,
    starttls: StartTLSProtocol = None,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Ask for this path, such as /, after the handshake: an answer of HTTP 400, 401, 403, 495 or "
            "496 where the valid peer got another is a refusal.",
            rich_help_panel=CONNECTION,
        ),
    ] = None,
    timeout: Annotated[float, timeout_option("For each handshake.")] = 10.0,
    wait: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=60,
            metavar="SECONDS",
            help="How long a client of TLS 1.3 waits for its refusal before it says that it is done.",
            rich_help_panel=CONNECTION,
        ),
    ] = 1.0,
    as_json: Annotated[bool, json_lines("Print one line of JSON.")] = False,
) -> None:
    """Report whom a server, or a context, lets in that it must refuse.

    Tries each of a table of peers, with TLS 1.3 and TLS 1.2.

    Exits with 0 (nothing fails open), 1 (something does) or 2 (that is not known, or wrong arguments). 141:
    what reads the output has closed it.

    Without the key of the CA, or certificates of --peer, most peers are not tried: an expired certificate of
    an unknown CA is refused for its CA, which proves nothing. Sends nothing after the handshake, unless
    --http is given. The server's own certificate is not verified: veritls check does that.
    """
    try:
        # What a program prints while it is imported and tried is no part of the result.
        with redirect_stdout(sys.stderr):
            result = audited(
                Options(
                    subject=subject,
                    mode=_mode(require, optional),
                    allowed=[matcher(each) for each in allow or ()],
                    expected=expect or (),
                    ca=ca,
                    ca_key=ca_key,
                    password_file=password_file,
                    crl=crl,
                    peers=peer or (),
                    side=side.value if side is not None else None,
                    name=name,
                    starttls=starttls,
                    http=http,
                    timeout=timeout,
                    patience=wait,
                )
            )
    except (OSError, ValueError) as why:
        raise wrong_usage("audit", why) from None
    if as_json:
        print(json.dumps(result.as_dict()))
    else:
        show(result, console())
    raise typer.Exit(result.status)
