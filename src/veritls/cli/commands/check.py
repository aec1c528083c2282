"""``veritls check``: its options."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from veritls._report.rendering import plain
from veritls.cli import check as checking
from veritls.cli.console import console
from veritls.cli.probe import Probe, argument
from veritls.cli.target import PORTS, Target, in_file, parse


class StartTLS(StrEnum):
    """The protocols that `--starttls` takes."""

    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
    FTP = "ftp"
    POSTGRES = "postgres"


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
    results = checking.check_all(targets, probe, jobs, console(stderr=True))
    if as_json:
        checking.print_json(results)
    else:
        checking.show(results, console(), with_chain=chain)
    raise typer.Exit(checking.status_of(results))
