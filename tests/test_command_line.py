"""What all commands of ``veritls`` have in common: help, completion, colours, wrong usage, the version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import veritls
from tests.support.terminals import on_a_terminal
from veritls.cli import CLOSED_PIPE
from veritls.cli.app import app
from veritls.cli.options import matcher, moment

COMMANDS = sorted(command.callback.__name__ for command in app.registered_commands if command.callback)
VERITLS = Path(sys.executable).parent / "veritls"


def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments), prog_name="veritls", env={"COLUMNS": "80", **environment})
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("command", [None, *COMMANDS])
@pytest.mark.parametrize("columns", ["80", "100"])
def test_the_help_of_every_command_fits_80_columns(command: str | None, columns: str) -> None:
    code, out, _ = run(*([command] if command else []), "--help", COLUMNS=columns)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples_each_in_a_line(command: str) -> None:
    examples = run(command, "--help")[1].partition("\nExamples:\n")[2].splitlines()
    assert examples
    assert all(f"veritls {command}" in line for line in examples), examples


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_every_command_name_options_that_it_has(command: str) -> None:
    options, _, examples = run(command, "--help")[1].partition("\nExamples:\n")
    used = {word for line in examples.splitlines() for word in line.split() if word.startswith("--")}
    assert used <= {*options.split(), "--help"}


def test_options_are_in_groups_and_only_those_without_one_are_called_options() -> None:
    lines = run("check", "--help")[1].splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Arguments:", "How to connect:", "Whom to trust:", "Output:", "Options:", "Examples:"]


@pytest.mark.parametrize("argument", ["--version", "version"])
def test_the_version_is_printed(argument: str) -> None:
    assert run(argument) == (0, f"{veritls.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["--nonsense"], ["check", "--nonsense"], ["check", "--jobs", "0", "host"], ["serve"]],
)
def test_wrong_usage_exits_with_2_and_a_sentence(arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err and "Traceback" not in err


def completed(line: str, folder: Path) -> list[str]:
    """What bash completes `line` to, with the script that the program shows."""
    script = """
        eval "$(veritls --show-completion)"
        read -ra COMP_WORDS <<<"$LINE"
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        "$(complete -p veritls | sed 's/.*-F \\([^ ]*\\).*/\\1/')" veritls
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = folder / "complete.bash"
    path.write_text(script)
    environment = {**os.environ, "LINE": line, "PATH": f"{VERITLS.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", str(path)], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(not VERITLS.exists(), reason="the program is not installed beside this interpreter")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    assert completed("veritls ch", tmp_path) == ["check"]
    assert completed("veritls check --partial", tmp_path) == ["--partial-chain"]


def shown_on_a_terminal(**environment: str) -> str:
    """What ``veritls check`` of a port that nobody listens on prints on a terminal."""
    return on_a_terminal(
        [sys.executable, "-m", "veritls", "check", "--timeout", "5", "127.0.0.1:1"], environment=environment
    )


def test_there_is_colour_on_a_terminal_and_none_with_no_color() -> None:
    assert "\x1b[1;33m" in shown_on_a_terminal()
    assert "33m" not in shown_on_a_terminal(NO_COLOR="1")


@pytest.mark.parametrize("environment", [{}, {"TERM": "xterm-256color", "COLORTERM": "truecolor"}])
def test_there_is_no_colour_where_there_is_no_terminal(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "veritls", "check", "--timeout", "5", "127.0.0.1:1"]
    given = {key: each for key, each in os.environ.items() if key != "FORCE_COLOR"}
    done = subprocess.run(command, capture_output=True, timeout=60, env={**given, **environment})
    assert b"no connection" in done.stdout and b"\x1b" not in done.stdout + done.stderr


SHOWN = [
    ["--help"],
    ["--show-completion", "bash"],
    ["version"],
    ["check", "--help"],
    ["check", "--timeout", "5", "127.0.0.1:1"],
    ["check", "--timeout", "5", "--json", "127.0.0.1:1"],
    ["verify", os.devnull],
    ["audit", "--timeout", "5", "127.0.0.1:1"],
    ["audit", "--timeout", "5", "--json", "127.0.0.1:1"],
    ["demo"],
    ["serve", "--help"],
    ["doctor", "--rules"],
    ["doctor", __file__],
]
"""Command lines that print something."""


def into(stdout: int | None, arguments: list[str], **environment: str) -> tuple[int, bytes]:
    """The status of a command whose stdout is that descriptor, or closed, and what comes on stderr."""
    command = [sys.executable, "-m", "veritls", *arguments]
    if stdout is None:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    given = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, timeout=60, env={**given, **environment}
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("buffered", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
def test_a_pipe_that_is_closed_early_is_141_which_no_result_is(
    arguments: list[str], buffered: dict[str, str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, error = into(writer, arguments, **buffered)
    finally:
        os.close(writer)
    assert (code, error) == (CLOSED_PIPE, b"")


@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
def test_without_a_stdout_the_status_is_the_same(arguments: list[str]) -> None:
    with open(os.devnull, "wb") as nothing:
        assert into(None, arguments) == into(nothing.fileno(), arguments)


@pytest.mark.parametrize("command", ["check", "verify", "audit", "demo", "doctor"])
def test_the_help_of_every_command_with_results_says_141(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "veritls", command, "--help"], capture_output=True, text=True, timeout=60
    )
    assert str(CLOSED_PIPE) in done.stdout


def test_a_date_is_iso_8601_or_a_time_from_now() -> None:
    week, hour = moment("+7d"), moment("+7h")
    assert week is not None and hour is not None and (week - hour).total_seconds() // 3600 in (160, 161)
    for text in (
        *("+7", "7d", "+d", "+-7d", "+7m", "+9999999d", "+\u0667d", "-7d", "", "tomorrow", "+7d\n"),
        *("1969-12-31", "+3000000d", "+99999999999d", "9999-12-31T23:59-14:00x"),
    ):
        with pytest.raises(ValueError, match="--at "):
            moment(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DNS:*.example.org", "DNS *.example.org"),
        ("IP:10.0.0.0/8", "network 10.0.0.0/8"),
        ("URI:urn:a:b", "URI urn:a:b"),
        ("email:ann@example.org", "email ann@example.org"),
        ("spiffe://example.org/node/*", "SPIFFE spiffe://example.org/node/*"),
    ],
)
def test_a_name_to_allow_is_written_with_its_kind(text: str, shown: str) -> None:
    assert str(matcher(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "example.org", "dns:x", "DNS:*.*.x", "IP:10.0.0.1/8", "spiffe://a/**/b"]
)
def test_what_is_no_name_to_allow_is_refused_in_words_of_the_command(text: str) -> None:
    with pytest.raises(ValueError, match="--allow ") as caught:
        matcher(text)
    assert not any(word in str(caught.value) for word in ("DNSPattern", "Network(", "SPIFFE("))


def test_every_command_is_a_typer_command() -> None:
    assert isinstance(app, typer.Typer) and {"check", "serve", "run", "demo", "version"} <= set(COMMANDS)
