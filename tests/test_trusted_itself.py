"""A certificate that is in the trust set itself: `verify_chain` and handshakes give one answer."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import veritls
from tests.support.der import tlv
from tests.support.hostile import alternative_names, certificate, extension, real_key
from tests.support.memory import memory_pair
from tests.test_chains import VERSIONS

_USAGE = b"\x55\x1d\x25"
_SERVERS, _CLIENTS = bytes.fromhex("06082b06010505070301"), bytes.fromhex("06082b06010505070302")
_LOCAL = alternative_names(["localhost"])
_POLICIES = extension(b"\x55\x1d\x20", tlv(0x30, tlv(0x30, b"\x06\x03\x2a\x03\x04")), critical=True)
_UNKNOWN = extension(b"\x2a\x03\x04\x05", b"\x05\x00", critical=True)


class Own:
    """A self-issued certificate, with its key."""

    def __init__(self, folder: Path, *extensions: bytes) -> None:
        key = real_key()
        self.der = certificate("own", "own", key, key, _LOCAL, *extensions)
        self.file = folder / "own.pem"
        private = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.file.write_bytes(private + ssl.DER_cert_to_PEM_cert(self.der).encode())

    def trusting(self, side: str, mode: ssl.VerifyMode = ssl.CERT_REQUIRED) -> veritls.SSLContext:
        protocol = veritls.PROTOCOL_TLS_SERVER if side == "server" else veritls.PROTOCOL_TLS_CLIENT
        context = veritls.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = mode
        context.load_verify_locations(cadata=self.der)
        return context

    def handshake(self, side: str, version: ssl.TLSVersion, mode: ssl.VerifyMode = ssl.CERT_REQUIRED) -> None:
        """The end on that `side` verifies; raises what it raises."""
        verifying = self.trusting(side, mode)
        other = self.trusting("client" if side == "server" else "server", ssl.CERT_NONE)
        (verifying if side == "server" else other).load_cert_chain(self.file)
        other.load_cert_chain(self.file)
        verifying.minimum_version = verifying.maximum_version = version
        ends = {side: verifying, "client" if side == "server" else "server": other}
        in_memory(ends["server"], ends["client"], verifies=side)


def in_memory(server: Any, client: Any, *, verifies: str) -> None:
    """A handshake over two MemoryBIOs. Raises what the end raises that `verifies`."""
    server_end, client_end = memory_pair(server, client)
    ends = {"client": client_end, "server": server_end}
    done: set[str] = set()
    for _ in range(6):
        for side in ends:
            if side in done:
                continue
            try:
                ends[side].do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                if side == verifies:
                    raise
                done.add(side)
    assert verifies in done


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("critical", [_UNKNOWN, _POLICIES], ids=["unknown", "policies"])
def test_one_with_a_critical_extension_that_is_not_processed_is_refused_by_both_with_a_report(
    critical: bytes, side: str, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    own = Own(tmp_path, critical)
    with pytest.raises(veritls.SSLCertVerificationError) as alone:
        own.trusting(side).verify_chain([own.der])
    with pytest.raises(veritls.SSLCertVerificationError) as shaken:
        own.handshake(side, version)
    for refused in (alone.value, shaken.value):
        assert (refused.verify_code, refused.report.kind) == (34, "critical_extension")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_verifies_nothing_goes_on_whatever_is_critical(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    Own(tmp_path, _UNKNOWN).handshake("client", version, ssl.CERT_NONE)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("side", ["client", "server"])
def test_one_is_held_to_its_extended_key_usage(side: str, version: ssl.TLSVersion, tmp_path: Path) -> None:
    right, wrong = (_SERVERS, _CLIENTS) if side == "client" else (_CLIENTS, _SERVERS)
    good = Own(tmp_path, extension(_USAGE, tlv(0x30, right)))
    assert good.trusting(side).verify_chain([good.der]).trusted
    good.handshake(side, version)
    bad = Own(tmp_path, extension(_USAGE, tlv(0x30, wrong)))
    with pytest.raises(veritls.SSLCertVerificationError) as alone:
        bad.trusting(side).verify_chain([bad.der])
    with pytest.raises(veritls.SSLCertVerificationError) as shaken:
        bad.handshake(side, version)
    for refused in (alone.value, shaken.value):
        assert (refused.verify_code, refused.report.kind) == (26, "purpose")
