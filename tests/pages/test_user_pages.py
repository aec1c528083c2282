"""The other pages for users: their blocks run, with what each page takes for granted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import veritls
import veritls.sources
from tests.ecosystem.parties import library
from tests.pages.blocks import ROOT, Block, blocks
from tests.pages.story import Story, told
from tests.support.certificates import Party
from tests.support.connections import SECONDS, in_thread
from tests.support.waiting import until

WEB = "spiffe://example.org/ns/a/sa/web"


@pytest.fixture
def root() -> Party:
    return Party("Root", ca=True)


@pytest.fixture
def folder(root: Party, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that pages name."""
    monkeypatch.chdir(tmp_path)
    both = root.issue("localhost", "db.internal", x509.UniformResourceIdentifier(WEB))
    for name in ("ca", "servers-ca"):
        Path(f"{name}.pem").write_bytes(root.pem)
    for name in ("server", "client"):
        Path(f"{name}.pem").write_bytes(both.identity())
        Path(f"{name}.key").write_bytes(both.key_pem)
    return tmp_path


def block_with(page: str, words: str) -> Block:
    [found] = [block for block in blocks(page) if words in block.text]
    return found


def test_the_first_page_of_the_site_runs(folder: Path) -> None:
    story = Story(folder)
    for block in blocks("docs/index.md"):
        story.play(block)


def test_the_page_about_migrating_runs(folder: Path) -> None:
    (folder / "script.py").write_text(
        "import ssl, sys\nassert ssl.SSLContext.__module__ != 'ssl', sys.argv\n"
    )
    for name in ("package", "some_package", "src"):
        (folder / name).mkdir()
        (folder / name / "__main__.py").write_text((folder / "script.py").read_text())
        (folder / name / "__init__.py").write_text("")
    (folder / "app.py").write_text(
        "import ssl\n\n" * 5 + "context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
        "context.maximum_version = ssl.TLSVersion.TLSv1_1\n"
    )
    shown = block_with("docs/migrating.md", "breaks:")
    story = Story(folder)
    try:
        for block in blocks("docs/migrating.md"):
            if block != shown:
                story.play(block)
        command = f"```console\n$ python -m veritls doctor --no-notes app.py\n{shown.text}...\n```"
        story.play(replace(shown, language="console", text="".join(command.splitlines(keepends=True)[1:-1])))
    finally:
        veritls.extract()
        story.end()


def test_the_commands_of_the_page_about_verification_are_those_of_the_program() -> None:
    scripts = [block for block in blocks("docs/verification.md") if block.language == "sh"]
    commands = [words for block in scripts for words in block.words() if words[0] == "veritls"]
    assert len(commands) >= 4
    for _, *words in commands:
        asked = [sys.executable, "-m", "veritls", *words, "--help"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stderr


def test_the_commands_of_the_page_about_deploying_run(folder: Path, root: Party) -> None:
    library("uvicorn")
    page = "docs/deploying.md"
    serving, rotating = (block for block in blocks(page) if block.language == "console")
    application = replace(block_with(page, "# app.py"), language="python")
    for name, ours in {"tls.crt": "server.pem", "tls.key": "server.key", "ca.crt": "ca.pem"}.items():
        shutil.copy(ours, name)
    story = Story(folder, replaced={"/etc/tls": str(folder)})
    started = replace(
        serving, mark=("terminal", "server"), text=serving.text + "...https://127.0.0.1:8443...\n"
    )
    asking = (
        "$ curl --cacert ca.pem --cert server.pem https://localhost:8443/orders\n"
        + f'{{"spiffe": "{WEB}"}}\n'
    )
    with told([application, started, replace(rotating, text=asking), rotating], story):
        assert len((folder / "fleet-secret").read_text()) == 45


def connects(code: str) -> bool:
    """Runs a client, unless nobody listens yet."""
    try:
        exec(code, {"__name__": "page"})
    except ConnectionRefusedError:
        return False
    return True


def test_the_readme_runs_with_the_names_of_the_tutorial(folder: Path) -> None:
    shutil.copy("client.pem", "alice.pem")
    shutil.copy("client.key", "alice.key")
    story = Story(folder, replaced={'("", 8443)': '("127.0.0.1", 8443)'})
    served: Future[Any] | None = None
    for block in blocks("README.md"):
        code = story.here(block.text)
        if ".accept()" in code:
            served = in_thread(exec, code, {"__name__": "page"})
        elif "create_connection" in code:
            assert served is not None
            until(partial(connects, code), "nobody listens")
            served.result(SECONDS)
        elif "pytest" in code:
            assert "== The README's test command" in (ROOT / ".ci/run").read_text("utf-8")
            story.run(code.replace("&& pytest", ""))
        else:
            story.play(block)
    story.end()
