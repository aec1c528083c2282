"""Two SPIFFE trust domains with a CA each, and contexts whose anchors are theirs."""

from __future__ import annotations

import ssl
from typing import Any

from cryptography import x509

import veritls
from tests.support.certificates import Party

A, B = "a.example", "b.example"
A_CA, B_CA = Party("The CA of A", ca=True), Party("The CA of B", ca=True)
BUNDLES = {A: A_CA.der, B: B_CA.der}
EVERY_WORKLOAD = [veritls.SPIFFE(f"spiffe://{domain}/**") for domain in (A, B)]


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def svid(issuer: Party, text: str, **options: Any) -> Party:
    """A certificate with one URI and no other name."""
    return issuer.issue(uri(text), **options)


def server(own: Party | None = None, bundles: Any = BUNDLES, *above: Party) -> Any:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    if own is not None:
        context.load_cert_chain(own.identity(*(above or own.above)))
    context.verify_mode = ssl.CERT_REQUIRED
    context.spiffe_bundles = bundles
    return context


def client(own: Party | None = None, bundles: Any = BUNDLES, *above: Party) -> Any:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    if own is not None:
        context.load_cert_chain(own.identity(*(above or own.above)))
    context.check_hostname = False
    context.allowed_peers = EVERY_WORKLOAD
    context.spiffe_bundles = bundles
    return context


def kind(context: Any, *chain: Party | bytes, **options: Any) -> str:
    """The kind of the refusal of a chain; "" where it is trusted."""
    sent = [each.der if isinstance(each, Party) else each for each in chain]
    try:
        context.verify_chain(sent, **options)
    except veritls.SSLCertVerificationError as error:
        return str(error.report.kind)
    return ""
