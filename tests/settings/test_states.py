"""Two contexts that are changed at random, failing changes included: what they show is enforced."""

from __future__ import annotations

import hashlib
import ssl
import tempfile
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import veritls
from tests.settings.conftest import CLIENT, ROOT, SERVER
from tests.support.certificates import Party, der
from tests.support.memory import connect

# A second context that cannot be used is reported, and the client refused.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

V = ssl.TLSVersion
OTHER = Party("other", ROOT, names=["other.internal"])
LEAF = ssl.VERIFY_CRL_CHECK_LEAF
CRLS = {"empty": ROOT.crl(number=1), "client": ROOT.crl(CLIENT, number=2)}
WHICH = st.sampled_from(["first", "second"])


def pin(party: Party) -> bytes:
    info = party.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).digest()


def refuse(report: object) -> None:
    raise PermissionError


SETTERS: dict[str, list[Any]] = {
    "verify_mode": [ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED, 7, None],
    "verify_flags": [ssl.VERIFY_DEFAULT, LEAF, ssl.VERIFY_ALLOW_PROXY_CERTS],
    "allowed_peers": [None, [], [veritls.DNSPattern("client.internal")], [1]],
    "pinned_keys": [None, [pin(CLIENT)], [pin(ROOT)], [b"short"]],
    "unknown_revocation_status": ["refuse", "accept", "Accept"],
    "minimum_version": [V.TLSv1_2, V.TLSv1_3, 1],
    "maximum_version": [V.TLSv1_2, V.TLSv1_3, V.TLSv1],
    "max_resumption_age": [0, 3600, -1],
    "reverify_on_resumption": [True, False],
    "num_tickets": [0, 2, -1],
    "allowed_peer": [[]],
}
CHANGES = [(name, value) for name, values in SETTERS.items() for value in values]


def shows(context: Any) -> list[Any]:
    crls = [entry.der for entry in context.list_trust() if entry.kind == "crl"]
    return [*(getattr(context, name) for name in SETTERS if name != "allowed_peer"), crls]


class Changing(RuleBasedStateMachine):
    """The model is what the contexts show, and the callbacks that they were given."""

    def __init__(self) -> None:
        super().__init__()
        self.contexts = {"first": self.server(), "second": self.server()}
        self.callbacks: dict[str, Any] = {"first": None, "second": None}
        self.switches = False
        self.switch()
        self.clients = {
            (name, version): self.client(party, version)
            for name, party in {"anonymous": None, "client": CLIENT, "other": OTHER}.items()
            for version in (V.TLSv1_2, V.TLSv1_3)
        }
        self.sessions: dict[Any, list[Any]] = {client: [] for client in self.clients}

    def server(self) -> Any:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(SERVER.pem, SERVER.key_pem)
        context.load_verify_locations(cadata=ROOT.pem.decode())
        return context

    def client(self, party: Party | None, version: V) -> Any:
        """The standard module's: it shows any ticket."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=ROOT.pem.decode())
        context.minimum_version = context.maximum_version = version
        if party is not None:
            with tempfile.NamedTemporaryFile() as file:
                file.write(party.pem + party.key_pem)
                file.flush()
                context.load_cert_chain(file.name)
        return context

    @rule(changes=st.lists(st.tuples(WHICH, st.sampled_from(CHANGES)), min_size=1, max_size=4))
    def set(self, changes: list[tuple[str, tuple[str, Any]]]) -> None:
        for which, (name, value) in changes:
            context = self.contexts[which]
            before = shows(context)
            try:
                setattr(context, name, value)
            except (AttributeError, TypeError, ValueError):
                assert shows(context) == before
            else:
                assert name != "allowed_peer"

    @rule(which=WHICH, callback=st.sampled_from([None, bool, refuse, 7]))
    def decide(self, which: str, callback: Any) -> None:
        try:
            self.contexts[which].set_verify_callback(callback)
        except TypeError:
            return
        self.callbacks[which] = callback

    @rule(which=WHICH, name=st.sampled_from([*CRLS, "none"]))
    def load(self, which: str, name: str) -> None:
        context = self.contexts[which]
        before = shows(context)
        try:
            context.load_crls(CRLS.get(name, b"-----BEGIN nothing"), allow_older=True)
        except ssl.SSLError:
            assert shows(context) == before

    @rule()
    def switch(self) -> None:
        first, second = self.contexts.values()
        self.switches = not self.switches
        first.sni_callback = (lambda end, *_: setattr(end, "context", second)) if self.switches else None

    def expected(self, name: str, version: V) -> bool:
        """Whether the client is let in, by what is shown of the contexts that decide."""
        deciding = list(self.contexts if self.switches else ["first"])
        contexts = [self.contexts[each] for each in deciding]
        callbacks = [self.callbacks[each] for each in deciding if self.callbacks[each] is not None]
        mode = max(context.verify_mode for context in contexts)
        pins = [context.pinned_keys for context in contexts if context.pinned_keys is not None]
        for context in contexts:
            newest = context.maximum_version
            if not context.minimum_version <= version or (newest > 0 and version > newest):
                return False
        for each in {deciding[0], *(deciding if mode == ssl.CERT_NONE else [])}:
            context = self.contexts[each]
            needs_a_certificate = context.pinned_keys is not None or self.callbacks[each] is not None
            if context.verify_mode == ssl.CERT_NONE and needs_a_certificate:
                return False  # it cannot be used
        if name == "anonymous" or mode == ssl.CERT_NONE:
            return bool(mode < ssl.CERT_REQUIRED)
        if any(context.verify_flags & LEAF for context in contexts):
            crls = [each.der for each in contexts[-1].list_trust() if each.kind == "crl"]
            if not crls and any(each.unknown_revocation_status == "refuse" for each in contexts):
                return False
            if name == "client" and der(CRLS["client"]) in crls:
                return False
        party = CLIENT if name == "client" else OTHER
        names = {"client": "client.internal", "other": "other.internal"}
        for context in contexts:
            allowed = context.allowed_peers
            if allowed is not None and names[name] not in [each.value for each in allowed]:
                return False
        return all({pin(party), pin(ROOT)} & each for each in pins) and refuse not in callbacks

    @invariant()
    def what_is_shown_is_enforced_with_any_session_and_without(self) -> None:
        for (name, version), client in self.clients.items():
            expected = self.expected(name, version)
            kept = self.sessions[name, version]
            for session in [None, *kept[-2:]]:
                assert self.let_in(name, version, client, session) == expected, (name, version, session)

    def let_in(self, name: str, version: V, client: Any, session: Any) -> bool:
        try:
            outcome = connect(self.contexts["first"], client, session=session)
        except (ValueError, ssl.SSLError):
            return False  # no connection is made
        if outcome.refused:
            return False
        end = outcome.server
        chosen = self.contexts["second" if self.switches else "first"]
        assert (
            end.context is chosen and end.version() == {V.TLSv1_2: "TLSv1.2", V.TLSv1_3: "TLSv1.3"}[version]
        )
        asked = max(self.contexts["first"].verify_mode, chosen.verify_mode) > ssl.CERT_NONE
        party = {"client": CLIENT, "other": OTHER}.get(name)
        assert end.getpeercert(True) == (party.der if party is not None and asked else None)
        assert end.get_verified_chain() == ([party.der, ROOT.der] if party is not None and asked else [])
        if outcome.client.session.has_ticket:
            self.sessions[name, version].append(outcome.client.session)
        return True


Changing.TestCase.settings = settings(max_examples=10, stateful_step_count=10, deadline=None)
TestStates = Changing.TestCase
