"""`veritls demo`: the table, its exit status, and that it can tell a broken policy from a sound one."""

import io
import re
import ssl
import subprocess
import sys

import pytest
from rich.console import Console

from veritls import policy
from veritls._value import replace
from veritls.cli import MISSING
from veritls.cli.cases import cases
from veritls.cli.demo import demonstrate


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60)


def _demonstrate(width: int = 120) -> tuple[bool, str]:
    out = io.StringIO()
    right = demonstrate(ssl.TLSVersion.TLSv1_3, Console(file=out, width=width))
    return right, out.getvalue()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_demonstration_exits_0_and_shows_every_mode_on_both_sides(version: str) -> None:
    done = _run("-m", "veritls", "demo", "--tls", version)
    assert done.returncode == 0, done.stdout + done.stderr
    for mode in ("CERT_NONE", "CERT_OPTIONAL", "CERT_REQUIRED"):
        assert (
            sum(
                line.startswith(f" {mode} ") or line.startswith(f"{mode} ")
                for line in done.stdout.splitlines()
            )
            == 2
        ), done.stdout
    assert f"TLS {version}" in done.stdout
    assert "WRONG" not in done.stdout
    assert "\x1b" not in done.stdout and "…" not in done.stdout


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_name_of_an_error_is_broken_in_two_to_fit_a_terminal(width: int) -> None:
    right, shown = _demonstrate(width)
    assert right and max(map(len, shown.splitlines())) <= width
    words = set(shown.replace(":", " ").split())
    assert {"SSLCertVerificationError", "SSLV3_ALERT_BAD_CERTIFICATE", "TLSV1_ALERT_UNKNOWN_CA"} <= words
    assert not [word for word in words if word.startswith("SSLCert") and word != "SSLCertVerificationError"]
    assert words >= {"CERT_NONE", "CERT_OPTIONAL", "CERT_REQUIRED", "server", "client"}


def test_the_rows_hold_every_side_and_mode() -> None:
    assert {(case.side == "server", case.mode) for case in cases()} == set(policy.RULES)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ((True, ssl.CERT_REQUIRED), {"require": False}),
        ((True, ssl.CERT_REQUIRED), {"validate": False}),
        ((True, ssl.CERT_OPTIONAL), {"validate": False}),
        ((True, ssl.CERT_OPTIONAL), {"require": True}),
        ((True, ssl.CERT_NONE), {"request": True}),
        ((False, ssl.CERT_NONE), {"validate": True}),
        ((False, ssl.CERT_OPTIONAL), {"validate": False, "name_matters": False}),
        ((False, ssl.CERT_REQUIRED), {"name_matters": False}),
    ],
)
@pytest.mark.parametrize("width", [80, 120])
def test_a_broken_policy_shows_as_wrong_rows(
    monkeypatch: pytest.MonkeyPatch, key: tuple[bool, ssl.VerifyMode], change: dict[str, bool], width: int
) -> None:
    monkeypatch.setitem(policy.RULES, key, replace(policy.RULES[key], **change))
    right, shown = _demonstrate(width)
    assert not right
    assert re.search(r"^ ?WRONG | WRONG *$", shown, re.M) and "WRONG: " in shown


def test_the_command_exits_1_where_the_policy_is_broken() -> None:
    done = _run(
        "-c",
        "import ssl, sys; from veritls import policy; from veritls._value import replace\n"
        "from veritls.cli import main\n"
        "key = (True, ssl.CERT_REQUIRED)\n"
        "policy.RULES[key] = replace(policy.RULES[key], require=False)\n"
        "sys.argv = ['veritls', 'demo']\n"
        "main()",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG" in done.stdout


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_the_command_says_what_to_install_where_typer_or_rich_is_missing(missing: str) -> None:
    done = _run("-c", f"import sys; sys.modules[{missing!r}] = None\nfrom veritls.cli import main\nmain()")
    assert done.returncode == 2
    assert done.stderr.strip() == MISSING
