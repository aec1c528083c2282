"""The optional checks of a peer, each as what it takes to turn it on: the place to add another one.

A check counts where the context has what it needs; `python -m bench --only checks` measures it beside a
handshake without it.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.certificates import Certificates
from bench.recipe import SERVER_NAME, Recipe

CRL_ENTRIES = 1000

Turn = Callable[[Any, Any, Recipe], None]
"""Turns a check on: (module, context, recipe)."""


def _nothing(module: Any, context: Any, recipe: Recipe) -> None:
    pass


@dataclass(frozen=True)
class Check:
    name: str
    on_client: Turn
    on_server: Turn = _nothing
    needs: str | None = None
    """The attribute of the context without which there is no such check."""
    file: Callable[[Certificates], str] | None = None
    """Makes what `recipe.check_file` has to name."""


def _leaf_revocation(module: Any, context: Any, recipe: Recipe) -> None:
    context.load_verify_locations(recipe.check_file)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _chain_revocation(module: Any, context: Any, recipe: Recipe) -> None:
    context.load_verify_locations(recipe.check_file)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _strict(module: Any, context: Any, recipe: Recipe) -> None:
    context.verify_flags |= ssl.VERIFY_X509_STRICT


def _allowed_peers(module: Any, context: Any, recipe: Recipe) -> None:
    context.allowed_peers = [module.DNSPattern(SERVER_NAME)]


def _pinned_keys(module: Any, context: Any, recipe: Recipe) -> None:
    certificate = x509.load_pem_x509_certificates(Path(recipe.server).read_bytes())[0]
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    context.pinned_keys = [hashlib.sha256(key).digest()]


def _verify_callback(module: Any, context: Any, recipe: Recipe) -> None:
    context.set_verify_callback(lambda report: None)


def _require_ocsp(module: Any, context: Any, recipe: Recipe) -> None:
    context.require_ocsp = True


def _staple(module: Any, context: Any, recipe: Recipe) -> None:
    context.load_verify_locations(recipe.ca)
    context.set_ocsp_response(Path(recipe.check_file or "").read_bytes())


def _crl(certificates: Certificates) -> str:
    return certificates.revocation_list(CRL_ENTRIES)


CHECKS = (
    Check("revocation list, leaf", _leaf_revocation, file=_crl),
    Check("revocation list, chain", _chain_revocation, file=_crl),
    Check("VERIFY_X509_STRICT", _strict),
    Check("allowed_peers", _allowed_peers, needs="allowed_peers"),
    Check("pinned_keys", _pinned_keys, needs="pinned_keys"),
    Check("verify callback", _verify_callback, needs="set_verify_callback"),
    Check("require_ocsp", _require_ocsp, _staple, needs="require_ocsp", file=Certificates.ocsp_response),
)


def find(name: str) -> Check:
    return next(check for check in CHECKS if check.name == name)
