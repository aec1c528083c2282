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
from veritls.cli import check as checking
from veritls.cli.demo import demonstrate
from veritls.cli.probe import Probe
from veritls.cli.target import PORTS, Target, listed, parse

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

_PIPED_WIDTH = 120


class Version(StrEnum):
    """The TLS versions on offer."""

    TLS12 = "1.2"
    TLS13 = "1.3"


class StartTLS(StrEnum):
    """The protocols that start TLS by a command."""

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
    """TLS for Python with an exact and explainable decision to trust a peer."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def demo(tls: Version = typer.Option(Version.TLS13, help="The version of TLS to speak.")) -> None:  # noqa: B008
    """Show what each verify_mode does, on real connections. Exits 0 only if every row is as it must be."""
    spoken = ssl.TLSVersion.TLSv1_3 if tls is Version.TLS13 else ssl.TLSVersion.TLSv1_2
    raise typer.Exit(0 if demonstrate(spoken, _console()) else 1)


def _moment(text: str | None) -> datetime | None:
    """A day or a moment in ISO 8601, in UTC where it names no zone. Raises ValueError."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if moment.timestamp() < 0:
        raise ValueError("it is before 1970")
    return moment


def _targets(hosts: list[str], file: Path | None, protocol: str | None) -> list[Target]:
    """Every target once, in the order in which they came. Raises OSError and ValueError."""
    targets = [parse(host, PORTS[protocol]) for host in hosts]
    targets += listed(file, PORTS[protocol]) if file is not None else []
    if not targets:
        raise ValueError("no HOST is given")
    return list(dict.fromkeys(targets))


@app.command()
def check(
    hosts: Annotated[list[str] | None, typer.Argument(metavar="HOST[:PORT]...", help="IPv6 in [].")] = None,
    file: Annotated[Path | None, typer.Option(help="More of them, one a line; # begins a comment.")] = None,
    starttls: Annotated[StartTLS | None, typer.Option(help="Start TLS by the command of a protocol.")] = None,
    ca: Annotated[
        list[Path] | None, typer.Option(help="PEM file of whom to trust, instead of the system; repeatable.")
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(help="PEM file of a certificate to show, with its chain.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its key, where that is another file.")] = None,
    name: Annotated[str | None, typer.Option(help="The name to ask for, where it is not HOST.")] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="Judge as of then (ISO 8601, UTC), without a stapled OCSP response."
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds for each connection.")] = 10.0,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Servers at a time.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each server.")] = False,
    chain: Annotated[
        bool, typer.Option("--chain", help="The certificates that were sent, too, as PEM.")
    ] = False,
) -> None:
    """Connect to servers and report whether they are trusted, and why.

    Exits with 0, 1 (not trusted) or 2 (could not connect, or wrong arguments). Nothing is sent to a server
    after the handshake. One that is not trusted is connected to once more, without demands, to see what can
    be agreed on with it.
    """
    try:
        targets = _targets(hosts or [], file, starttls)
        if key is not None and cert is None:
            raise ValueError("--key needs --cert")
        probe = Probe(
            starttls=starttls,
            authorities=tuple(ca or ()),
            certificate=cert,
            key=key,
            name=name,
            at=_moment(at),
            timeout=timeout,
        )
    except (OSError, ValueError, OverflowError) as why:
        typer.echo(f"veritls check: {plain(str(why), 500)}", err=True)
        raise typer.Exit(2) from None
    results = checking.look_at(targets, probe, jobs, _console(stderr=True))
    if as_json:
        checking.print_json(results)
    else:
        checking.show(results, _console(), with_chain=chain)
    raise typer.Exit(checking.status_of(results))
