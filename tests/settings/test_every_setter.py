"""A change of any setting after a first connection holds for the next one."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import veritls
from tests.settings.conftest import CLIENT, OTHER_ROOT, ROOT, World
from tests.support.certificates import Party, pem
from veritls._context.peer import PeerPolicy
from veritls._context.protocol import ProtocolSettings
from veritls._context.settings import Settings

V = ssl.TLSVersion
ELSEWHERE = "elsewhere.example"


@dataclasses.dataclass(frozen=True)
class Case:
    """`before` is set up, then one connection succeeds; `change` is made, and the next one fails.

    `fields`: what of the settings it is about. `side`: whose context is changed.
    """

    fields: str
    side: str
    change: Callable[[Any], None]
    before: Callable[[Any, Any], None] = lambda server, client: None
    name: str = "localhost"


def assign(name: str, value: Any) -> Callable[[Any], None]:
    return lambda context: setattr(context, name, value)


def flag(added: ssl.VerifyFlags) -> Callable[[Any], None]:
    return lambda context: setattr(context, "verify_flags", context.verify_flags | added)


def refusing(context: Any) -> None:
    def refuse(report: object) -> None:
        raise PermissionError("no")

    context.set_verify_callback(refuse)


def unverified_client(server: Any, client: Any) -> None:
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE


def unknown_server(server: Any, client: Any) -> None:
    unverified_client(server, client)
    identity_of_a_stranger(server)


def client_that_checks_no_name(server: Any, client: Any) -> None:
    client.check_hostname = False


def crl_of_a_stranger(context: Any) -> None:
    context.load_crls(pem(ROOT.crl(CLIENT)))


def crl_checked(server: Any, client: Any) -> None:
    server.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    server.load_crls(pem(ROOT.crl(number=0)))


def tls12_client(server: Any, client: Any) -> None:
    client.maximum_version = V.TLSv1_2


def tls13_server(server: Any, client: Any) -> None:
    server.minimum_version = V.TLSv1_3


def client_of_p256(server: Any, client: Any) -> None:
    client.set_groups("P-256")


def unknown_accepted(server: Any, client: Any) -> None:
    server.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    server.unknown_revocation_status = "accept"


def intermediates(server: Any, client: Any) -> None:
    server.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    server.load_verify_locations(cadata=MIDDLE.pem.decode())
    client.load_cert_chain(BELOW_MIDDLE.pem, BELOW_MIDDLE.key_pem)


def deprecated(change: Callable[[Any], None]) -> Callable[[Any], None]:
    def changed(context: Any) -> None:
        with pytest.warns(DeprecationWarning):
            change(context)

    return changed


def no_version(option: ssl.Options) -> Callable[[Any], None]:
    return deprecated(lambda context: setattr(context, "options", context.options | option))


def sni_refusing(context: Any) -> None:
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_ACCESS_DENIED


def identity_of_a_stranger(context: Any) -> None:
    party = Party("stranger", OTHER_ROOT, names=["localhost"])
    context.load_cert_chain(party.pem, party.key_pem)


MIDDLE = Party("Middle", OTHER_ROOT, ca=True)
BELOW_MIDDLE = Party("below", MIDDLE)

CASES = [
    Case("check_hostname", "client", assign("check_hostname", True), unverified_client, ELSEWHERE),
    Case("check_hostname", "client", assign("check_hostname", True), client_that_checks_no_name, ELSEWHERE),
    Case("verify_mode", "server", assign("allowed_peers", [])),
    Case("verify_mode", "client", assign("verify_mode", ssl.CERT_REQUIRED), unknown_server),
    Case("verify_flags", "server", flag(ssl.VERIFY_CRL_CHECK_LEAF)),
    Case("verify_flags", "server", flag(ssl.VERIFY_CRL_CHECK_CHAIN)),
    Case("verify_flags", "server", assign("verify_flags", ssl.VERIFY_X509_TRUSTED_FIRST), intermediates),
    Case("unknown_status", "server", assign("unknown_revocation_status", "refuse"), unknown_accepted),
    Case("require_ocsp", "client", assign("require_ocsp", True)),
    Case("allowed_peers", "server", assign("allowed_peers", [])),
    Case("allowed_peers", "client", assign("allowed_peers", [veritls.DNSPattern("a.example")])),
    Case("pinned_keys", "server", assign("pinned_keys", [bytes(32)])),
    Case("pinned_keys", "client", assign("pinned_keys", [bytes(32)]), unverified_client),
    Case("callbacks", "server", refusing),
    Case("callbacks", "client", refusing, unverified_client),
    Case("trust", "server", crl_of_a_stranger, crl_checked),
    Case("own", "server", identity_of_a_stranger),
    Case("sni_callback", "server", sni_refusing),
    Case("minimum", "server", assign("minimum_version", V.TLSv1_3), tls12_client),
    Case("maximum", "client", assign("maximum_version", V.TLSv1_2), tls13_server),
    Case("options", "server", no_version(ssl.OP_NO_TLSv1_2), tls12_client),
    Case("options", "client", no_version(ssl.OP_NO_TLSv1_3), tls13_server),
    Case("tls12_suites", "server", lambda context: context.set_ciphers("aRSA"), tls12_client),
    Case("groups", "server", lambda context: context.set_groups("x25519"), client_of_p256),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.side} {case.fields}")
def test_a_demand_that_is_made_after_a_connection_holds_for_the_next(case: Case, world: World) -> None:
    server, client = world.server(ssl.CERT_REQUIRED), world.client()
    case.before(server, client)
    first = world.meet(server, client, case.name)
    assert (first.server.error, first.client.error) == (None, None)
    case.change(server if case.side == "server" else client)
    second = world.meet(server, client, case.name, first.client.session)
    assert second.server.error is not None or second.client.error is not None


def test_an_empty_list_of_allowed_peers_raises_the_mode_of_a_server_that_requested_no_certificate(
    world: World,
) -> None:
    server, client = world.server(), world.client()
    assert world.meet(server, client).server.error is None
    server.allowed_peers = []
    assert server.verify_mode == ssl.CERT_REQUIRED
    assert world.meet(server, client).server.error is not None
    assert world.meet(server, world.client(None)).server.error is not None


def test_trust_that_is_added_after_a_connection_holds_for_the_next(world: World) -> None:
    server, client = world.server(ssl.CERT_REQUIRED), world.client(Party("theirs", OTHER_ROOT))
    assert world.meet(server, client).server.error is not None
    server.load_verify_locations(cadata=OTHER_ROOT.pem.decode())
    assert world.meet(server, client).server.error is None


def test_reverify_on_resumption_that_is_turned_on_after_a_connection_holds_for_the_next(
    world: World,
) -> None:
    server, client = world.server(ssl.CERT_REQUIRED), world.client()
    server.reverify_on_resumption = client.reverify_on_resumption = False
    first = world.meet(server, client)
    server.reverify_on_resumption = True
    second = world.meet(server, client, session=first.client.session)
    assert second.server.error is None and not second.resumed


def test_tickets_that_are_turned_off_after_a_connection_resume_nothing(world: World) -> None:
    server, client = world.server(), world.client()
    first = world.meet(server, client)
    assert world.meet(server, client, session=first.client.session).resumed
    again = world.meet(server, client)
    server.options |= ssl.OP_NO_TICKET
    assert not world.meet(server, client, session=again.client.session).resumed
    server.options &= ~ssl.OP_NO_TICKET
    server.num_tickets = 0
    third = world.meet(server, client)
    assert third.client.session is None or not third.client.session.has_ticket


def test_every_field_of_the_settings_has_a_case() -> None:
    tested = {case.fields for case in CASES}
    elsewhere = {
        "protocol",  # its fields are
        "peer",  # its fields are
        "method",  # set once, when the context is made
        "alpn",  # tests/test_parameters.py
        "keylog",  # tests/test_parameters.py
        "tls13_suites",  # tests/test_parameters.py
        "tickets",  # above
        "reverify",  # above
        "max_resumption_age",  # tests/resumption/test_age.py
        "renewal",  # tests/revocation/test_stapling.py
        "statistics",  # counts, and demands nothing
        "generation",  # the same: tests/operate/test_events.py
        "listeners",  # tests/operate/test_listeners.py
        "material_listeners",  # tests/operate/test_material_events.py
        "followed",  # tests/operate/test_follow.py
        "fresh",  # tests/operate/test_max_stale.py
        "ticket_secret",  # set once, when the context is made
        "ticket_keys",  # tests/operate/test_ticket_keys.py
        "by_callback",  # the same
    }
    kinds: tuple[Any, ...] = (Settings, ProtocolSettings, PeerPolicy)
    fields = {name for kind in kinds for name in kind.fields_of}
    assert fields == tested | elsewhere
