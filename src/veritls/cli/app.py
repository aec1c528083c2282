"""The commands and their options."""

import ssl
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from veritls import __version__
from veritls._report.rendering import plain
from veritls.cli import check as checking, serve as serving
from veritls.cli.demo import demonstrate
from veritls.cli.probe import Probe, argument
from veritls.cli.target import PORTS, Target, in_file, parse

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

_PIPED_WIDTH = 120


class Version(StrEnum):
    """The TLS versions that `--tls` takes."""

    TLS12 = "1.2"
    TLS13 = "1.3"


class StartTLS(StrEnum):
    """The protocols that `--starttls` takes."""

    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
    FTP = "ftp"
    POSTGRES = "postgres"


def _console(*, stderr: bool = False) -> Console:
    console = Console(highlight=False, stderr=stderr)
    if not console.is_terminal:
        console.width = max(console.width, _PIPED_WIDTH)
    return console


@app.callback()
def veritls() -> None:
    """TLS for Python that verifies peers exactly and says why."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def demo(tls: Annotated[Version, typer.Option(help="The TLS version to use.")] = Version.TLS13) -> None:
    """Show what each verify_mode does, on real connections. Exits with 0, or with 1 if a row is WRONG."""
    spoken = ssl.TLSVersion.TLSv1_3 if tls is Version.TLS13 else ssl.TLSVersion.TLSv1_2
    raise typer.Exit(0 if demonstrate(spoken, _console()) else 1)


class HTTP(StrEnum):
    """What `--http` takes."""

    AUTO = "auto"
    H11 = "h11"
    HTTPTOOLS = "httptools"
    HTTP2 = "http2"


def _mode(trust: Path | None, require: bool, optional: bool) -> ssl.VerifyMode:
    """Raises ValueError where the options contradict each other."""
    if require and optional:
        raise ValueError("--require and --optional exclude each other: give one of them")
    if trust is None and (require or optional):
        raise ValueError("--require and --optional need --trust, the CAs of the clients")
    if trust is not None and not require and not optional:
        raise ValueError("--trust needs --require or --optional: whether a client must have a certificate")
    return ssl.CERT_REQUIRED if require else ssl.CERT_OPTIONAL if optional else ssl.CERT_NONE


@app.command()
def serve(
    application: Annotated[
        str, typer.Argument(metavar="MODULE:APP", help="The ASGI application, like app:app.")
    ],
    cert: Annotated[Path, typer.Option(help="PEM file of the server's certificate, with its chain.")],
    key: Annotated[Path | None, typer.Option(help="PEM file of its key, if it is not in --cert.")] = None,
    trust: Annotated[Path | None, typer.Option(help="PEM file of the CAs whose clients are trusted.")] = None,
    crls: Annotated[Path | None, typer.Option(help="PEM file of their CRLs.")] = None,
    require: Annotated[
        bool, typer.Option("--require", help="Refuse clients without a certificate of --trust.")
    ] = False,
    optional: Annotated[
        bool, typer.Option("--optional", help="Let clients have a certificate of --trust or none.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8443,
    http: Annotated[HTTP, typer.Option(help="HTTP implementation of uvicorn.")] = HTTP.AUTO,
) -> None:
    """Serve an ASGI application over TLS with uvicorn, and follow the files of its certificates.

    The files may be renewed at any time. Refused clients are logged. The application sees the client:
    `veritls.serving.Peer.of(scope)`. Exits with 0 when it is told to end, with 2 for what cannot be used.
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
            mode=_mode(trust, require, optional),
            http=http.value,
        )
    except ValueError as why:
        typer.echo(f"veritls serve: {serving.explained(why)}", err=True)
        raise typer.Exit(2) from None


def _moment(text: str | None) -> datetime | None:
    """A day or a moment in ISO 8601, in UTC where it names no zone. Raises ValueError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = "2027-01-31 or 2027-01-31T12:00"
        raise ValueError(f"--at {text!r} is not a date in ISO 8601: give one like {example}") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if moment < datetime(1970, 1, 1, tzinfo=UTC):
        raise ValueError(f"--at {text} is before 1970: give a later date")
    return moment


def _targets(hosts: list[str], file: Path | None, protocol: str | None) -> list[Target]:
    """Every target once, in the order given. Raises ValueError, saying what is wrong with which argument."""
    targets = [parse(host, PORTS[protocol]) for host in hosts]
    if file is not None:
        with argument("--file", file):
            targets += in_file(file, PORTS[protocol])
    if not targets:
        raise ValueError("no HOST is given: name one, or a --file of them")
    return list(dict.fromkeys(targets))


@app.command()
def check(
    hosts: Annotated[
        list[str] | None, typer.Argument(metavar="HOST[:PORT]...", help="IPv6 addresses in [].")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="File of more servers, one per line; # begins a comment.")
    ] = None,
    starttls: Annotated[
        StartTLS | None, typer.Option(help="Start TLS by the command of this protocol.")
    ] = None,
    ca: Annotated[
        list[Path] | None,
        typer.Option(help="PEM file of CAs to trust instead of the system's; repeatable."),
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(help="PEM file of the client certificate to send, with its chain.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM file of the client certificate's key, if it is not in --cert.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Host name to ask for and to verify, instead of HOST.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="Verify as of this date (ISO 8601, UTC); ignores a stapled OCSP response."
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds for each connection.")] = 10.0,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Servers to check at a time.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per server.")] = False,
    chain: Annotated[
        bool, typer.Option("--chain", help="Print the certificates that the server sent, too, as PEM.")
    ] = False,
) -> None:
    """Connect to servers and report whether they are trusted, and why.

    Exits with 0 (all are trusted), 1 (one is not trusted) or 2 (could not connect, or wrong arguments). Sends
    nothing to a server after the handshake. Connects a second time, without verification, to a server that is
    not trusted, to see what can be negotiated with it.
    """
    try:
        targets = _targets(hosts or [], file, starttls)
        if key is not None and cert is None:
            raise ValueError("--key needs --cert, the certificate of that key")
        probe = Probe(
            starttls=starttls,
            ca_files=tuple(ca or ()),
            certificate=cert,
            key=key,
            name=name,
            at=_moment(at),
            timeout=timeout,
        )
    except (OSError, ValueError, OverflowError) as why:
        typer.echo(f"veritls check: {plain(str(why), 500)}", err=True)
        raise typer.Exit(2) from None
    results = checking.check_all(targets, probe, jobs, _console(stderr=True))
    if as_json:
        checking.print_json(results)
    else:
        checking.show(results, _console(), with_chain=chain)
    raise typer.Exit(checking.status_of(results))
