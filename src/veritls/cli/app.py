"""The commands of ``veritls``."""

import typer

from veritls import __version__
from veritls.cli.commands.check import check
from veritls.cli.commands.demo import demo
from veritls.cli.commands.serve import serve

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def veritls() -> None:
    """TLS for Python that verifies peers exactly and says why."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


for _command in (demo, serve, check):
    app.command()(_command)
