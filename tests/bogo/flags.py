"""The arguments that the runner gives: what each is followed by, and for which connection it counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VALUED = words("""
    port shim-id resume-count write-settings write-hint-trace verify-prefs expect-peer-verify-pref curves
    curves-flags tls13-ciphers tls13-ciphers-flags key-shares server-supported-groups-hint trust-cert
    expect-server-name ech-server-config ech-server-key ech-is-retry-config expect-ech-name-override
    expect-ech-retry-configs ech-config-list expect-certificate-types advertise-npn expect-next-proto
    select-next-proto expect-channel-id send-channel-id shim-initial-write repeat-shim-initial-write host-name
    advertise-alpn expect-alpn expect-advertised-alpn select-alpn expect-peer-application-settings
    alps-use-new-codepoint quic-transport-params expect-quic-transport-params quic-use-legacy-codepoint psk
    psk-identity srtp-profiles expect-signed-cert-timestamps min-version max-version expect-version mtu
    fail-cert-callback-alert cipher export-keying-material export-label export-context expect-ocsp-response
    expect-total-renegotiations expect-peer-signature-algorithm expect-curve-id initial-timeout-duration-ms
    use-client-ca-list expect-client-ca-list max-cert-list ticket-key expect-cipher-aes expect-cipher-no-aes
    expect-cipher expect-peer-cert-file resumption-delay max-send-fragment read-size expect-ticket-age-skew
    expect-msg-callback install-one-cert-compression-alg handshaker-path expect-early-data-reason
    quic-early-data-context early-write-after-message expect-peer-available-trust-anchors
    requested-trust-anchors available-trust-anchors expect-selected-credential cert-file key-file
    signing-prefs delegated-credential ocsp-response signed-cert-timestamps pake-context pake-client-id
    pake-server-id pake-password psk-importer-key psk-importer-identity psk-importer-context cert-properties
    session-id-context private-key-delay-ms accepted-peer-cert-types available-client-cert-types
    expect-peer-certificate-type expect-peer-rpk-sha256 request-server-padding application-settings
""")
"""The flags that a value follows."""

PREFIXES = {"on-shim-": "all", "on-initial-": "initial", "on-resume-": "resume", "on-retry-": "retry"}


@dataclass
class Flags:
    """The flags of one connection: name -> its values, in order; a flag without any has one empty value."""

    given: dict[str, list[str]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def text(self, name: str, default: str = "") -> str:
        return self.given.get(name, [default])[-1]

    def number(self, name: str, default: int = 0) -> int:
        return int(self.text(name) or default)

    def numbers(self, name: str) -> list[int]:
        return [int(each) for each in self.given.get(name, [])]


def split(arguments: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """(which connections, name, values) of each flag."""
    rest = iter(arguments)
    for argument in rest:
        name, which = argument.removeprefix("-"), "all"
        for prefix, meant in PREFIXES.items():
            if name.startswith(prefix):
                name, which = name.removeprefix(prefix), meant
        count = int(name in VALUED)
        yield which, name, [next(rest, "") for _ in range(count)]


def parse(arguments: list[str]) -> tuple[Flags, Flags, Flags]:
    """The flags of the first connection, of those that resume, and of those after refused early data."""
    first, resumed, retried = Flags(), Flags(), Flags()
    targets = {
        "all": (first, resumed, retried),
        "initial": (first,),
        "resume": (resumed,),
        "retry": (retried,),
    }
    for which, name, values in split(arguments):
        for flags in targets[which]:
            flags.given.setdefault(name, []).extend(values or [""])
    return first, resumed, retried
