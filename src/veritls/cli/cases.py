"""The policy of verify_mode, written out a second time: what is tried, and what must happen.

Not derived from `veritls.policy`, on purpose: a mistake there must become a wrong row here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ssl import CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED, VerifyMode
from typing import Literal

from veritls.cli.certificates import OTHER_NAME, SERVER_NAME

Side = Literal["server", "client"]
Seen = Literal["nothing", "unchecked", "checked"]
"""What `getpeercert()` shows of the peer: None, ``{}`` (sent but not validated), or the certificate."""

EXPIRED = 10
SELF_SIGNED = 18
UNKNOWN_ISSUER = 20
WRONG_NAME = 62
NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


@dataclass(frozen=True)
class GoesOn:
    """The connection goes on, and veritls sees this of its peer's certificate."""

    seen: Seen


@dataclass(frozen=True)
class Refused:
    """The side `by` ends the handshake: by an X509_V_ERR number, or by the `reason` of an SSLError."""

    by: Side
    why: int | str


@dataclass(frozen=True)
class Case:
    """One row: veritls is on `side` in `mode`; its peer tries `tried` with the certificate `credential`."""

    side: Side
    mode: VerifyMode
    tried: str
    credential: str | None
    policy: GoesOn | Refused
    asked_name: str = SERVER_NAME
    """The host name under which the client connects."""

    @property
    def peer_side(self) -> Side:
        """The side that veritls is not on in this row."""
        return "client" if self.side == "server" else "server"


# Certificate of the peer -> what happens under CERT_NONE, CERT_OPTIONAL and CERT_REQUIRED.
_MODES = (CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED)
_UNASKED, _UNCHECKED, _CHECKED = GoesOn("nothing"), GoesOn("unchecked"), GoesOn("checked")
_BY_CLIENT = Refused("client", WRONG_NAME)

_CLIENTS_OF_A_SERVER: tuple[tuple[str, str | None, str, tuple[GoesOn | Refused, ...]], ...] = (
    ("valid certificate", "client-valid", SERVER_NAME, (_UNASKED, _CHECKED, _CHECKED)),
    ("no certificate", None, SERVER_NAME, (_UNASKED, _UNASKED, Refused("server", NO_CERTIFICATE))),
    (
        "expired certificate",
        "client-expired",
        SERVER_NAME,
        (_UNASKED, Refused("server", EXPIRED), Refused("server", EXPIRED)),
    ),
    (
        "certificate of another CA",
        "client-stranger",
        SERVER_NAME,
        (_UNASKED, Refused("server", UNKNOWN_ISSUER), Refused("server", UNKNOWN_ISSUER)),
    ),
    (
        "valid, arbitrary name (never checked by a server)",
        "client-any-name",
        SERVER_NAME,
        (_UNASKED, _CHECKED, _CHECKED),
    ),
    ("valid, but connects to a wrong host name", "client-valid", OTHER_NAME, (_BY_CLIENT,) * 3),
)

_SERVERS_OF_A_CLIENT: tuple[tuple[str, str, tuple[GoesOn | Refused, ...]], ...] = (
    ("valid certificate", "server-valid", (_UNCHECKED, _CHECKED, _CHECKED)),
    (
        "expired certificate",
        "server-expired",
        (_UNCHECKED, Refused("client", EXPIRED), Refused("client", EXPIRED)),
    ),
    (
        "self-signed certificate",
        "server-self-signed",
        (_UNCHECKED, Refused("client", SELF_SIGNED), Refused("client", SELF_SIGNED)),
    ),
    ("valid, but for another host name", "server-misnamed", (_UNCHECKED, _BY_CLIENT, _BY_CLIENT)),
)


def cases() -> Iterator[Case]:
    """Every row of the demonstration, from top to bottom."""
    for column, mode in enumerate(_MODES):
        for tried, credential, name, policies in _CLIENTS_OF_A_SERVER:
            yield Case("server", mode, tried, credential, policies[column], name)
    for column, mode in enumerate(_MODES):
        for tried, server_credential, policies in _SERVERS_OF_A_CLIENT:
            yield Case("client", mode, tried, server_credential, policies[column])
