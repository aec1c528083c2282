"""What the runner takes for a TLS implementation: one test, told by its arguments, with veritls.

It ends with 0 or 1, or with 89 where the test needs what veritls does not offer: then the cause, a word that
not_offered.toml knows, is added to the file that VERITLS_BOGO_CAUSES names. What veritls raises is written to
standard error, where the runner looks for the reason that it expects (config.json translates).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any

import veritls
from tests.bogo.flags import Flags, parse, words
from tests.bogo.numbers import GROUPS, SIGNATURE_ALGORITHMS, TLS13_SUITES, VERSIONS
from tests.bogo.transports import Transport, connect

UNIMPLEMENTED = 89

USED = words("""
    port shim-id ipv6 server resume-count write-settings trust-cert host-name verify-peer cert-file key-file
    require-any-client-certificate verify-fail expect-verify-result use-custom-verify-callback
    reverify-on-resume expect-peer-cert-file expect-no-peer-cert expect-peer-signature-algorithm
    curves expect-curve-id cipher tls13-ciphers expect-cipher expect-cipher-aes server-preference
    min-version max-version expect-version no-tls13 no-tls12 no-ticket expect-session-miss expect-no-session
    advertise-alpn expect-alpn select-alpn decline-alpn reject-alpn expect-server-name
    use-early-callback fail-early-callback install-ddos-callback fail-ddos-callback
    fail-cert-callback fail-cert-callback-alert
    use-ocsp-callback decline-ocsp-callback fail-ocsp-callback
    shim-writes-first shim-initial-write repeat-shim-initial-write shim-shuts-down check-close-notify
    write-different-record-sizes read-size read-with-unfinished-write export-traffic-secrets
    async implicit-handshake handshake-twice no-op-extra-handshake handshake-never-done new-x509-credential
""")

DEFAULTS = words("""
    no-tls1 no-tls11 enable-ocsp-stapling renegotiate-ignore forbid-renegotiation-after-handshake
    no-legacy-server-connect permute-extensions partial-write use-old-client-cert-callback
    expect-cipher-no-aes alps-use-new-codepoint
""")
"""What veritls does in any case."""

UNSEEN = words("""
    expect-advertised-alpn expect-certificate-types expect-extended-master-secret expect-secure-renegotiation
    expect-no-secure-renegotiation expect-hrr expect-no-hrr expect-session-id expect-no-session-id
    expect-ticket-renewal expect-selected-credential
""")
"""What a program cannot see, as with `ssl`. The runner looks at its own side of it."""

OLDER = words("no-tls1 no-tls11")
LOOKS = words("""
    use-early-callback fail-early-callback expect-server-name install-ddos-callback fail-cert-callback
