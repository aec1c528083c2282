"""CRLs: loaded from anywhere, and which of them are believed about which certificate."""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

import veritls
from tests.revocation.answers import CRL_CHAIN, CRL_LEAF, clients, code
from tests.support.certificates import HOUR, NOW, SERVES, SERVES_AND_SIGNS, Party, der, new_key, pem

ROOT = Party("Root", ca=True)
MIDDLE = Party("Middle", ROOT, ca=True)
LEAF, GOOD = Party("leaf", MIDDLE), Party("good", MIDDLE)
REVOKED, UNKNOWN, EXPIRED, SIGNATURE, NOT_A_SIGNER = 23, 3, 12, 8, 35


def context(*crls: x509.CertificateRevocationList, flags: int = CRL_LEAF) -> veritls.SSLContext:
    made = clients([ROOT.certificate, MIDDLE.certificate], flags)
    if crls:
        made.load_crls(crls)
    return made


class TestSource:
    @pytest.fixture
    def ways(self, tmp_path: Path) -> dict[str, Any]:
        revoked = MIDDLE.crl(LEAF)
        (tmp_path / "hashed").mkdir()
        (tmp_path / "hashed" / "9d66eef0.r0").write_bytes(pem(ROOT.crl()))
        (tmp_path / "hashed" / "9d66eef0.r1").write_bytes(pem(revoked))
        (tmp_path / "hashed" / "README").write_bytes(b"not a CRL")
        (tmp_path / "crl.pem").write_bytes(b"commentary\n" + pem(ROOT.crl()) + pem(revoked))
        (tmp_path / "middle.crl").write_bytes(der(revoked))
        return {
            "PEM file": tmp_path / "crl.pem",
            "DER file": str(tmp_path / "middle.crl"),
            "bytes path": os.fsencode(tmp_path / "middle.crl"),
            "folder": tmp_path / "hashed",
            "PEM bytes": pem(revoked),
            "DER bytes": der(revoked),
            "bytearray": bytearray(pem(revoked)),
            "memoryview": memoryview(der(revoked)),
            "object": revoked,
            "objects": iter([ROOT.crl(), revoked]),
        }

    @pytest.mark.parametrize(
        "way",
        [
            *("PEM file", "DER file", "bytes path", "folder", "PEM bytes", "DER bytes"),
            *("bytearray", "memoryview", "object", "objects"),
        ],
    )
    def test_crls_come_from(self, way: str, ways: dict[str, Any]) -> None:
        asking = context()
        assert asking.load_crls(ways[way]) in (1, 2)
        assert (code(asking, LEAF), code(asking, GOOD)) == (REVOKED, 0)

    def test_capath_takes_the_crls_of_a_hashed_folder(self, ways: dict[str, Any]) -> None:
        asking = context()
        asking.load_verify_locations(capath=ways["folder"])
        assert asking.cert_store_stats()["crl"] == 2
        assert (code(asking, LEAF), code(asking, GOOD)) == (REVOKED, 0)

    def test_openssl_finds_our_hashed_folder_and_we_find_openssls(self, tmp_path: Path) -> None:
        assert shutil.which("openssl"), "openssl is a tool of the tests"
        (tmp_path / "crl.pem").write_bytes(pem(MIDDLE.crl(LEAF)))
        (tmp_path / "ca.pem").write_bytes(ROOT.pem)
        subprocess.run(["openssl", "rehash", tmp_path], check=True, timeout=20)
        asking = context()
        asking.load_verify_locations(capath=tmp_path)
        assert code(asking, LEAF) == REVOKED

    @pytest.mark.parametrize(
        ("source", "kind", "words"),
        [
            (b"", OSError, "No such file"),
            (bytearray(), ssl.SSLError, "empty"),
            (ROOT.pem, ssl.SSLError, "does not contain a CRL"),
            (ROOT.der, ssl.SSLError, "CRL cannot be used"),
            (der(MIDDLE.crl())[:-1], ssl.SSLError, "CRL cannot be used"),
            (der(MIDDLE.crl()) + b"\0", ssl.SSLError, "CRL cannot be used"),
            (pem(MIDDLE.crl()).replace(b"\n", b"\nAAAA", 1), ssl.SSLError, "malformed"),
            ([MIDDLE.crl(), ROOT.certificate], TypeError, "Certificate"),
            ([der(MIDDLE.crl())], TypeError, "bytes"),
            ("nowhere.crl", FileNotFoundError, "nowhere"),
            (7, TypeError, "path"),
            (None, TypeError, "path"),
        ],
    )
    def test_what_is_no_crl_is_refused_and_changes_nothing(
        self, source: Any, kind: type[Exception], words: str
    ) -> None:
        asking = context(MIDDLE.crl(LEAF))
        with pytest.raises(kind, match=words):
            asking.load_crls(source)
        assert asking.cert_store_stats()["crl"] == 1
        assert code(asking, LEAF) == REVOKED

    def test_a_crl_without_extensions_is_refused_in_words_that_say_so(self, tmp_path: Path) -> None:
        bare = x509.CertificateRevocationListBuilder(MIDDLE.name, NOW - HOUR, NOW + HOUR)
        with pytest.raises(ssl.SSLError, match=r"or it has none: RFC 5280 \(5\.2\) demands a CRL number"):
            context().load_crls(bare.sign(MIDDLE.key, hashes.SHA256()))
        assert shutil.which("openssl"), "openssl is a tool of the tests"
        (tmp_path / "index.txt").touch()
        settings = "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=9\n"
        (tmp_path / "ca.cnf").write_text(settings)
        ca = str(MIDDLE.file(tmp_path))
        command = ["openssl", "ca", "-config", "ca.cnf", "-gencrl", "-out", "1.crl"]
        command += ["-cert", ca, "-keyfile", ca]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=20)
        with pytest.raises(ssl.SSLError, match=r"or of version 1 .*crl_extensions.* \('.*1\.crl'\)"):
            context().load_crls(tmp_path / "1.crl")

    def test_a_file_without_a_crl_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.crl"
        for content in (b"", b"hello\n", ROOT.pem, bytes(50)):
            path.write_bytes(content)
            with pytest.raises(ssl.SSLError, match=r"empty\.crl"):
                context().load_crls(path)

    def test_no_prefix_and_no_flipped_bit_of_a_crl_is_believed(self) -> None:
        data = der(MIDDLE.crl())
        for length in range(4, len(data), 7):
            with pytest.raises(ssl.SSLError):
                context().load_crls(bytearray(data[:length]))
        for position in range(0, len(data), 3):
            flipped = bytearray(data)
            flipped[position] ^= 1 << position % 8
            asking = context()
            with contextlib.suppress(ssl.SSLError):
                asking.load_crls(flipped)
            assert code(asking, LEAF) != 0


