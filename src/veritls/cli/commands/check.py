"""``veritls check``: its options."""

from pathlib import Path
from typing import Annotated

import typer

from veritls.cli import check as checking
from veritls.cli.console import console
from veritls.cli.options import (
    CONNECTION,
    OUTPUT,
    TRUST,
    Allowed,
    At,
    CAFiles,
    CRLChain,
    CRLFiles,
    OnlyFailing,
    PartialChain,
    Pins,
    StartTLSProtocol,
    Strict,
    Trust,
    WarnDays,
    argument,
    host_name,
    json_lines,
    moment,
    timeout_option,
    wrong_usage,
)
from veritls.cli.probe import Probe
from veritls.cli.result import status_of
from veritls.cli.target import PORTS, Target, in_file, parse

EXAMPLES = """\
veritls check example.org
veritls check db.internal:5432 --starttls postgres --ca ca.pem
veritls check api.internal --ca ca.pem --cert me.pem
veritls check --file hosts.txt --only-failing --warn-days 14
cut -d, -f1 hosts.csv | veritls check --file - --json
veritls check node.internal --ca ca.pem --allow 'spiffe://example.org/node/*'
"""


def _targets(hosts: list[str], file: Path | None, protocol: str | None) -> list[Target]:
    """Every target once, in the order given. Raises ValueError, saying what is wrong with which argument."""
    targets = [parse(host, PORTS[protocol]) for host in hosts]
    if file is not None:
        with argument("--file", file):
            targets += in_file(file, PORTS[protocol])
    if not targets and file is not None:
        raise ValueError(f"--file {file}: there is no HOST in it")
    if not targets:
        raise ValueError("no HOST is given: name one, or a --file of them")
    return list(dict.fromkeys(targets))


def check(
    hosts: Annotated[
        list[str] | None,
        typer.Argument(metavar="HOST[:PORT]", help="Servers. IPv6 addresses in []."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of more servers, one per line; # begins a comment; - is standard input.",
            rich_help_panel=CONNECTION,
        ),
    ] = None,
    starttls: StartTLSProtocol = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Host name to ask for and to verify, instead of HOST.",
            rich_help_panel=CONNECTION,
        ),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="PEM file of the client certificate to send, with its chain.",
            rich_help_panel=CONNECTION,
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="PEM file of the client certificate's key, if it is not in --cert.",
            rich_help_panel=CONNECTION,
        ),
    ] = None,
    timeout: Annotated[float, timeout_option("For each connection.")] = 10.0,
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            max=256,
            metavar="NUMBER",
            help="Servers to check at a time.",
            rich_help_panel=CONNECTION,
        ),
    ] = 16,
    ca: CAFiles = None,
    partial_chain: PartialChain = False,
    crl: CRLFiles = None,
    crl_chain: CRLChain = False,
    require_ocsp: Annotated[
        bool,
        typer.Option(
            "--require-ocsp",
            help="The server must staple a good OCSP response.",
            rich_help_panel=TRUST,
        ),
    ] = False,
    strict: Strict = False,
    pin: Pins = None,
    allow: Allowed = None,
    at: At = None,
    warn_days: WarnDays = None,
    only_failing: OnlyFailing = False,
    as_json: Annotated[bool, json_lines("Print one line of JSON per server.")] = False,
    chain: Annotated[
        bool,
        typer.Option(
            "--chain",
            help="Print the certificates that the server sent, too, as PEM.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
) -> None:
    """Connect to servers and report whether they are trusted, and why.

    Exits with 0 (all are trusted), 1 (one is not trusted), 2 (no connection, or wrong arguments), 3 (a
    certificate of a path has fewer than --warn-days left) or 4 (trusted, but the server refuses the client:
    it wants a certificate, or another one). Of several servers the gravest counts: 1, 2, 4, 3. 141: what
    reads the output has closed it.

    Sends no data to a server. Connects a second time, without verification, to a server that is not trusted,
    to see what can be negotiated with it; and by Python's own ssl, without verification, to one with which
    veritls has nothing in common, to see what it speaks.
    """
    try:
        targets = _targets(hosts or [], file, starttls)
        if key is not None and cert is None:
            raise ValueError("--key needs --cert, the certificate of that key")
        moment_at = moment(at)
        if require_ocsp and moment_at is not None:
            raise ValueError("--require-ocsp and --at exclude each other: a stapled response is about now")
        probe = Probe(
            starttls=starttls,
            trust=Trust(
                ca=ca or (),
                crl=crl or (),
                crl_chain=crl_chain,
                strict=strict,
                partial_chain=partial_chain,
                pins=pin or (),
                allowed=allow or (),
            ),
            require_ocsp=require_ocsp,
            certificate=cert,
            key=key,
            name=host_name(name),
            at=moment_at,
            warn_days=warn_days,
            timeout=timeout,
        )
    except (OSError, ValueError, OverflowError) as why:
        raise wrong_usage("check", why) from None
    results = checking.check_all(targets, probe, jobs, console(stderr=True))
    if as_json:
        checking.print_json(checking.failing(results) if only_failing else results)
    else:
        checking.show(results, console(), with_chain=chain, only_failing=only_failing)
    raise typer.Exit(status_of(results))
