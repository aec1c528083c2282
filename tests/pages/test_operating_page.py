"""docs/operating.md: each block runs in a process of its own, after what the page takes for granted."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ecosystem.parties import library
from tests.operate.workload_api import Domain, WorkloadAPI, response
from tests.pages.blocks import ROOT, Block, blocks
from tests.pages.outputs import pattern, plain
from tests.pages.story import Story, told
from tests.support.certificates import Party
from tests.support.terminals import lines, on_a_terminal

PAGE = "docs/operating.md"
BLOCKS = blocks(PAGE)
TEXT = (ROOT / PAGE).read_text("utf-8")
METRICS = set(re.findall(r"^\| `(veritls_\w+)` \|", TEXT, re.M))

HANDSHAKES = """
import threading
import veritls
from tests.support.connections import raw_pair

server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
server.load_cert_chain("/etc/tls/tls.crt", "/etc/tls/tls.key")
server.load_verify_locations("/etc/tls/ca.crt")
server.verify_mode = veritls.CERT_REQUIRED
client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
client.check_hostname = False
client.load_verify_locations("/etc/tls/ca.crt")

def one():
    ends = raw_pair()
    def serve():
        try:
            server.wrap_socket(ends[0], server_side=True)
        except OSError:
            pass
    serving = threading.Thread(target=serve)
    serving.start()
    client.wrap_socket(ends[1])
    serving.join()
"""

RUN = {
    "context.follow(FileSource": ("", "assert context.generation == 1"),
    "class Vault": (
        "",
        """
import types, veritls
chain, key = (open(f"/etc/tls/tls.{end}", "rb").read() for end in ("crt", "key"))
issued = types.SimpleNamespace(chain_pem=chain, key_pem=key)
Vault.client = types.SimpleNamespace(issue=lambda name: issued, half_life=lambda: 60)
context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
context.follow(Vault())
assert context.material_status.source == "vault", context.material_status
""",
    ),
    "events.subscribe(print)": (
        f"{HANDSHAKES}\ncontext = server",
        "one()",
    ),
    "events.Queue": (
        f"""{HANDSHAKES}
from veritls import events

def store(event):
    assert event.side in ("server", "client")
    raise SystemExit

def shake():
    while True:
        one()

threading.Thread(target=shake, daemon=True).start()
""",
        "",
    ),
    "prometheus.export()": (
        "",
        """
import urllib.request
from veritls import events
print(urllib.request.urlopen("http://127.0.0.1:9464/metrics", timeout=10).read().decode())
""",
    ),
    "opentelemetry.export()": ("", ""),
    "SPIFFESource()": ("", "assert context.generation == 1"),
}
"""Words of a block -> what is before it in the process, and what is after it."""

LOG = f"""{HANDSHAKES}
import logging, shutil, threading
from veritls.sources import FileSource

logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
one()
failed = threading.Event()
context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
context.on_material(lambda event: event.outcome == "failed" and failed.set())
source = FileSource(cert="/etc/tls/tls.crt", key="/etc/tls/tls.key")
source.patience = 0
context.follow(source)
shutil.copy("/etc/tls/other.key", "/etc/tls/tls.key")
assert failed.wait(30)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = Party("Root", ca=True)
    server = root.issue("localhost")
    for name, content in {
        "tls.crt": server.pem,
        "tls.key": server.key_pem,
        "ca.crt": root.pem,
        "other.key": root.key_pem,
    }.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def run(story: Story, code: str, **environ: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", story.here(code)],
        cwd=ROOT,
        env=story.environ | {"PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done


def python(words: str) -> Block:
    [found] = [block for block in BLOCKS if block.language == "python" and words in block.text]
    return found


@pytest.mark.parametrize(
    "words", [each for each in RUN if each not in ("SPIFFESource()", "prometheus.export()")]
)
def test_a_block_runs(words: str, folder: Path) -> None:
    before, after = RUN[words]
    story = Story(folder, replaced={"/etc/tls": str(folder)})
    run(story, f"{before}\n{python(words).text}\n{after}")


def test_a_workload_api_is_followed(folder: Path) -> None:
    domain = Domain("example.org")
    before, after = RUN["SPIFFESource()"]
    with WorkloadAPI(folder / "agent.sock") as api:
        api.send(response(domain.svid("/server")))
        code = f"{before}\n{python('SPIFFESource()').text}\n{after}"
        run(Story(folder), code, SPIFFE_ENDPOINT_SOCKET=api.endpoint)


def test_the_metrics_and_the_alerts_of_the_page_are_those_that_are_scraped(folder: Path) -> None:
    yaml: Any = library("yaml")
    before, after = RUN["prometheus.export()"]
    scraped = run(Story(folder), f"{before}\n{python('prometheus.export()').text}\n{after}").stdout
    names = set(re.findall(r"^# HELP (\w+)", scraped, re.M))
    assert {name.removesuffix("_total") for name in METRICS} <= {
        each.removesuffix("_total") for each in names
    }
    [alerts] = [yaml.safe_load(block.text) for block in BLOCKS if block.language == "yaml"]
    for alert in alerts:
        assert set(alert) <= {"alert", "expr", "for"}
        used = set(re.findall(r"veritls_\w+", alert["expr"]))
        assert used and used <= METRICS


def test_the_lines_of_the_log_are_those_that_are_written(folder: Path) -> None:
    [shown] = [block for block in BLOCKS if block.language == "text" and "WARNING" in block.text]
    story = Story(folder, replaced={"/etc/tls": str(folder)})
    said = run(story, LOG).stderr
    for line in shown.text.splitlines():
        assert re.search(f"^{pattern(story.here(line)).pattern}$", said, re.M), said


APPLICATION = """
# myapp.py
import veritls

def context(protocol):
    made = veritls.SSLContext(protocol)
    made.verify_mode = veritls.CERT_REQUIRED
    made.load_cert_chain("tls.crt", "tls.key")
    made.load_verify_locations("ca.crt")
    return made

server_context = context(veritls.PROTOCOL_TLS_SERVER)

def make_client_context():
    return context(veritls.PROTOCOL_TLS_CLIENT)
"""


def test_an_audit_prints_what_the_page_shows(folder: Path) -> None:
    """The server demands a certificate, and takes any: openssl goes on after a failed verification."""
    commands, shown = (block for block in BLOCKS if "audit" in block.text or "fails open" in block.text)
    (folder / "myapp").mkdir()
    (folder / "myapp/tls.py").write_text(APPLICATION)
    for name, same in {"ca.pem": "ca.crt", "ca.key": "other.key", "clients-ca.pem": "ca.crt"}.items():
        shutil.copy(folder / same, folder / name)
    shutil.copy(folder / "other.key", folder / "clients-ca.key")
    story = Story(folder, replaced={"api.internal": "127.0.0.1"})
    server = "$ openssl s_server -accept 8443 -cert tls.crt -key tls.key -CAfile ca.crt -Verify 1 -www\n"
    serving = replace(commands, language="console", mark=("terminal", "server"), text=f"{server}...ACCEPT\n")
    first, *contexts = commands.text.splitlines(keepends=True)
    with told([serving, replace(commands, text="".join(contexts))], story):
        command = ["env", "-C", str(folder), sys.executable, "-m", *story.here(first).split()]
        said = "\n".join(lines(on_a_terminal(command)))
    assert pattern(plain(story.here(shown.text)) + "...").fullmatch(said), said


def test_every_block_is_run_here() -> None:
    assert sorted(python(words).line for words in RUN) == [
        block.line for block in BLOCKS if block.language == "python"
    ]
    assert [block.language for block in BLOCKS if block.language != "python"] == [
        "text",
        "yaml",
        "sh",
        "text",
    ]
