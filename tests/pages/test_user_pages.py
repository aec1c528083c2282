"""The other pages for users: their blocks run, with what each page takes for granted."""

from __future__ import annotations

import ast
import asyncio
import base64
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

import veritls
import veritls.sources
from tests.ecosystem.parties import library
from tests.operate.workload_api import Domain, WorkloadAPI, response
from tests.pages.blocks import ROOT, Block, blocks
from tests.pages.outputs import pattern
from tests.pages.story import Story, told
from tests.support.certificates import DAY, NOW, Party, pem
from tests.support.connections import SECONDS, client_context, in_thread
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
    for name in ("ca", "clients-ca", "servers-ca"):
        Path(f"{name}.pem").write_bytes(root.pem)
    for name in ("server", "client"):
        Path(f"{name}.pem").write_bytes(both.identity())
        Path(f"{name}.key").write_bytes(both.key_pem)
    Path("tls").mkdir()
    for name, content in {"tls.crt": both.pem, "tls.key": both.key_pem, "ca.crt": root.pem}.items():
        Path("tls", name).write_bytes(content)
    return tmp_path


@contextmanager
def workload_api(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    domain = Domain("example.org")
    with WorkloadAPI(folder / "agent.sock") as api:
        api.send(response(domain.svid("/server")))
        monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", api.endpoint)
        yield


def block_with(page: str, words: str) -> Block:
    [found] = [block for block in blocks(page) if words in block.text]
    return found


def refused_words(text: str) -> re.Pattern[str]:
    """What matches a message that a page shows in several lines."""
    return pattern(" ".join(text.replace("…", "...").split()))


def missing_intermediate(folder: Path, root: Party) -> str:
    """The error that README.md and docs/index.md show."""
    leaf = Party("R11", root, ca=True).issue("api.internal")
    with pytest.raises(veritls.SSLCertVerificationError) as refused:
        client_context(folder / "ca.pem").verify_chain([leaf.der], server_hostname="api.internal")
    return f"ssl.SSLCertVerificationError: {refused.value}"


def test_the_first_page_of_the_site_runs_and_shows_a_real_message(folder: Path, root: Party) -> None:
    story = Story(folder, players={})
    said = missing_intermediate(folder, root)
    for block in blocks("docs/index.md"):
        if block.language == "text":
            assert refused_words("..." + block.text).fullmatch(said)
        else:
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
    [block] = [block for block in blocks("docs/verification.md") if block.language == "sh"]
    commands = [words for words in block.words() if words[0] == "veritls"]
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


def statements(block: Block, story: Story, names: Callable[[], dict[str, Any]]) -> None:
    """Runs each statement of a list of what can be done, with names of its own."""
    for statement in ast.parse(story.here(block.text)).body:
        module = ast.Module([statement], [])
        exec(compile(module, block.place, "exec"), names())


def test_the_readme_runs_and_shows_a_real_message(
    folder: Path, root: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "crl.pem").write_bytes(pem(root.crl()))
    own, web = root.issue("db.internal"), root.issue("db.internal", x509.UniformResourceIdentifier(WEB))
    (folder / "app.py").write_text("async def app(scope, receive, send): ...\n")
    replaced = {
        "sha256/…": f"sha256/{base64.b64encode(root.pin).decode()}",
        "/etc/pki/crls": str(folder / "crl.pem"),
        '("", 8443)': '("127.0.0.1", 8443)',
        '"db.internal", 8443': '"localhost", 8443',
    }
    story = Story(folder, replaced=replaced)

    def names() -> dict[str, Any]:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.allowed_peers = [veritls.SPIFFE("spiffe://example.org/**")]
        if not following:
            context.load_verify_locations("ca.pem")
        sources = {name: getattr(veritls.sources, name) for name in ("FileSource", "SPIFFESource")}
        return sources | {
            "__name__": "page",
            "veritls": veritls,
            "ssl": veritls,
            "context": context,
            "audit": lambda report: None,
            "data": pkcs12.serialize_key_and_certificates(
                None, own.key, own.certificate, None, NoEncryption()
            ),
            "password": None,
            "chain": [web.der],
            "next_month": NOW + 10 * DAY,
            "listener": lambda event: None,
            "serve": lambda: None,
            "main": lambda: asyncio.sleep(0),
        }

    serving: Future[Any] | None = None
    with workload_api(folder, monkeypatch):
        for block in blocks("README.md"):
            text = story.here(block.text)
            following = "context.follow" in text
            if block.language == "text":
                assert refused_words("..." + block.text).fullmatch(missing_intermediate(folder, root))
            elif ".accept()" in text:
                serving = in_thread(exec, compile(text, block.place, "exec"), {"__name__": "page"})
            elif block.language == "python" and "create_connection" in text:
                assert serving is not None
                until(partial(connects, text), "nobody listens")
                serving.result(SECONDS)
            elif block.language == "python":
                statements(block, story, names)
            elif "veritls serve" in text:
                story.play(
                    replace(block, language="console", mark=("terminal", "server"), text=f"$ {text}...")
                )
            elif "pytest" in text:
                assert "== The README's test command" in (ROOT / ".ci/run").read_text("utf-8")
                story.run(text.replace("&& pytest", ""))
            else:
                story.play(block)
    story.end()
