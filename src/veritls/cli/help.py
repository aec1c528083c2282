"""How every command shows its help: its options in groups, and examples that keep their lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

_NAMES = {"help_option_names": ["--help", "-h"]}


class _Command(TyperCommand):
    """A command whose options stand under the `rich_help_panel` that each was given, the others last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        others: list[tuple[str, str]] = []
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx)
            if record is None:
                continue
            names, words = record
            if each.param_type_name == "argument":
                names = each.metavar or names
                rows = groups.setdefault("Arguments", [])
            else:
                group = getattr(each, "rich_help_panel", None)
                rows = groups.setdefault(group, []) if group else others
            rows.append((names, words))
        for title, rows in [*groups.items(), ("Options", others)]:
            with formatter.section(title):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Examples"):
            for line in (self.epilog or "").splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def application(callback: Callable[..., None]) -> typer.Typer:
    """The application of the commands, whose own options `callback` takes. Its help is plain text."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich's panels leave a third of 80 columns to the words
        context_settings=_NAMES,
    )
    app.callback()(callback)
    return app


def add(app: typer.Typer, entry: Callable[..., None], examples: str) -> None:
    """Adds the command that `entry` is: its name, options and docstring. `examples`: command lines."""
    app.command(cls=_Command, epilog=examples, context_settings=_NAMES)(entry)