URL = x509.UniformResourceIdentifier("http://crl.example/1")


def point(**what: Any) -> x509.IssuingDistributionPoint:
    usual: dict[str, Any] = {
        "full_name": [URL],
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(usual | what))


class TestPart:
    @pytest.mark.parametrize(
        "extension",
        [
            (x509.DeltaCRLIndicator(1), True),
            (point(indirect_crl=True), True),
            (point(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})), True),
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),
        ],
        ids=["delta", "indirect", "by reason", "unknown critical extension"],
    )
    def test_a_crl_is_refused_that_is(self, extension: Any) -> None:
        with pytest.raises(ssl.SSLError, match="CRL cannot be used"):
            context().load_crls(MIDDLE.crl(extra=[extension]))
        with pytest.raises(ssl.SSLError, match="CRL cannot be used"):
            context().load_verify_locations(cadata=pem(MIDDLE.crl(extra=[extension])).decode())

    def test_a_crl_for_one_distribution_point_counts_for_its_certificates(self) -> None:
        def at(url: x509.UniformResourceIdentifier) -> Party:
            points = x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, None)])
            return Party("leaf", MIDDLE, extra=[(points, False)])

        here, there = at(URL), at(x509.UniformResourceIdentifier("http://crl.example/2"))
        asking = context(MIDDLE.crl(here, there, extra=[(point(), True)]))
        assert (code(asking, here), code(asking, there)) == (REVOKED, UNKNOWN)
        asking.unknown_revocation_status = "accept"
        assert (code(asking, here), code(asking, there)) == (REVOKED, 0)


