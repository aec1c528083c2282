"""200 threads on a context that changes: a connection has one of its values whole, never a mixture of two."""

from __future__ import annotations

import random
import ssl
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import veritls
from campaign.faults.running import Seen, main
from tests.support.certificates import Party
from tests.support.connections import client_context, server_context
from tests.support.memory import connect

_THREADS = 200
_CHANGERS = 2
V = ssl.TLSVersion


class Changing:
    """A server whose context walks over three values, one setter at a time, to and fro:

    1. clients of `a`, TLS 1.2 alone;
    2. clients of `a`, TLS 1.2 and 1.3;
    3. clients of `a` and `b`, TLS 1.3 alone.

    So a client of `b` is never let in with TLS 1.2. One of `stranger`, or without a certificate, never is.
    """

    def __init__(self, folder: Path, seen: Seen) -> None:
        ca, other = Party("a CA", ca=True), Party("another CA", ca=True)
        (folder / "ca.pem").write_bytes(ca.pem)
        (folder / "other.pem").write_bytes(other.pem)
        self.other = folder / "other.pem"
        self.server = server_context(ca.issue("localhost").file(folder))
        self.server.load_verify_locations(folder / "ca.pem")
        self.server.verify_mode = ssl.CERT_REQUIRED
        self.clients: dict[tuple[str, Any], Any] = {}
        for name, issuer in (("a", ca), ("b", ca), ("stranger", other), ("", None)):
            for version in (V.TLSv1_2, V.TLSv1_3):
                context = client_context(folder / "ca.pem")
                context.minimum_version = context.maximum_version = version
                if issuer is not None:
                    context.load_cert_chain(issuer.issue(f"{name}.example").file(folder))
                self.clients[name, version] = context
        self.a, self.b = veritls.DNSPattern("a.example"), veritls.DNSPattern("b.example")
        self.server.allowed_peers = [self.a]
        self.server.maximum_version = V.TLSv1_2
        self.seen, self.over, self.turn = seen, threading.Event(), threading.Lock()

    def walk(self) -> None:
        """To the third value and back, by one thread at a time; loads in between, which change nothing."""
        while not self.over.is_set():
            with self.turn:
                self.server.maximum_version = V.TLSv1_3
                self.server.minimum_version = V.TLSv1_3
                self.server.allowed_peers = [self.a, self.b]
                self.server.set_alpn_protocols(random.choice([["h2"], ["http/1.1", "h2"]]))
                self.server.allowed_peers = [self.a]
                self.server.minimum_version = V.TLSv1_2
                self.server.maximum_version = V.TLSv1_2
                self.seen.counts["rounds of changes"] += 1

    def touch(self) -> None:
        """Demands that come and go, and never let anybody in."""
        while not self.over.is_set():
            self.server.verify_flags |= ssl.VERIFY_X509_STRICT
            self.server.verify_flags &= ~ssl.VERIFY_X509_STRICT
            self.server.num_tickets = random.randrange(3)
            self.server.max_resumption_age = random.randrange(1, 86_400)

    def ask(self) -> None:
        while not self.over.is_set():
            (name, version), context = random.choice(list(self.clients.items()))
            outcome = connect(self.server, context)
            who = name or "nobody"
            if outcome.refused:
                self.seen.count(f"refused: {who}")
                errors = (outcome.server_error, outcome.client_error)
                expected = all(isinstance(each, ssl.SSLError | None) for each in errors)
                self.seen.expect(expected, f"{who}: {errors}")
                continue
            self.seen.count(f"let in: {who}, {version.name}")
            self.seen.expect(name in ("a", "b"), f"{who} was let in")
            self.seen.expect(name != "b" or version == V.TLSv1_3, "a client was let in that no value lets in")
            names = dict(outcome.server.getpeercert()["subjectAltName"]).get("DNS")
            self.seen.expect(names == f"{name}.example", f"{names} is shown of {who}")


def work(seconds: float, seen: Seen) -> None:
    with tempfile.TemporaryDirectory() as folder:
        changing = Changing(Path(folder), seen)
        works = [changing.walk] * _CHANGERS + [changing.touch] * _CHANGERS
        works += [changing.ask] * ((_THREADS if seconds >= 1 else 40) - len(works))

        def run(each: Any) -> None:
            try:
                each()
            except BaseException as error:
                seen.expect(False, f"{each.__name__}: {error!r}")

        threads = [threading.Thread(target=run, args=(each,), daemon=True) for each in works]
        for thread in threads:
            thread.start()
        time.sleep(max(3, seconds))
        changing.over.set()
        for thread in threads:
            thread.join(60)
            seen.expect(not thread.is_alive(), "a thread hangs")
        with changing.turn:
            for name in ("a", "b", "stranger", ""):
                outcome = connect(changing.server, changing.clients[name, V.TLSv1_2])
                seen.expect(outcome.refused is (name != "a"), f"afterwards: {name}")
        seen.expect(seen.counts["let in: b, TLSv1_3"] + seen.counts["refused: b"], "no client of b came")


if __name__ == "__main__":
    main(work)
