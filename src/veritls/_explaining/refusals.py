"""From the engine's refusal of a certificate to the report and the exception."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from veritls import _engine
from veritls._explaining.diagnosis import Case, crl_status, refined, trusted_above
from veritls._explaining.engine_words import refusal_words
from veritls._explaining.explanation import refused
from veritls._explaining.reasons import ssl_error
from veritls._explaining.verify_errors import VERIFY_ERRORS
from veritls._report.parsed_certificate import is_address
from veritls._report.rendering import moment_of
from veritls._report.request import Refusal, Request
from veritls.errors import SSLCertVerificationError


def _refusal(rejection: _engine.Rejection, request: Request) -> Refusal:
    trust = rejection.trust
    kind = refined(rejection.kind, rejection.detail, request.chain)
    presented, path = tuple(rejection.presented), tuple(rejection.path)
    plain = Refusal(kind, refusal_words(rejection), rejection.bound, presented, path)
    if trust is None:
        return plain
    above = trusted_above(request.chain, trust)
    known = replace(
        plain,
        anchors=trust.anchors,
        unread=tuple(trust.unread),
        above=above,
        helping=tuple(der for der, anchor in above if not anchor and trust.helps(der)),
        trust_domain=trust.trust_domain,
    )
    if not kind.startswith("revo"):
        return known
    return replace(known, crls=crl_status(Case(request, known).path, trust))


def _texts(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _request(rejection: _engine.Rejection) -> Request:
    time = rejection.time
    return Request(
        chain=tuple(rejection.chain),
        purpose=rejection.purpose,
        at=(moment_of(time) if time is not None else None) or datetime.now(UTC),
        server_hostname=rejection.server_hostname,
        revocation=rejection.revocation,
        strict=rejection.strict,
        allowed_peers=_texts(rejection.allowed_peers),
        pinned_keys=_texts(rejection.pinned_keys),
        ocsp=rejection.ocsp,
        by_trust_domain=rejection.trust is not None and rejection.trust.by_trust_domain,
    )


def certificate_refused(rejection: _engine.Rejection) -> SSLCertVerificationError:
    """The error for a certificate that the engine refused."""
    request = _request(rejection)
    return verification_error(request, _refusal(rejection, request), rejection.cause)


def verification_error(
    request: Request, refusal: Refusal, cause: BaseException | None = None
) -> SSLCertVerificationError:
    """OpenSSL's code and words for a refusal, then the report's sentence. `cause`: what a callback raised."""
    report = refused(request, refusal)
    kind, name = refusal.kind, request.server_hostname
    if kind == "name" and name is not None:
        number, label = (64, "IP address") if is_address(name) else (62, "Hostname")
        message = f"{label} mismatch, certificate is not valid for '{name}'."
    else:
        number, message = VERIFY_ERRORS.get(kind, VERIFY_ERRORS["other"])
    words = f"certificate verify failed: {message}{' ' if message.endswith('.') else ': '}{report.sentence}"
    error = ssl_error("CERTIFICATE_VERIFY_FAILED", words, kind=SSLCertVerificationError)
    assert isinstance(error, SSLCertVerificationError)
    error.verify_code = number
    error.verify_message = message
    error.report = report
    if cause is not None:
        error.__cause__ = cause
    return error
