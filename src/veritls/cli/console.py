"""The console that every command prints to."""

from rich.console import Console

_PIPED_WIDTH = 120


def console(*, stderr: bool = False) -> Console:
    """A console of stdout or stderr; into a pipe, its lines are at least 120 columns."""
    made = Console(highlight=False, stderr=stderr)
    if not made.is_terminal:
        made.width = max(made.width, _PIPED_WIDTH)
    return made
