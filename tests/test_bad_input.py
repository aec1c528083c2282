"""Bad files, settings, names and peers: a clear error at once, and the context as it was."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

import veritls
from tests.conftest import Files
from tests.support.certificates import Party, pem
from tests.support.connections import SECONDS, client_context, in_thread, raw_pair, server_context, tls_pair


@pytest.fixture
def context() -> veritls.SSLContext:
    return veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)


@pytest.fixture(scope="module")
def leaf() -> trustme.LeafCert:
    return trustme.CA().issue_cert("localhost")


def still_works(context: veritls.SSLContext, files: Files) -> None:
    """The context, after what it refused, takes good files and serves with them."""
    context.load_cert_chain(files.server)
    with tls_pair(context, client_context(files.ca)) as (server, client):
        client.sendall(b"still here")
        assert server.recv(100) == b"still here"


def test_a_missing_certificate_file_is_named(context: Any, files: Files, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        context.load_cert_chain(tmp_path / "nowhere.pem")
    assert str(tmp_path / "nowhere.pem") in str(caught.value)
    still_works(context, files)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello\n", ": it has no PEM block"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", ": it has only PUBLIC KEY"),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "must contain one certificate, not 0"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "malformed"),
        (b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "malformed"),
    ],
)
def test_a_file_that_holds_no_certificate_is_refused_with_its_name(
    context: Any, files: Files, tmp_path: Path, content: Any, words: Any
) -> None:
    path = tmp_path / "bad.pem"
    path.write_bytes(content)
    with pytest.raises(ssl.SSLError) as caught:
        context.load_cert_chain(path)
    assert words in str(caught.value) and "bad.pem" in str(caught.value)
    with pytest.raises(ssl.SSLError) as caught:
        context.load_verify_locations(path)
    assert words in str(caught.value) and "bad.pem" in str(caught.value)
    assert context.get_ca_certs() == []
    still_works(context, files)


def test_a_certificate_without_a_key_is_refused(context: Any, files: Files) -> None:
    with pytest.raises(ssl.SSLError, match=r"no private key in .*ca\.pem"):
        context.load_cert_chain(files.ca)
    still_works(context, files)


def test_a_key_of_another_certificate_is_refused(context: Any, files: Files) -> None:
    with pytest.raises(ssl.SSLError, match="key values mismatch") as caught:
        context.load_cert_chain(files.server, files.client)
    assert caught.value.reason == "KEY_VALUES_MISMATCH"
    assert "server.pem" in str(caught.value) and "client.pem" in str(caught.value)
    still_works(context, files)


def test_every_truncation_of_a_certificate_is_refused(context: Any, leaf: Any) -> None:
    der = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).public_bytes(Encoding.DER)
    for length in range(1, len(der)):
        with pytest.raises(ssl.SSLError):
            context.load_verify_locations(cadata=der[:length])
    assert context.get_ca_certs() == []


@pytest.mark.parametrize("module", [ssl, veritls], ids=["ssl", "veritls"])
@pytest.mark.parametrize("left", [28, 200, -10])
def test_a_text_that_is_cut_off_within_its_last_block_is_refused(
    module: Any, tmp_path: Path, left: int
) -> None:
    ca = Party("first", ca=True)
    middle = Party("second", ca, ca=True)
    leaf, path, key = middle.issue("localhost"), tmp_path / "cut.pem", tmp_path / "key.pem"
    key.write_bytes(leaf.key_pem)
    context = module.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for text in (ca.pem + middle.pem[:left], ca.pem + pem(ca.crl())[:left]):
        path.write_bytes(text)
        with pytest.raises(ssl.SSLError):
            context.load_verify_locations(path)
        with pytest.raises(ssl.SSLError):
            context.load_verify_locations(cadata=text.decode())
    if module is veritls:  # ssl keeps the certificates before the cut
        assert context.get_ca_certs() == []
    path.write_bytes(leaf.pem + middle.pem[:left])
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(path, key)


def test_the_first_block_that_is_cut_off_ends_the_reading(context: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut.pem"
    path.write_bytes(b"".join(b"-----BEGIN L%d-----\n" % number for number in range(2_000)))
    for load in (context.load_verify_locations, context.load_cert_chain, context.load_crls):
        with pytest.raises(ssl.SSLError) as caught:
            load(path)
        assert str(caught.value).endswith("cut.pem' is cut off, it has no end: L0")


def test_a_text_that_is_cut_off_is_said_to_be(context: Any, tmp_path: Path) -> None:
    ca, path = Party("first", ca=True), tmp_path / "cut.pem"
    path.write_bytes(pem(ca.crl()) + pem(ca.crl())[:200])
    with pytest.raises(ssl.SSLError, match=r"cut\.pem' is cut off, it has no end: X509 CRL"):
        context.load_crls(path)


def test_no_flipped_bit_of_a_server_certificate_is_accepted(files: Files, tmp_path: Path) -> None:
    """Either the file is refused when it is loaded, or the handshake is."""
    text = files.server.read_bytes()
    blocks = text.split(b"-----BEGIN CERTIFICATE-----")
    der = x509.load_pem_x509_certificate(b"-----BEGIN CERTIFICATE-----" + blocks[1]).public_bytes(
        Encoding.DER
    )
    for position in range(0, len(der), 7):
        flipped = bytearray(der)
        flipped[position] ^= 1 << (position % 8)
        path = tmp_path / "flipped.pem"
        path.write_text(blocks[0].decode() + ssl.DER_cert_to_PEM_cert(bytes(flipped)))
        try:
            server = server_context(path)
        except ssl.SSLError:
            continue
        with pytest.raises(OSError), tls_pair(server, client_context(files.ca)):
            pass


class TestPassword:
    @pytest.fixture
    def encrypted(self, files: Files, tmp_path: Path) -> Any:
        text = files.server.read_bytes()
        key = load_pem_private_key(text, None)
        hidden = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        path = tmp_path / "encrypted.pem"
        path.write_bytes(hidden)
        return path

    @pytest.mark.parametrize("password", ["secret", b"secret", bytearray(b"secret"), lambda: "secret"])
    def test_may_be_text_bytes_or_a_callable(
        self, context: Any, files: Files, encrypted: Any, password: Any
    ) -> None:
        context.load_cert_chain(files.server, encrypted, password)
        still_works(context, files)

    @pytest.mark.parametrize("password", ["wrong", "", None])
    def test_that_is_wrong_or_missing_is_an_error_that_names_the_file(
        self, context: Any, files: Files, encrypted: Any, password: Any
    ) -> None:
        with pytest.raises(ssl.SSLError, match=r"encrypted\.pem"):
            context.load_cert_chain(files.server, encrypted, password)
        still_works(context, files)

    def test_of_the_wrong_type_or_length_is_an_error(
        self, context: Any, files: Files, encrypted: Any
    ) -> None:
        for wrong in (7, lambda: 7):
            with pytest.raises(TypeError):
                context.load_cert_chain(files.server, encrypted, wrong)
        with pytest.raises(ValueError, match="1024"):
            context.load_cert_chain(files.server, encrypted, "x" * 1025)

    def test_callable_that_raises_is_heard(self, context: Any, files: Files, encrypted: Any) -> None:
        def refuse() -> str:
            raise LookupError("no password today")

        with pytest.raises(LookupError, match="no password today"):
            context.load_cert_chain(files.server, encrypted, refuse)

    def test_callable_is_not_asked_for_a_key_that_is_not_encrypted(self, context: Any, files: Files) -> None:
        context.load_cert_chain(files.server, password=lambda: pytest.fail("asked"))


class TestSettings:
    @pytest.mark.parametrize("value", [3, -1, 17])
    def test_an_unknown_verify_mode_is_a_value_error(self, context: Any, value: Any) -> None:
        with pytest.raises(ValueError, match="verify_mode"):
            context.verify_mode = value
        assert context.verify_mode == ssl.CERT_NONE

    @pytest.mark.parametrize("value", ["CERT_REQUIRED", None, 1.0])
    def test_a_verify_mode_that_is_no_number_is_a_type_error(self, context: Any, value: Any) -> None:
        with pytest.raises(TypeError):
            context.verify_mode = value

    def test_an_unknown_or_withdrawn_version_is_a_value_error(self, context: Any) -> None:
        for name in ("minimum_version", "maximum_version"):
            with pytest.raises(ValueError, match="version"):
                setattr(context, name, 0x9999)
        with pytest.raises(ValueError, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1

    def test_versions_that_leave_none_are_an_error_before_anything_is_sent(
        self, context: Any, files: Files
    ) -> None:
        context.load_cert_chain(files.server)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2
        server, client = raw_pair()
        with server, client, pytest.raises(ssl.SSLError, match="no protocols available"):
            context.wrap_socket(server, server_side=True)

    def test_cert_none_is_refused_while_names_are_checked(self) -> None:
        context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        with pytest.raises(ValueError, match="check_hostname"):
            context.verify_mode = ssl.CERT_NONE
        assert context.verify_mode == ssl.CERT_REQUIRED

    def test_check_hostname_raises_cert_none_to_cert_required(self, context: Any) -> None:
        context.check_hostname = True
        assert context.verify_mode == ssl.CERT_REQUIRED

    @pytest.mark.parametrize(
        "protocol", [ssl.PROTOCOL_TLSv1, ssl.PROTOCOL_TLSv1_1, 99], ids=["TLSv1", "TLSv1_1", "99"]
    )
    def test_a_protocol_that_is_not_offered_is_a_value_error(self, protocol: Any) -> None:
        with pytest.raises(ValueError, match="not supported"):
            veritls.SSLContext(protocol)


class TestServerHostname:
    @pytest.mark.parametrize(
        ("name", "error"),
        [
            ("", ValueError),
            (".example.org", ValueError),
            ("a" * 254, ValueError),
            (".".join(["a" * 60] * 5), ValueError),
            ("a" * 64 + ".example", ValueError),
            ("example.org\x00evil.com", TypeError),
            ("exa mple.org", ValueError),
            ("example..org", ValueError),
            ("\udce4.example", ValueError),
            (7, TypeError),
            (None, ValueError),
        ],
    )
    def test_that_cannot_be_checked_is_refused_before_anything_is_sent(
        self, files: Files, name: Any, error: Any
    ) -> None:
        context = client_context(files.ca)
        server, client = raw_pair()
        with server, client:
            with pytest.raises(error):
                context.wrap_socket(client, server_hostname=name)
            with pytest.raises(error):
                context.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_hostname=name)
            client.close()
            assert server.recv(1) == b""

    def test_is_refused_on_a_server(self, context: Any, files: Files) -> None:
        context.load_cert_chain(files.server)
        server, client = raw_pair()
        with server, client, pytest.raises(ValueError, match="client mode"):
            context.wrap_socket(server, server_side=True, server_hostname="localhost")


class TestPeer:
    def test_that_speaks_http_is_told_apart(self, files: Files) -> None:
        server, client = raw_pair()
        with server, client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with pytest.raises(ssl.SSLError) as caught:
                server_context(files.server).wrap_socket(server, server_side=True)
            assert caught.value.reason == "HTTP_REQUEST"

    def test_that_answers_in_http_is_told_apart(self, files: Files) -> None:
        server, client = raw_pair()
        with server, client:
            server.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(ssl.SSLError) as caught:
                client_context(files.ca).wrap_socket(client, server_hostname="localhost")
            assert caught.value.reason == "WRONG_VERSION_NUMBER"

    def test_that_sends_garbage_in_a_record_is_refused(self, files: Files) -> None:
        server, client = raw_pair()
        with server, client:
            client.sendall(b"\x16\x03\x01\x00\x05hello")
            with pytest.raises(ssl.SSLError):
                server_context(files.server).wrap_socket(server, server_side=True)

    def test_that_closes_at_any_byte_of_the_handshake_is_an_end_without_leave(self, files: Files) -> None:
        hello = first_flight(client_context(files.ca))
        for length in range(0, len(hello), 37):
            server, client = raw_pair()
            with server:
                client.sendall(hello[:length])
                client.close()
                with pytest.raises((ssl.SSLEOFError, ConnectionError)):
                    server_context(files.server).wrap_socket(server, server_side=True)
                assert server.fileno() == -1

    def test_that_stalls_at_any_byte_of_the_handshake_is_a_timeout(self, files: Files) -> None:
        hello = first_flight(client_context(files.ca))
        context = server_context(files.server)
        for length in (0, 1, 4, 5, 6, len(hello) // 2, len(hello) - 1, len(hello)):
            server, client = raw_pair()
            with server, client:
                client.sendall(hello[:length])
                server.settimeout(0.05)
                with pytest.raises(TimeoutError, match="handshake"):
                    context.wrap_socket(server, server_side=True)

    def test_that_is_slow_by_a_byte_at_a_time_is_understood(self, files: Files) -> None:
        server, client = veritls.MemoryBIO(), veritls.MemoryBIO()
        to_server, to_client = veritls.MemoryBIO(), veritls.MemoryBIO()
        serving = server_context(files.server).wrap_bio(server, to_client, server_side=True)
        connecting = client_context(files.ca).wrap_bio(client, to_server, server_hostname="localhost")
        done = {serving: False, connecting: False}
        while not all(done.values()):
            for end, source, sink in ((connecting, to_client, client), (serving, to_server, server)):
                while not done[end]:
                    try:
                        end.do_handshake()
                        done[end] = True
                    except ssl.SSLWantReadError:
                        if not source.pending:
                            break
                        sink.write(source.read(1))
        assert serving.version() == connecting.version() == "TLSv1.3"

    def test_with_a_closed_handshake_leaves_nothing_usable(self, files: Files) -> None:
        server, client = raw_pair()
        with server, client:
            serving = server_context(files.server).wrap_socket(
                server, server_side=True, do_handshake_on_connect=False
            )
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            for _ in range(2):
                with pytest.raises(ssl.SSLError):
                    serving.do_handshake()
            uses: list[Callable[[], object]] = [
                lambda: serving.recv(1),
                lambda: serving.send(b"x"),
                lambda: serving.sendall(b"x"),
            ]
            for use in uses:
                with pytest.raises(ssl.SSLError):
                    use()
            with pytest.raises(ValueError, match="handshake not done"):
                serving.getpeercert()
            serving.close()


def first_flight(context: veritls.SSLContext) -> bytes:
    outgoing = veritls.MemoryBIO()
    end = context.wrap_bio(veritls.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        end.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 300_000])
def test_data_of_any_size_arrives_whole(files: Files, size: Any) -> None:
    data = bytes(i % 251 for i in range(size))
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):

        def send() -> None:
            client.sendall(data)
            client.unwrap()

        sending = in_thread(send)
        received = b""
        while chunk := server.recv(100_000):
            received += chunk
        server.unwrap()
        sending.result(SECONDS)
    assert received == data


def test_an_end_without_close_notify_is_an_end_where_it_is_suppressed(files: Files) -> None:
    with tls_pair(server_context(files.server), client_context(files.ca)) as (server, client):
        server.close()
        assert client.recv(1) == b""
        assert client.recv_into(bytearray(1)) == 0


def test_an_end_without_close_notify_is_an_error_where_it_is_not_suppressed(files: Files) -> None:
    ends = tls_pair(server_context(files.server), client_context(files.ca), suppress_ragged_eofs=False)
    with ends as (server, client):
        server.close()
        with pytest.raises(ssl.SSLEOFError):
            client.recv(1)
        with pytest.raises(ssl.SSLEOFError):
            client.recv_into(bytearray(1))


def test_a_close_notify_is_an_end_in_either_case(files: Files) -> None:
    ends = tls_pair(server_context(files.server), client_context(files.ca), suppress_ragged_eofs=False)
    with ends as (server, client):
        closing = in_thread(server.unwrap)
        assert client.recv(1) == b""
        client.unwrap()
        closing.result(SECONDS)


def test_a_certificate_that_is_not_valid_yet_says_from_when(files: Files) -> None:
    ca = trustme.CA()
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3, minutes=-1)
    end = later + datetime.timedelta(days=3)
    server = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", not_before=later, not_after=end).configure_cert(server)
    client = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(client)
    server_raw, client_raw = raw_pair()
    serving = in_thread(server.wrap_socket, server_raw, server_side=True)
    with server_raw, client_raw, pytest.raises(ssl.SSLCertVerificationError) as caught:
        client.wrap_socket(client_raw, server_hostname="localhost")
    assert caught.value.verify_code == 9
    assert later.strftime("is not valid yet: it becomes valid in 2 days (%Y-%m-%d %H:%M UTC)") in str(
        caught.value
    )
    with pytest.raises(ssl.SSLError):
        serving.result(SECONDS)
