"""Who takes part: certificates of a trusted CA, and what an attacker makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.certificates import Party, new_key


@dataclass(frozen=True)
class Parties:
    """The CA that both sides trust, and certificates for localhost."""

    ca: Party
    server: Party
    rsa_server: Party
    own: Party
    """The attacker's own certificate: the CA signed it, and the attacker holds its key."""
    victim: Party
    """Another's certificate, which anybody can have seen. The attacker does not hold its key."""
    rsa: Party
    """The attacker's own with an RSA key."""
    p384: Party
    """The same on P-384."""
    odd_curve: Party
    """The same on a curve that is not offered."""
    forged: Party
    """It names the CA and its key, and the signature is not the CA's."""
    stranger: Party
    """By a CA that nobody trusts."""


def make() -> Parties:
    ca = Party("A CA", ca=True)
    return Parties(
        ca=ca,
        server=ca.issue("localhost"),
        rsa_server=ca.issue("localhost", key=new_key("RSA")),
        own=ca.issue("localhost"),
        victim=ca.issue("localhost"),
        rsa=ca.issue("localhost", key=new_key("RSA")),
        p384=ca.issue("localhost", key=ec.generate_private_key(ec.SECP384R1())),
        odd_curve=ca.issue("localhost", key=ec.generate_private_key(ec.SECP256K1())),
        forged=ca.issue("localhost", signer=new_key()),
        stranger=Party("Another CA", ca=True).issue("localhost"),
    )


def files(parties: Parties, folder: Path) -> tuple[Path, Path]:
    """(the CA, the server with its key), PEM."""
    ca = folder / "ca.pem"
    ca.write_bytes(parties.ca.pem)
    return ca, parties.server.file(folder)
