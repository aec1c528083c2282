"""``veritls demo``: its options."""

import ssl
from enum import StrEnum
from typing import Annotated

import typer

from veritls.cli.console import console
from veritls.cli.demo import demonstrate

EXAMPLES = """\
veritls demo
veritls demo --tls 1.2
"""


class Version(StrEnum):
    """The TLS versions that `--tls` takes."""

    TLS12 = "1.2"
    TLS13 = "1.3"


def demo(tls: Annotated[Version, typer.Option(help="The TLS version to use.")] = Version.TLS13) -> None:
    """Show what each verify_mode does, on real connections.

    Exits with 0, or with 1 if a row is WRONG. 141: what reads the output has closed it.
    """
    spoken = ssl.TLSVersion.TLSv1_3 if tls is Version.TLS13 else ssl.TLSVersion.TLSv1_2
    raise typer.Exit(0 if demonstrate(spoken, console()) else 1)
