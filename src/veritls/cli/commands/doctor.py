"""``veritls doctor``: for the list of commands. `veritls.cli.main` runs it without typer."""

from typing import Annotated

import typer

EXAMPLES = """\
veritls doctor app.py
veritls doctor src tests
"""


def doctor(
    programs: Annotated[
        list[str], typer.Argument(metavar="PROGRAM...", help="Files, folders or installed packages.")
    ],
) -> None:
    """Read programs, and say what they do with ssl that differs here."""
    from veritls._doctor.command import doctor as read

    read(programs)