""")
"""What an sni_callback is needed for."""
INITIAL_WRITE = "hello"
HANDSHAKE_FAILURE = ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
INTERNAL_ERROR = ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR
RECORD_SIZES = (0, 1, 255, 256, 257, 16383, 16384, 16385, 32767, 32768, 32769)


class NotOfferedError(Exception):
    """The test needs what veritls does not offer; the cause."""


class UnexpectedError(Exception):
    """The connection is not what the test expects."""


def expect(condition: bool, words: str) -> None:
    if not condition:
        raise UnexpectedError(words)


def check_offered(flags: Flags, transport: str) -> None:
    """Raises NotOfferedError with the first cause that there is."""
    for name in flags.given:
        if name not in USED and name not in DEFAULTS and name not in UNSEEN:
            raise NotOfferedError(name)
    only_older = {"no-tls12", "no-tls13"} <= flags.given.keys() and not flags.given.keys() >= OLDER
    if flags.number("max-version", 0x0304) < 0x0303 or only_older:
        raise NotOfferedError("versions before TLS 1.2")
    if "fail-cert-callback" in flags and "server" not in flags:
        raise NotOfferedError("a client's callback for want of a certificate")
    if "fail-ocsp-callback" in flags and "server" in flags:
        raise NotOfferedError("an OCSP callback that refuses")
    if "cipher" in flags and "[" in flags.text("cipher"):
        raise NotOfferedError("cipher strings with groups of equal preference")
    offered = veritls.SSLContext(ssl.PROTOCOL_TLS_CLIENT).get_groups()
    if any(GROUPS.get(number) not in offered for number in flags.numbers("curves")):
        raise NotOfferedError("other groups")
    if transport == "loop":
        if "server" not in flags and flags.number("resume-count"):
            raise NotOfferedError("sessions of a client on an event loop")
        if "check-close-notify" in flags and "shim-shuts-down" in flags:
            raise NotOfferedError("the peer's end after close() on an event loop")
        if "handshake-twice" in flags or "no-op-extra-handshake" in flags:
            raise NotOfferedError("a second handshake on an event loop")
    if "read-with-unfinished-write" in flags and transport != "bio":
        raise NotOfferedError("a write that is left unfinished")


def alpn_names(flags: Flags) -> list[str]:
    if "select-alpn" in flags:
        return [flags.text("select-alpn")]
    if "reject-alpn" in flags:
        return ["not-the-peers"]
    wire = flags.text("advertise-alpn").encode("utf-8", "surrogateescape")
    names = []
    while wire:
        length, wire = wire[0], wire[1:]
        names.append(wire[:length].decode("latin-1"))
        wire = wire[length:]
    return names


def credentials(flags: Flags) -> list[tuple[str, str]]:
    """Certificate and key of each, the preferred one first."""
    certificates, keys = flags.given.get("cert-file", []), flags.given.get("key-file", [])
    if len(certificates) != len(keys):
        raise NotOfferedError("a certificate without its key")
    return list(zip(certificates, keys, strict=True))


def configure_peer(context: veritls.SSLContext, flags: Flags, server: bool) -> None:
    """Whom the context trusts, and what it demands of the peer."""
    context.check_hostname = False
    if "require-any-client-certificate" in flags:
        context.verify_mode = ssl.CERT_REQUIRED
    else:
        context.verify_mode = ssl.CERT_OPTIONAL if "verify-peer" in flags else ssl.CERT_NONE
    if flags.text("trust-cert"):
        context.load_verify_locations(flags.text("trust-cert"))
        if not server:
            context.verify_mode = ssl.CERT_REQUIRED
    context.reverify_on_resumption = "reverify-on-resume" in flags


def configure_protocol(context: veritls.SSLContext, flags: Flags, server: bool) -> None:
    if flags.number("min-version") in VERSIONS:
        context.minimum_version = ssl.TLSVersion(flags.number("min-version"))
    if flags.number("max-version") in VERSIONS:
        context.maximum_version = ssl.TLSVersion(flags.number("max-version"))
    if "no-tls13" in flags:
        context.options |= ssl.OP_NO_TLSv1_3
    if "no-tls12" in flags:
        context.options |= ssl.OP_NO_TLSv1_2
    if "no-ticket" in flags:
        context.options |= ssl.OP_NO_TICKET
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if "server-preference" in flags or "tls13-ciphers" in flags:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if "cipher" in flags:
        context.set_ciphers(flags.text("cipher"))
    if "tls13-ciphers" in flags:
        context.set_ciphersuites(":".join(TLS13_SUITES[number] for number in flags.numbers("tls13-ciphers")))
    if "curves" in flags:
        context.set_groups(":".join(GROUPS[number] for number in flags.numbers("curves")))
    names = alpn_names(flags)
    if names:
        context.set_alpn_protocols(names)


class Shim:
    """One test."""

    def __init__(self, first: Flags, resumed: Flags, transport: str) -> None:
        self.first, self.resumed, self.transport = first, resumed, transport
        self.server = "server" in first
        self.refuses = False
        self.name: str | None = None
        self.keylog = Path(tempfile.gettempdir()) / f"veritls-bogo-{os.getpid()}"

    def hello(self, name: str | None, flags: Flags) -> int | None:
        self.name = name
        if "fail-early-callback" in flags:
            return HANDSHAKE_FAILURE
        if "fail-cert-callback" in flags:
            return flags.number("fail-cert-callback-alert", INTERNAL_ERROR)
        return INTERNAL_ERROR if "fail-ddos-callback" in flags else None

    def verify(self, report: veritls.VerificationReport) -> None:
        if self.refuses:
            raise ValueError("the test refuses this certificate")

    def make_context(self, flags: Flags) -> veritls.SSLContext:
        context = veritls.SSLContext(ssl.PROTOCOL_TLS_SERVER if self.server else ssl.PROTOCOL_TLS_CLIENT)
        # The newest is preferred, here; the test names the best first.
        for certificate, key in reversed(credentials(flags)):
            context.load_cert_chain(certificate, key)
        configure_peer(context, flags, self.server)
        configure_protocol(context, flags, self.server)
        decides = {"verify-fail", "use-custom-verify-callback", "fail-ocsp-callback"}
        if decides & (set(self.first.given) | set(self.resumed.given)) and context.verify_mode:
            context.set_verify_callback(self.verify)
        if "export-traffic-secrets" in flags:
            context.keylog_filename = self.keylog
        return context

    def look_at_hellos(self, context: veritls.SSLContext, flags: Flags) -> None:
        if self.server and LOOKS & flags.given.keys():
            context.sni_callback = lambda _connection, name, _context: self.hello(name, flags)

    def run(self) -> None:
        session, context, flags = None, self.make_context(self.first), self.first
        for number in range(self.first.number("resume-count") + 1):
            if number == 1 and self.resumed.given != self.first.given:
                flags = self.resumed
                configure_peer(context, flags, self.server)
                configure_protocol(context, flags, self.server)
            self.look_at_hellos(context, flags)
            # Without a demand the test's own verification result is told, not enforced.
            demands = "verify-peer" in flags or "require-any-client-certificate" in flags
            self.refuses = (demands and "verify-fail" in flags) or "fail-ocsp-callback" in flags
            expect(number == 0 or self.server or session is not None, "no session to offer")
            session = self.connection(context, flags, session, resumes=number > 0)

    def connection(
        self, context: veritls.SSLContext, flags: Flags, session: Any, *, resumes: bool
    ) -> veritls.SSLSession | None:
        family, host = (socket.AF_INET6, "::1") if "ipv6" in flags else (socket.AF_INET, "127.0.0.1")
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect((host, flags.number("port")))
        sock.sendall(flags.number("shim-id").to_bytes(8, "little"))
        sides: dict[str, Any] = {"server_side": self.server, "ragged": "check-close-notify" not in flags}
        if not self.server:
            sides["server_hostname"] = flags.text("host-name") or None
        if session is not None:
            sides["session"] = session
        raw = sock.dup()
        try:
            link = connect(self.transport, sock, context, nonblocking="async" in flags, **sides)
            return self.exchange(link, flags, resumes=resumes)
        finally:
            self.drain(raw)

    def drain(self, raw: socket.socket) -> None:
        """Reads to the end, so that what was sent last arrives, whatever came that nobody read."""
        raw.settimeout(5)
        with contextlib.suppress(OSError):
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
        raw.close()

    def exchange(self, link: Transport, flags: Flags, *, resumes: bool) -> veritls.SSLSession | None:
        if "implicit-handshake" not in flags or self.transport == "loop":
            link.handshake()
            if "handshake-twice" in flags or "no-op-extra-handshake" in flags:
                link.tls.do_handshake()
            self.check(link.tls, flags, resumes=resumes)
        if "export-traffic-secrets" in flags:
            link.write(self.traffic_secrets())
        self.write_first(link, flags)
        if "shim-shuts-down" not in flags:
            self.echo(link, flags)
        session: veritls.SSLSession | None = None
        if not self.server and self.transport != "loop":
            session = link.tls.session
            self.check_session(link.tls, session, flags)
        if "check-close-notify" in flags or "shim-shuts-down" in flags:
            link.end(wait="check-close-notify" in flags)
        return session

    def write_first(self, link: Transport, flags: Flags) -> None:
        if "write-different-record-sizes" in flags:
            for size in RECORD_SIZES:
                link.write(b"\x42" * size)
        initial = flags.text("shim-initial-write", INITIAL_WRITE).encode()
        if "read-with-unfinished-write" in flags:
            link.hold_back(True)
            link.write(initial)
        elif "shim-writes-first" in flags:
            for _ in range(flags.number("repeat-shim-initial-write", 1)):
                link.write(initial)

    def echo(self, link: Transport, flags: Flags) -> None:
        held = "read-with-unfinished-write" in flags
        if "write-different-record-sizes" in flags:
            return
        while data := link.read(flags.number("read-size", 512)):
            if held:
                link.hold_back(False)
                held = False
            link.write(bytes(byte ^ 0xFF for byte in data))

    def traffic_secrets(self) -> bytes:
        lines = [line.split() for line in self.keylog.read_text().splitlines() if not line.startswith("#")]
        self.keylog.unlink()
        known = {line[0]: bytes.fromhex(line[2]) for line in lines}
        mine, theirs = known["SERVER_TRAFFIC_SECRET_0"], known["CLIENT_TRAFFIC_SECRET_0"]
        if not self.server:
            mine, theirs = theirs, mine
        return len(mine).to_bytes(2, "little") + theirs + mine

    def check(self, tls: Any, flags: Flags, *, resumes: bool) -> None:
        """What CPython's interface tells of the connection, against what the test expects."""
        reused = resumes and "expect-session-miss" not in flags
        expect(bool(tls.session_reused) == reused, f"session was {'not ' if reused else ''}reused")
        if flags.number("expect-version"):
            expect(tls.version() == VERSIONS.get(flags.number("expect-version")), f"version: {tls.version()}")
        suites = {suite["name"]: suite["id"] & 0xFFFF for suite in tls.context.get_ciphers()}
        for name in ("expect-cipher", "expect-cipher-aes"):
            if name in flags:
                expect(suites[tls.cipher()[0]] == flags.number(name), f"cipher: {tls.cipher()}")
        if "expect-curve-id" in flags:
            wanted = GROUPS[flags.number("expect-curve-id")]
            # A resumption of TLS 1.2 has no group.
            expect(tls.group() == wanted or (resumes and tls.group() is None), f"group: {tls.group()}")
        alpn = flags.text("select-alpn" if self.server else "expect-alpn") or None
        expect(tls.selected_alpn_protocol() == alpn, f"ALPN is {tls.selected_alpn_protocol()}")
        if "expect-server-name" in flags:
            expect(self.name == flags.text("expect-server-name"), f"server name is {self.name}")
        if "expect-peer-signature-algorithm" in flags and not resumes:
            theirs = tls.client_sigalg() if self.server else tls.server_sigalg()
            wanted = SIGNATURE_ALGORITHMS[flags.number("expect-peer-signature-algorithm")]
            expect(theirs == wanted, f"peer's signature algorithm is {theirs}")
        self.check_certificate(tls, flags)

    def check_certificate(self, tls: Any, flags: Flags) -> None:
        chain = [bytes(each) for each in tls.get_unverified_chain()]
        if "expect-no-peer-cert" in flags:
            expect(not chain, "the peer sent a certificate")
        elif not self.server or "require-any-client-certificate" in flags:
            expect(bool(chain), "the peer sent no certificate")
        if flags.text("expect-peer-cert-file"):
            pem = Path(flags.text("expect-peer-cert-file")).read_text()
            ends = pem.split("-----END CERTIFICATE-----")[:-1]
            wanted = [ssl.PEM_cert_to_DER_cert(f"{each.strip()}\n-----END CERTIFICATE-----") for each in ends]
            expect(chain == wanted, "the peer sent another chain")

    def check_session(self, tls: Any, session: veritls.SSLSession | None, flags: Flags) -> None:
        if tls.version() == "TLSv1.3" and not tls.session_reused and "shim-shuts-down" not in flags:
            has = session is not None and session.has_ticket
            expect(has == ("expect-no-session" not in flags), f"there is {'a' if has else 'no'} ticket")


def describe(error: BaseException) -> str:
    """An exception as the runner compares it: its type, and for `ssl` its reason."""
    reason = getattr(error, "reason", None) or type(error).__name__
    return f":{reason}: {error}"


def tell_cause(flags: Flags, cause: str) -> None:
    place = os.environ.get("VERITLS_BOGO_CAUSES")
    if place:
        test = Path(flags.text("write-settings")).name.removesuffix("-")
        with open(place, "a") as file:
            file.write(json.dumps({"test": test, "cause": cause}) + "\n")


def main(arguments: list[str], transport: str) -> int:
    """Runs the test that the arguments tell. Returns the status to end with."""
    if "-is-handshaker-supported" in arguments:
        print("No")
        return 0
    first, resumed, _ = parse(arguments)
    try:
        for flags in (first, resumed):
            check_offered(flags, transport)
        Shim(first, resumed, transport).run()
    except NotOfferedError as cause:
        tell_cause(first, str(cause))
        return UNIMPLEMENTED
    except Exception as error:
        print(describe(error), file=sys.stderr)
        return 1
    return 0
