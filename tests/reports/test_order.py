"""The report's checks stand in the order in which the engine makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import veritls
from tests.support.certificates import Party
from tests.support.memory import connect
from veritls._report.checks import STEPS
from veritls.report import VerificationReport

ROOT = Party("root", ca=True)
SERVER = ROOT.issue("example.org")


def refuse(report: VerificationReport) -> None:
    raise ValueError("no")


def test_a_server_that_fails_every_demand_fails_them_in_the_order_of_the_table(tmp_path: Path) -> None:
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(SERVER.file(tmp_path))
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=ROOT.der)
    client.allowed_peers = [veritls.DNSPattern("nobody.example")]
    client.pinned_keys = [bytes(32)]
    client.require_ocsp = True
    client.set_verify_callback(refuse)
    remedies: dict[str, Callable[[], None]] = {
        "host name": lambda: setattr(client, "check_hostname", False),
        "allowed peers": lambda: setattr(client, "allowed_peers", None),
        "pinned keys": lambda: setattr(client, "pinned_keys", None),
        "stapled OCSP": lambda: setattr(client, "require_ocsp", False),
        "callback": lambda: client.set_verify_callback(None),
    }
    failed: list[str] = []
    while error := connect(server, client).client_error:
        [step] = [check.name for check in error.report.checks if check.verdict == "failed"]
        failed.append(step)
        remedies.pop(step)()
    assert failed == [step.name for step in STEPS if step.stage == "path found"]
    assert not remedies