class TestUnknownStatus:
    def test_is_refused_unless_it_is_accepted(self) -> None:
        for flags in (CRL_LEAF, CRL_CHAIN):
            asking = context(flags=flags)
            assert asking.unknown_revocation_status == "refuse"
            assert code(asking, LEAF) == UNKNOWN
            asking.unknown_revocation_status = "accept"
            assert code(asking, LEAF) == 0

    def test_that_is_accepted_accepts_nothing_else(self) -> None:
        for crls, number in (
            ([MIDDLE.crl(LEAF)], REVOKED),
            ([MIDDLE.crl(until=NOW - HOUR / 2)], EXPIRED),
        ):
            asking = context(*crls)
            asking.unknown_revocation_status = "accept"
            assert code(asking, LEAF) == number

    @pytest.mark.parametrize("value", ["", "ACCEPT", None, True, 1])
    def test_of_any_other_name_is_a_value_error(self, value: Any) -> None:
        asking = context()
        with pytest.raises(ValueError, match="unknown_revocation_status"):
            asking.unknown_revocation_status = value
        assert asking.unknown_revocation_status == "refuse"

    def test_of_a_crl_that_begins_in_the_future_only(self) -> None:
        assert code(context(MIDDLE.crl(since=NOW + HOUR)), LEAF) == UNKNOWN

    def test_of_an_intermediate_counts_where_the_chain_is_asked_for(self) -> None:
        assert code(context(MIDDLE.crl(), flags=CRL_CHAIN), LEAF) == UNKNOWN
        assert code(context(MIDDLE.crl(), ROOT.crl(), flags=CRL_CHAIN), LEAF) == 0
        assert code(context(MIDDLE.crl(), ROOT.crl(MIDDLE), flags=CRL_CHAIN), LEAF) == REVOKED


class TestForeignList:
    """Signed by another key under the issuer's name."""

    FORGED = MIDDLE.crl(key=new_key(), number=99)

    def test_is_refused_where_the_issuer_is_known(self) -> None:
        with pytest.raises(ssl.SSLError, match="not signed by its issuer"):
            context().load_crls(self.FORGED)

    def test_is_not_believed_whichever_way_it_came(self) -> None:
        asking = context()
        asking.load_verify_locations(cadata=self.FORGED)
        assert code(asking, LEAF) == SIGNATURE
        asking = clients(ROOT.certificate, CRL_LEAF)
        asking.load_crls(self.FORGED)
        assert code(asking, LEAF, MIDDLE) == SIGNATURE
        asking.unknown_revocation_status = "accept"
        assert code(asking, LEAF, MIDDLE) == SIGNATURE

    def test_does_not_take_the_place_of_the_issuers_own(self) -> None:
        asking = context(MIDDLE.crl(LEAF))
        asking.load_verify_locations(cadata=self.FORGED)
        assert code(asking, LEAF) == REVOKED
        pretending = x509.load_der_x509_crl(der(MIDDLE.crl(number=99)).replace(b"Middle", b"Middle"))
        tampered = bytearray(der(pretending))
        tampered[-1] ^= 1
        asking.load_verify_locations(cadata=x509.load_der_x509_crl(bytes(tampered)))
        assert code(asking, LEAF) == REVOKED

    def test_of_an_issuer_that_may_not_sign_crls_is_not_believed(self) -> None:
        usage = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
        mute = Party("Mute", ROOT, ca=True, usage=usage)
        leaf = Party("leaf", mute)
        asking = clients(ROOT.certificate, CRL_LEAF)
        asking.load_crls(mute.crl())
        assert code(asking, leaf, mute) == NOT_A_SIGNER


def test_a_certificate_trusted_by_itself_answers_to_its_own_crl() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    alone = Party("localhost", ca=True, extra=[(names, False)], usage=SERVES_AND_SIGNS)
    asking = clients(alone.certificate, CRL_LEAF)
    assert code(asking, alone) == UNKNOWN
    asking.load_crls(alone.crl())
    assert code(asking, alone) == 0
    asking.load_crls(alone.crl(alone, number=2))
    assert code(asking, alone) == REVOKED
    asking = clients(alone.certificate, CRL_LEAF)
    asking.unknown_revocation_status = "accept"
    assert code(asking, alone) == 0


def test_a_leaf_trusted_by_itself_within_a_partial_chain_has_an_unknown_status() -> None:
    asking = clients(LEAF.certificate, CRL_LEAF | ssl.VERIFY_X509_PARTIAL_CHAIN)
    asking.load_crls(MIDDLE.crl(LEAF))
    assert code(asking, LEAF) == UNKNOWN


def test_a_self_signed_certificate_that_may_not_sign_crls_is_not_believed_about_itself() -> None:
    alone = Party("localhost", usage=SERVES)
    asking = clients(alone.certificate, CRL_LEAF)
    asking.load_verify_locations(cadata=alone.crl())
    assert code(asking, alone) == NOT_A_SIGNER
