"""The command line; all of it but ``run`` is from the extra ``cli``."""

import sys

MISSING = "the command line needs: pip install 'veritls[cli]'"


def main(arguments: list[str] | None = None) -> None:
    """Runs the command ``veritls``; exits with 2 and a sentence where typer or rich is not installed."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["run"]:
        from veritls._compat.run import run

        run(arguments[1:])
        return
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print(MISSING, file=sys.stderr)
        raise SystemExit(2) from None
    from veritls.cli.app import app

    app(arguments, prog_name="veritls")
