"""A context's settings as a sequence of random calls: what was set is shown and enforced, a setter that fails
changes nothing, and where `sni_callback` switches, the demands of both contexts are enforced."""

from __future__ import annotations

import contextlib
import ssl
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import veritls
from tests.fuzz.settings_model import (
    GROUPS,
    OTHER_NAME,
    OTHER_ROOT,
    PEERS,
    ROOT,
    SERVER_NAME,
    TLS12_SUITES,
    TLS13_SUITES,
    Model,
    Probe,
    V,
)
from tests.support.certificates import pem
from tests.support.memory import connect

CRL = pem(ROOT.crl(*(party for name, party in PEERS.items() if party and name == "revoked")))
BAD_CRL = pem(ROOT.crl(key=OTHER_ROOT.key))
IDENTITY = PEERS["right"]
assert IDENTITY is not None
KEYS = {"right": IDENTITY.pin, "root": ROOT.pin, "nobody": bytes(32)}

FLAGS = (
    ssl.VERIFY_CRL_CHECK_LEAF,
    ssl.VERIFY_CRL_CHECK_CHAIN,
    ssl.VERIFY_X509_STRICT,
    ssl.VERIFY_X509_PARTIAL_CHAIN,
    ssl.VERIFY_X509_TRUSTED_FIRST,
)
SIDES = st.sampled_from(["server", "second", "client"])
VERSIONS = st.sampled_from([*V])


def some(values: Any, least: int = 1) -> st.SearchStrategy[list[Any]]:
    """Some of them, in any order."""
    return st.lists(st.sampled_from(values), min_size=least, unique=True)


PROBES = st.builds(
    Probe,
    who=st.one_of(st.just("right"), st.sampled_from([*PEERS])),
    versions=st.sampled_from(
        [frozenset({V.TLSv1_2}), frozenset({V.TLSv1_3}), frozenset({V.TLSv1_2, V.TLSv1_3})]
    ),
    tls12_suites=some(TLS12_SUITES).map(frozenset),
    group=st.sampled_from(GROUPS),
    alpn=some(["h2", "one", "two"], 0).map(tuple),
    name=st.sampled_from([SERVER_NAME, OTHER_NAME]),
    standard=st.booleans(),
)


class Refused(Exception):
    """What a callback raises."""


def refuse(report: object) -> None:
    raise Refused


def accept(report: object) -> None:
    pass


BAD: dict[str, tuple[Callable[[Any], Any], Any]] = {
    # What it calls, and what that raises.
    "verify_mode 7": (lambda context: setattr(context, "verify_mode", 7), ValueError),
    "verify_mode text": (lambda context: setattr(context, "verify_mode", "CERT_REQUIRED"), TypeError),
    "verify_flags": (lambda context: setattr(context, "verify_flags", 1 << 40), ValueError),
    "minimum_version": (lambda context: setattr(context, "minimum_version", 5), ValueError),
    "maximum_version": (lambda context: setattr(context, "maximum_version", V.TLSv1_1), ValueError),
    "options": (lambda context: setattr(context, "options", -1), OverflowError),
    "ciphers": (lambda context: context.set_ciphers("nonsense"), ssl.SSLError),
    "ciphers of no kind": (lambda context: context.set_ciphers(b"ALL"), TypeError),
    "ciphersuites": (
        lambda context: context.set_ciphersuites("TLS_AES_128_GCM_SHA256:nonsense"),
        ssl.SSLError,
    ),
    "groups": (lambda context: context.set_groups("x25519:nonsense"), ssl.SSLError),
    "ecdh curve": (lambda context: context.set_ecdh_curve("nonsense"), ValueError),
    "alpn": (lambda context: context.set_alpn_protocols(["h2", ""]), ssl.SSLError),
    "alpn of no kind": (lambda context: context.set_alpn_protocols([b"h2"]), TypeError),
    "allowed_peers": (lambda context: setattr(context, "allowed_peers", ["localhost"]), TypeError),
    "pinned_keys": (lambda context: setattr(context, "pinned_keys", [bytes(32), bytes(31)]), ValueError),
    "callback": (lambda context: context.set_verify_callback(7), TypeError),
    "unknown status": (lambda context: setattr(context, "unknown_revocation_status", "Accept"), ValueError),
    "age": (lambda context: setattr(context, "max_resumption_age", -1), ValueError),
    "locations": (
        lambda context: context.load_verify_locations(cadata=OTHER_ROOT.der + ROOT.der[:-1]),
        (ssl.SSLError, ValueError),
    ),
    "no file": (lambda context: context.load_verify_locations("/nonexistent/ca.pem"), OSError),
    "crl and another": (lambda context: context.load_crls(CRL + BAD_CRL), ssl.SSLError),
    "key of another": (lambda context: context.load_cert_chain(ROOT.pem, OTHER_ROOT.key_pem), ssl.SSLError),
    "no key": (lambda context: context.load_cert_chain(OTHER_ROOT.pem), ssl.SSLError),
    "sni_callback": (lambda context: setattr(context, "sni_callback", 7), (TypeError, ValueError)),
    "misspelt": (lambda context: setattr(context, "verify_moed", 2), AttributeError),
}


