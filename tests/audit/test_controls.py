"""Servers that refuse for another reason than the certificate: how many come, not who comes."""

from __future__ import annotations

import itertools
import socket
import ssl

from tests.audit.support import INVALID, Files, as_json, server_context, with_verdict as having
from tests.check_servers import Dialogue, serving


def closes_on(some: range, audited: Files) -> Dialogue:
    """A server that closes on some connections, by their number, once it has the client's certificate."""
    taken = itertools.count()

    def dialogue(sock: socket.socket) -> None:
        if next(taken) not in some:
            return
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = server_context(audited, ssl.CERT_REQUIRED, ssl)
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(sock.recv(65_536))
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
        sock.recv(65_536)
        raise ConnectionError("done")

    return dialogue


def test_a_server_that_takes_the_first_few_connections_only_has_proved_nothing(audited: Files) -> None:
    for number in (2, 6):
        closing = closes_on(range(number, 1000), audited)
        with serving(server_context(audited, ssl.CERT_REQUIRED), closing) as server:
            code, result = as_json(server, *audited.keys, "--require")
        assert code == 2, result["sentences"]
        assert "valid" not in having(result, "as it must")


def test_whoever_was_closed_upon_without_an_alert_is_tried_again_alone(audited: Files) -> None:
    tried = 2 * (1 + len(INVALID))
    closing = closes_on(range(2, 2 + tried), audited)
    with serving(server_context(audited, ssl.CERT_OPTIONAL), closing) as server:
        code, result = as_json(server, *audited.keys, "--require")
    assert (code, having(result, "fails open")) == (1, {"none"}), result["peers"]
