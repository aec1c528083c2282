"""`veritls audit --peer PEER=FILE`: a certificate that would be refused for another reason proves nothing."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.audit.support import REVOKED, ROOT, Files, as_json, audit, server_context, with_verdict as having
from tests.check_servers import serving
from tests.support.certificates import DAY, NOW, Party

FOR_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
FOR_CLIENTS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
RETIRED = Party("Audit CA", ca=True)
"""Another CA of the same name as ROOT."""
MIDDLE = Party("Middle", ROOT, ca=True)
PAST = NOW - DAY


@pytest.mark.parametrize(
    ("key", "party", "words"),
    [
        ("expired", Party("a", ROOT), "it has not expired"),
        ("expired", Party("a", RETIRED, end=PAST), "no CA in --ca has issued it"),
        ("expired", Party("a", Party("b", ca=True), end=PAST), "no CA in --ca has issued it"),
        ("expired", Party("a", MIDDLE, end=PAST), "no CA in --ca has issued it"),
        ("expired", Party("a", ROOT, end=PAST, purposes=FOR_SERVERS), "it is not for clients"),
        ("not-yet-valid", Party("a", ROOT), "it is valid already"),
        ("revoked", Party("a", ROOT, end=PAST), "it is not valid today"),
        ("other-name", Party("a", ROOT, start=NOW + DAY), "it is not valid today"),
        ("purpose", Party("a", ROOT, end=PAST, purposes=FOR_SERVERS), "it is not valid today"),
        ("purpose", Party("a", ROOT, purposes=FOR_CLIENTS), "it is for clients"),
        ("purpose", Party("a", ROOT), "it is for clients"),
        ("weak", Party("a", ROOT), "its key is not too short"),
        ("other-ca", Party("a", ROOT), "a CA in --ca has issued it"),
        ("namesake", Party("a", ROOT), "a CA in --ca has issued it"),
        ("self-signed", Party("a", ROOT), "a CA in --ca has issued it"),
        ("self-signed", Party("a", Party("b", ca=True)), "it is not self-signed"),
    ],
)
def test_a_certificate_that_is_not_what_its_row_says_is_status_2(
    key: str, party: Party, words: str, audited: Files, tmp_path: Path
) -> None:
    file = party.file(tmp_path)
    code, out, err = audit("127.0.0.1:1", *audited.keys, "--peer", f"{key}={file}")
    assert (code, out) == (2, "")
    assert err.startswith(f"veritls audit: --peer {file}: {words}"), err


def test_a_certificate_that_the_crl_does_not_revoke_is_not_tried_as_revoked(
    audited: Files, tmp_path: Path
) -> None:
    given = ["127.0.0.1:1", *audited.keys, "--crl", audited.crl, "--peer"]
    for serial, words in ((REVOKED, ""), (REVOKED + 1, "--crl does not revoke it")):
        file = Party("a", ROOT, serial=serial).file(tmp_path)
        code, _, err = audit(*given, f"revoked={file}")
        assert (code, words in err, bool(err)) == (2, True, bool(words))


def test_strangers_that_are_given_are_tried(audited: Files, tmp_path: Path) -> None:
    strangers = {"other-ca": Party("a", Party("b", ca=True)), "self-signed": Party("c")}
    strangers["namesake"] = Party("d", RETIRED)
    given = [f"--peer={key}={party.file(tmp_path)}" for key, party in strangers.items()]
    with serving(server_context(audited, ssl.CERT_REQUIRED)) as server:
        code, result = as_json(server, "--require", *audited.keys, *given)
    assert code == 0, result["sentences"]
    assert having(result, "as it must") >= {*strangers}


def test_without_the_ca_it_has_to_be_of_the_valid_ones(audited: Files, tmp_path: Path) -> None:
    given = ["127.0.0.1:1", "--peer", f"valid={Party('a', ROOT).file(tmp_path)}"]
    other = Party("a", Party("Other", ca=True), end=PAST).file(tmp_path)
    code, out, err = audit(*given, "--peer", f"expired={other}")
    assert (code, out) == (2, "")
    assert "another CA has issued it than the valid one" in err


def test_certificates_with_their_chain_are_tried(audited: Files, tmp_path: Path) -> None:
    parties = {
        "valid": Party("a", MIDDLE),
        "expired": Party("b", MIDDLE, end=PAST, purposes=FOR_CLIENTS),
        "not-yet-valid": Party("c", MIDDLE, start=NOW + DAY),
        "purpose": Party("d", MIDDLE, purposes=FOR_SERVERS),
    }
    given = [f"--peer={key}={party.file(tmp_path, MIDDLE)}" for key, party in parties.items()]
    given = [f"--peer=valid={Party('e', MIDDLE).file(tmp_path, MIDDLE)}", *given]  # the last one counts
    with serving(server_context(audited, ssl.CERT_REQUIRED)) as server:
        for ca in ([], ["--ca", audited.ca]):
            code, result = as_json(server, "--require", *ca, *given)
            assert code == 0, result["sentences"]
            assert having(result, "as it must") >= {*parties}
