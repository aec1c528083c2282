"""A report in the words of the command line: options where the library names what a program calls or sets."""

from __future__ import annotations

from typing import Any

from veritls._report.checks import RUNS_LATER
from veritls.report import VerificationReport

OPTIONS = {
    "(SSL_CERT_FILE, load_verify_locations)": "(SSL_CERT_FILE, --ca)",
    "(load_default_certs)": "(leave out --ca)",
    "(load_intermediates)": "(not a CA that was given as one)",
    "(verify_flags: VERIFY_X509_PARTIAL_CHAIN)": "(--partial-chain)",
    "(verify_flags: VERIFY_CRL_CHECK_LEAF or VERIFY_CRL_CHECK_CHAIN)": "(--crl)",
    "(verify_flags: VERIFY_X509_STRICT)": "(--strict)",
    "(RFC 5280; VERIFY_X509_STRICT)": "(RFC 5280; --strict)",
    "(VERIFY_X509_STRICT)": "(--strict)",
    "Or clear VERIFY_X509_STRICT in verify_flags": "Or leave out --strict",
    "Or turn revocation checks off (verify_flags)": "Or do not check revocation (leave out --crl)",
    "check_hostname, or verify_chain's server_hostname": "--name",
    "add its bundle to spiffe_bundles": "give its CAs (--ca)",
    "a client with spiffe_bundles needs them": "a client of trust domains needs them",
    "to the bundle (spiffe_bundles)": "(--ca)",
    "(spiffe_bundles)": "(trust domains)",
    "add its name to allowed_peers": "give its name (--allow)",
    "matches none of allowed_peers": "has no name of --allow",
    "then add it to pinned_keys": "then give it (--pin)",
    "is in pinned_keys": "is one of --pin",
    " was not verified (CERT_NONE)": " was not verified",
    "(set_verify_callback)": "(of a program)",
    "the exception of the callback (__cause__)": "the exception of the callback",
    "CERT_NONE": "nothing is verified",
    "load_verify_locations": "--ca",
    "load_crls": "--crl",
    "server_hostname": "--name",
    "require_ocsp": "--require-ocsp",
    "allowed_peers": "--allow",
    "pinned_keys": "--pin",
}
"""What a report tells a program to call or to set -> the option that does it. Longer texts come first."""


def in_options(text: str) -> str:
    """A sentence, a remedy or evidence of a report for the user of a command line."""
    for program, option in OPTIONS.items():
        text = text.replace(program, option)
    return text


def as_dict(report: VerificationReport) -> dict[str, Any]:
    """`VerificationReport.as_dict` in the words of the command line.

    Without the check by the verify callback, which is a program's.
    """
    found = report.as_dict()
    found["sentence"] = in_options(found["sentence"])
    found["remedies"] = [in_options(each) for each in found["remedies"]]
    found["checks"] = [
        {**each, "evidence": in_options(each["evidence"])}
        for each in found["checks"]
        if not each["evidence"].startswith(RUNS_LATER) and each["name"] != "callback"
    ]
    return found
