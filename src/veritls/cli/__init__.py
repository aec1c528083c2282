"""The command line, from the extra ``cli``."""

import sys

MISSING = "the command line needs: pip install 'veritls[cli]'"


def main() -> None:
    """Runs the command ``veritls``; exits with 2 and a sentence where typer or rich is not installed."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print(MISSING, file=sys.stderr)
        raise SystemExit(2) from None
    from veritls.cli.app import app

    app(prog_name="veritls")
