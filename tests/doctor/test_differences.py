"""Each difference that is written down has a rule, or a reason why a program's text cannot show it."""

from __future__ import annotations

import inspect
import re

from tests.differences import NOT_OFFERED, SAFER
from veritls._doctor import looking, rules

BY_RULE: dict[str, str] = {
    "TLS 1.0, TLS 1.1": "protocol",
    "finite-field Diffie-Hellman": "ciphers",
    "pre-shared keys": "method",
    "post-handshake authentication": "method",
    "tls-unique": "method",
    "a choice of signature algorithms": "method",
    "key exchange groups": "method",
    "VERIFY_ALLOW_PROXY_CERTS": "attribute",
    "security levels": "ciphers",
    "the private _msg_callback": "attribute",
    "the common name": "attribute",
    "maximum_version": "attribute",
    "without a common ALPN": "settings",
    "shutdown()": "shutdown",
    "after sni_callback": "switching",
    "a public attribute": "attribute",
    "there is no password prompt": "password",
    "a cipher string without": "ciphers",
    "OP_IGNORE_UNEXPECTED_EOF": "settings",
    "RSA keys below 2048 bits": "ciphers",
    "a capath folder": "settings",
    "a capath that cannot be read": "settings",
    "wrap_bio()": "method",
}
"""How a row begins -> the rule that finds it."""

NOT_IN_A_TEXT: dict[str, str] = {
    "renegotiation and compression": "ssl has no call for either; compression() is None with it, too",
    "NPN": "Python's ssl has had none since 3.10",
    "keys whose certificate names RSASSA-PSS": "of a file",
    "TLS 1.3 tickets for wolfSSL": "of the peer",
    "a connection cannot be used while": "of when it runs",
    "a session is resumed only": "of the peer",
    "a session is resumed for": "of when it runs",
    "an SSLSocket that is not connected": "of when it runs",
    "close() ends": "of when it runs",
    "a connection that another thread": "of when it runs",
    "a write that is left unfinished": "of when it runs",
    "a chain whose verification": "of the peer",
    "where a CA demands": "of the peer",
    "a CRL of one distribution point": "of a file",
    "a TLS 1.3 ticket": "of the peer",
    "until its handshake has ended": "of when it runs",
    "a socket that was refused": "of when it runs",
    "a stapled OCSP response": "of the peer",
    "a certificate for other names": "of a file",
    "session IDs without tickets": "of the peer",
}
"""How a row begins -> what it depends on."""


def test_each_difference_has_a_rule_or_a_reason() -> None:
    beginnings = [*BY_RULE, *NOT_IN_A_TEXT]
    rows = [*NOT_OFFERED, *SAFER]
    assert [row for row in rows if sum(row.startswith(each) for each in beginnings) != 1] == []
    assert [each for each in beginnings if sum(row.startswith(each) for row in rows) != 1] == []


def test_the_rules_are_those_that_findings_name() -> None:
    named = re.findall(r'"([a-z-]+)",\s*(?:BREAKS|MAY|NOTE|error)\b', inspect.getsource(looking))
    by_choice = {"ciphers", "method"}  # of a method of a context
    assert {*named, *by_choice} == rules.RULES.keys()
    assert set(BY_RULE.values()) <= rules.RULES.keys()
