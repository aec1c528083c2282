"""The commands of ``veritls``."""

from typing import Annotated

import typer

from veritls import __version__
from veritls.cli.commands import audit, check, demo, doctor, run, serve, verify
from veritls.cli.help import add, application


def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


def veritls(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """TLS for Python that verifies peers exactly and says why."""


app = application(veritls)
add(app, check.check, check.EXAMPLES)
add(app, verify.verify, verify.EXAMPLES)
add(app, audit.audit, audit.EXAMPLES)
add(app, serve.serve, serve.EXAMPLES)
add(app, run.run, run.EXAMPLES)
add(app, doctor.doctor, doctor.EXAMPLES)
add(app, demo.demo, demo.EXAMPLES)
add(app, version, "veritls version")