class Contexts(RuleBasedStateMachine):
    """Two servers, the first of which may switch to the second, and a client; each with its model."""

    def __init__(self) -> None:
        super().__init__()
        self.contexts: dict[str, veritls.SSLContext] = {}
        self.models: dict[str, Model] = {}
        self.switches = False

    @initialize(
        modes=st.lists(st.sampled_from([*ssl.VerifyMode]), min_size=3, max_size=3),
        flags=st.lists(some(FLAGS, 0), min_size=3, max_size=3),
    )
    def made(self, modes: list[ssl.VerifyMode], flags: list[list[ssl.VerifyFlags]]) -> None:
        assert IDENTITY is not None
        for side in ("server", "second", "client"):
            server_side = side != "client"
            protocol = veritls.PROTOCOL_TLS_SERVER if server_side else veritls.PROTOCOL_TLS_CLIENT
            context = veritls.SSLContext(protocol)
            context.load_cert_chain(IDENTITY.pem, IDENTITY.key_pem)
            context.load_verify_locations(cadata=ROOT.der)
            context.set_groups(":".join(GROUPS))
            context.set_ciphers(":".join(TLS12_SUITES))
            self.contexts[side] = context
            mode = ssl.CERT_NONE if server_side else ssl.CERT_REQUIRED
            self.models[side] = Model(
                server_side, mode, not server_side, context.verify_flags, context.options
            )
            self.set_verify_mode(side, modes.pop())
            self.set_verify_flags(side, flags.pop())

    @contextlib.contextmanager
    def nothing_changes(self, side: str) -> Iterator[None]:
        before = self.contexts[side]._settings
        yield
        assert self.contexts[side]._settings is before, "a call that failed changed something"

    @rule(side=SIDES, mode=st.sampled_from([*ssl.VerifyMode]))
    def set_verify_mode(self, side: str, mode: ssl.VerifyMode) -> None:
        model = self.models[side]
        if mode == ssl.CERT_NONE and (model.check_hostname or model.allowed):
            with self.nothing_changes(side), pytest.raises(ValueError, match="Cannot set verify_mode"):
                self.contexts[side].verify_mode = mode
        else:
            self.contexts[side].verify_mode = model.mode = mode

    @rule(side=SIDES, value=st.booleans())
    def set_check_hostname(self, side: str, value: bool) -> None:
        model = self.models[side]
        self.contexts[side].check_hostname = model.check_hostname = value
        if value and model.mode == ssl.CERT_NONE:
            model.mode = ssl.CERT_REQUIRED

    @rule(side=SIDES, flags=some(FLAGS, 0))
    def set_verify_flags(self, side: str, flags: list[ssl.VerifyFlags]) -> None:
        together = ssl.VerifyFlags(0)
        for flag in flags:
            together |= flag
        self.contexts[side].verify_flags = self.models[side].flags = together

    @rule(side=SIDES, version=VERSIONS)
    def set_minimum_version(self, side: str, version: ssl.TLSVersion) -> None:
        self.contexts[side].minimum_version = version
        self.models[side].minimum = V.TLSv1_3 if version == V.MAXIMUM_SUPPORTED else version

    @rule(
        side=SIDES, version=st.sampled_from([V.TLSv1_2, V.TLSv1_3, V.MINIMUM_SUPPORTED, V.MAXIMUM_SUPPORTED])
    )
    def set_maximum_version(self, side: str, version: ssl.TLSVersion) -> None:
        self.contexts[side].maximum_version = version
        self.models[side].maximum = V.TLSv1_2 if version == V.MINIMUM_SUPPORTED else version

    @rule(side=SIDES, off=some([ssl.OP_NO_TLSv1_2, ssl.OP_NO_TLSv1_3, ssl.OP_NO_TICKET], 0))
    def set_options(self, side: str, off: list[ssl.Options]) -> None:
        together = ssl.OP_ALL
        for each in off:
            together |= each
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.contexts[side].options = self.models[side].options = ssl.Options(together)

    @rule(side=SIDES, suites=some(TLS12_SUITES))
    def set_ciphers(self, side: str, suites: list[str]) -> None:
        self.contexts[side].set_ciphers(":".join(suites))
        self.models[side].tls12_suites = tuple(suites)

    @rule(side=SIDES)
    def set_ciphers_of_none_here(self, side: str) -> None:
        self.contexts[side].set_ciphers("TLSv1")
        self.models[side].tls12_suites = ()

    @rule(side=SIDES, suites=some(TLS13_SUITES))
    def set_ciphersuites(self, side: str, suites: list[str]) -> None:
        self.contexts[side].set_ciphersuites(":".join(suites))
        self.models[side].tls13_suites = tuple(suites)

    @rule(side=SIDES, names=some(GROUPS))
    def set_groups(self, side: str, names: list[str]) -> None:
        self.contexts[side].set_groups(":".join(names))
        self.models[side].groups = tuple(names)

    @rule(side=SIDES, protocols=some(["h2", "one", "two"], 0))
    def set_alpn_protocols(self, side: str, protocols: list[str]) -> None:
        self.contexts[side].set_alpn_protocols(protocols)
        self.models[side].alpn = tuple(protocols)

    @rule(side=SIDES, names=st.none() | some([SERVER_NAME, OTHER_NAME, "nobody.example"], 0))
    def set_allowed_peers(self, side: str, names: list[str] | None) -> None:
        model = self.models[side]
        patterns = None if names is None else [veritls.DNSPattern(name) for name in names]
        self.contexts[side].allowed_peers = patterns
        model.allowed = [] if names is None else [tuple(names)]
        if names is not None and model.mode == ssl.CERT_NONE:
            model.mode = ssl.CERT_REQUIRED

    @rule(side=SIDES, keys=st.none() | some([*KEYS], 0))
    def set_pinned_keys(self, side: str, keys: list[str] | None) -> None:
        pins = None if keys is None else frozenset(KEYS[key] for key in keys)
        self.contexts[side].pinned_keys = pins
        self.models[side].pinned = [] if pins is None else [pins]

    @rule(side=SIDES, callback=st.sampled_from([refuse, accept, None]))
    def set_verify_callback(self, side: str, callback: Any) -> None:
        self.contexts[side].set_verify_callback(callback)
        self.models[side].refuses = callback is refuse
        self.models[side].callbacks = int(callback is not None)

    @rule(side=SIDES, required=st.booleans(), status=st.sampled_from(["refuse", "accept"]))
    def set_revocation(self, side: str, required: bool, status: Any) -> None:
        self.contexts[side].require_ocsp = self.models[side].require_ocsp = required
        self.contexts[side].unknown_revocation_status = self.models[side].unknown_status = status

    @rule(side=SIDES, reverify=st.booleans(), age=st.integers(0, (1 << 32) - 1))
    def set_resumption(self, side: str, reverify: bool, age: int) -> None:
        self.contexts[side].reverify_on_resumption = self.models[side].reverify = reverify
        self.contexts[side].max_resumption_age = timedelta(seconds=age)
        self.models[side].age = age

    @rule(side=SIDES)
    def trust_the_other_root(self, side: str) -> None:
        self.contexts[side].load_verify_locations(cadata=OTHER_ROOT.pem.decode())
        self.models[side].trusted |= {"Other root"}

    @rule(side=SIDES)
    def load_crl(self, side: str) -> None:
        assert self.contexts[side].load_crls(CRL) == (0 if self.models[side].crl else 1)
        self.models[side].crl = True

    @rule(switches=st.booleans())
    def set_sni_callback(self, switches: bool) -> None:
        self.switches = switches
        second = self.contexts["second"]

        def switch(connection: Any, *_: object) -> int | None:
            try:
                connection.context = second
            except (ssl.SSLError, ValueError):  # The two have nothing in common.
                return int(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE)
            return None

        self.contexts["server"].sni_callback = switch if switches else None

    @rule(side=SIDES, bad=st.sampled_from([*BAD]))
    def fail(self, side: str, bad: str) -> None:
        call, raises = BAD[bad]
        with self.nothing_changes(side), pytest.raises(raises):
            call(self.contexts[side])

    @invariant()
    def what_was_set_is_shown(self) -> None:
        for side, context in self.contexts.items():
            model = self.models[side]
            shown = [each["name"] for each in context.get_ciphers()]
            allowed, pinned = context.allowed_peers, context.pinned_keys
            assert context.verify_mode == model.mode
            assert context.check_hostname == model.check_hostname
            assert context.verify_flags == model.flags
            assert context.options == model.options
            assert (context.minimum_version, context.maximum_version) == (model.minimum, model.maximum)
            assert shown == [*model.tls13_suites, *model.tls12_suites]
            assert context.get_groups() == [*model.groups]
            named = [] if allowed is None else [tuple(each.value for each in allowed)]
            assert named == model.allowed
            assert ([] if pinned is None else [pinned]) == model.pinned
            assert context.require_ocsp == model.require_ocsp
            assert context.unknown_revocation_status == model.unknown_status
            assert context.reverify_on_resumption == model.reverify
            assert context.max_resumption_age == model.age
            stats = {"x509": len(model.trusted), "x509_ca": len(model.trusted), "crl": int(model.crl)}
            assert context.cert_store_stats() == stats
        if self.contexts:
            assert (self.contexts["server"].sni_callback is not None) == self.switches

    @rule(probe=PROBES)
    def a_server_accepts_whom_it_has_to(self, probe: Probe) -> None:
        first, model = self.models["server"], self.models["server"]
        if self.switches:
            model = self.models["second"].after(first)
        client = probe.context(server_side=False)
        party = PEERS[probe.who]
        if party is not None:
            client.load_cert_chain(*files(probe.who)) if probe.standard else client.load_cert_chain(
                party.pem, party.key_pem
            )
        if not first.is_usable():
            with pytest.raises((ssl.SSLError, ValueError)):
                connect(self.contexts["server"], client, probe.name)
            return
        met = connect(self.contexts["server"], client, probe.name)
        good = model.is_usable() and probe.meets(model) and model.accepts(probe.who, probe.name)
        self.compare(met, met.server, good, model, probe)

    @rule(probe=PROBES)
    def a_client_accepts_whom_it_has_to(self, probe: Probe) -> None:
        model = self.models["client"]
        party = PEERS[probe.who]
        if party is None:
            return
        server = probe.context(server_side=True)
        server.load_cert_chain(*files(probe.who)) if probe.standard else server.load_cert_chain(
            party.pem, party.key_pem
        )
        if not model.is_usable():
            with pytest.raises((ssl.SSLError, ValueError)):
                connect(server, self.contexts["client"], probe.name)
            return
        met = connect(server, self.contexts["client"], probe.name)
        self.compare(
            met, met.client, probe.meets(model) and model.accepts(probe.who, probe.name), model, probe
        )

    def teardown(self) -> None:
        """Everybody comes once to what the contexts are in the end."""
        everybody = [
            Probe(who, frozenset({V.TLSv1_2, V.TLSv1_3}), frozenset(TLS12_SUITES), "", (), name)
            for who in PEERS
            for name in (SERVER_NAME, OTHER_NAME)
        ]
        for probe in everybody if self.contexts else ():
            self.a_client_accepts_whom_it_has_to(probe)
        for switches in (False, True) if self.contexts else ():
            self.set_sni_callback(switches)
            for probe in everybody[::2]:
                self.a_server_accepts_whom_it_has_to(probe)

    @staticmethod
    def compare(met: Any, end: Any, good: bool, model: Model, probe: Probe) -> None:
        assert met.refused == (not good), (met.server_error, met.client_error)
        if good:
            newest = max(model.versions() & probe.versions)
            assert end.version() == {V.TLSv1_2: "TLSv1.2", V.TLSv1_3: "TLSv1.3"}[newest]
            assert end.cipher()[0] in (model.tls13_suites if newest == V.TLSv1_3 else model.tls12_suites)
            assert probe.standard or not probe.group or end.group() == probe.group
            protocol = end.selected_alpn_protocol()
            assert protocol is None or protocol in set(model.alpn) & set(probe.alpn)


FILES: dict[str, tuple[str, str]] = {}


def files(who: str) -> tuple[str, str]:
    """For the standard library, which reads files only."""
    return FILES[who]


@pytest.fixture(autouse=True, scope="module")
def files_of_peers(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("peers")
    for who, party in PEERS.items():
        if party is not None:
            certificate, key = folder / f"{who}.pem", folder / f"{who}.key"
            certificate.write_bytes(party.pem)
            key.write_bytes(party.key_pem)
            FILES[who] = str(certificate), str(key)


RANDOM_CALLS = settings(
    deadline=None,
    max_examples=30,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@pytest.mark.timeout(300)
def test_what_a_context_shows_is_what_it_enforces_after_any_sequence_of_calls() -> None:
    run_state_machine_as_test(Contexts, settings=RANDOM_CALLS)
