"""``veritls verify``: its options."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from veritls.cli import verifying
from veritls.cli.certificate_files import inputs
from veritls.cli.console import console
from veritls.cli.options import (
    Allowed,
    At,
    CAFiles,
    CRLChain,
    CRLFiles,
    OnlyFailing,
    PartialChain,
    Pins,
    Strict,
    Trust,
    WarnDays,
    argument,
    host_name,
    json_lines,
    moment,
    wrong_usage,
)
from veritls.cli.reading import password_in
from veritls.cli.verified import status_of

EXAMPLES = """\
veritls verify chain.pem --ca ca.pem --name db.internal
veritls verify new.pem --name example.org --at +14d
veritls verify me.p12 --password-file pw --purpose client --ca ca.pem
veritls verify /etc/ssl/sites --ca ca.pem --only-failing --warn-days 30
ssh web cat chain.pem | veritls verify - --name web.internal --json
"""
_FILES = "What to verify"
_JOBS = 4


class Purpose(StrEnum):
    """What `--purpose` takes."""

    SERVER = "server"
    CLIENT = "client"


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|FOLDER",
            help="Chains: PEM, the certificate itself first, DER or PKCS#12. - is stdin. A folder stands for "
            "every file in it.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The host name that a server's certificate must be for. Without it, none is checked.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    purpose: Annotated[
        Purpose,
        typer.Option(
            metavar="PURPOSE",
            help="Whose certificates they are: server, the default, or client.",
            rich_help_panel=_FILES,
            show_default=False,
        ),
    ] = Purpose.SERVER,
    intermediates: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Certificates that help to build paths and are not trusted; repeatable.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The password of PKCS#12 files is its first line.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            min=1, max=64, metavar="NUMBER", help="Files to verify at a time.", rich_help_panel=_FILES
        ),
    ] = _JOBS,
    ca: CAFiles = None,
    partial_chain: PartialChain = False,
    crl: CRLFiles = None,
    crl_chain: CRLChain = False,
    strict: Strict = False,
    pin: Pins = None,
    allow: Allowed = None,
    at: At = None,
    warn_days: WarnDays = None,
    only_failing: OnlyFailing = False,
    as_json: Annotated[bool, json_lines("Print one line of JSON per file.")] = False,
) -> None:
    """Report whether chains in files would be trusted, and why.

    Exits with 0 (all are trusted), 1 (one is not trusted), 2 (a file cannot be read, there is no certificate,
    or wrong arguments) or 3 (a certificate of a path has fewer than --warn-days left). Of several files the
    gravest counts: 1, 2, 3. 141: what reads the output has closed it. What is no certificate in a folder is
    named, and changes nothing. Connects to nothing.
    """
    try:
        if name is not None and purpose is Purpose.CLIENT:
            raise ValueError("--name is for servers: a client's certificate is for no host; give --allow")
        trust = Trust(
            ca=ca or (),
            crl=crl or (),
            crl_chain=crl_chain,
            strict=strict,
            partial_chain=partial_chain,
            pins=pin or (),
            allowed=allow or (),
        )
        context = trust.context()
        for path in intermediates or ():
            with argument("--intermediates", path):
                context.load_intermediates(path)
        with argument("--password-file", password_file or Path()):
            password = password_in(password_file) if password_file is not None else None
        question = verifying.Question(
            context, purpose.value, host_name(name), moment(at), password, warn_days
        )
        found = inputs(files)
    except (OSError, ValueError, OverflowError) as why:
        raise wrong_usage("verify", why) from None
    results = verifying.verify_all(found, question, jobs, console(stderr=True))
    if as_json:
        verifying.print_json(verifying.failing(results) if only_failing else results)
    else:
        verifying.show(results, console(), only_failing=only_failing)
    raise typer.Exit(status_of(results))
