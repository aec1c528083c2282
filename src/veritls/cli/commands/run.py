"""``veritls run``: for the list of commands. `veritls.cli.main` runs it without typer."""

from typing import Annotated

import typer

EXAMPLES = """\
veritls run app.py
veritls run -m http.server --help
"""


def run(
    program: Annotated[
        list[str],
        typer.Argument(metavar="PROGRAM...", help="A script, a command or -m MODULE, and its own arguments."),
    ],
) -> None:
    """Run a Python program with veritls in the place of ssl."""
    from veritls._compat.run import run as run_program

    run_program(program)
