"""What a context decides about a chain, with and without a connection."""

from __future__ import annotations

import ssl
from typing import Any

import veritls
from tests.support.certificates import Party
from tests.support.connections import tls_pair

CRL_LEAF, CRL_CHAIN = ssl.VERIFY_CRL_CHECK_LEAF, ssl.VERIFY_CRL_CHECK_CHAIN


def clients(trusted: Any, flags: int = 0) -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=trusted)
    context.verify_flags |= flags
    return context


def serving(leaf: Party, *above: Party) -> veritls.SSLContext:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain([leaf.certificate, *(each.certificate for each in above)], leaf.key)
    return context


def code(context: veritls.SSLContext, *chain: Party, **options: Any) -> int:
    """0 where `context` accepts the chain, else the verify_code."""
    try:
        context.verify_chain([each.der for each in chain], **options)
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
    return 0


def code_in_handshake(client: veritls.SSLContext, server: veritls.SSLContext) -> int:
    """0 where a handshake ends well, else the verify_code of the client's error."""
    try:
        with tls_pair(server, client):
            return 0
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
