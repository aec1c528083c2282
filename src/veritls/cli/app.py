"""The commands and their options."""

import ssl
from enum import StrEnum

import typer
from rich.console import Console

from veritls import __version__
from veritls.cli.demo import demonstrate

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

_PIPED_WIDTH = 120


class Version(StrEnum):
    """The TLS versions on offer."""

    TLS12 = "1.2"
    TLS13 = "1.3"


def _console() -> Console:
    console = Console(highlight=False)
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
