"""Every member of a context, a connection and a buffer."""

import socket
import ssl as standard
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import veritls as ssl
from veritls.peers import Matcher
from veritls.report import VerificationReport
from veritls.tickets import TicketKeys


def protocol(context: ssl.SSLContext) -> None:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    assert_type(context.minimum_version, standard.TLSVersion)
    assert_type(context.maximum_version, standard.TLSVersion)
    context.options |= ssl.OP_NO_TICKET
    assert_type(context.options, standard.Options)
    assert_type(context.num_tickets, int)
    assert_type(context.keylog_filename, str | None)
    assert_type(context.security_level, int)
    context.num_tickets = 1
    context.keylog_filename = "keys.log"
    print(context.protocol, context.post_handshake_auth)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.set_ciphers("ECDHE+AESGCM")
    context.set_ciphersuites("TLS_AES_128_GCM_SHA256")
    context.set_groups("X25519MLKEM768:x25519")
    context.set_ecdh_curve("prime256v1")
    assert_type(context.get_ciphers(), list[dict[str, Any]])
    assert_type(context.get_groups(include_aliases=True), list[str])
    context.load_dh_params("dh.pem")


def not_offered(context: ssl.SSLContext) -> None:
    context.set_npn_protocols(["h2"])
    context.set_client_sigalgs("ed25519")
    context.set_server_sigalgs("ed25519")
    context.set_psk_client_callback(lambda hint: (None, b""))
    context.set_psk_server_callback(lambda identity: b"", None)


def peer(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    assert_type(context.verify_mode, standard.VerifyMode)
    context.check_hostname = True
    assert_type(context.check_hostname, bool)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert_type(context.verify_flags, standard.VerifyFlags)
    context.hostname_checks_common_name = False
    assert_type(context.hostname_checks_common_name, bool)
    context.allowed_peers = [ssl.DNSPattern("*.example.org"), ssl.SPIFFE("spiffe://example.org/**")]
    assert_type(context.allowed_peers, tuple[Matcher, ...] | None)
    context.pinned_keys = ["sha256/" + "A" * 43 + "="]
    assert_type(context.pinned_keys, frozenset[bytes] | None)
    context.reverify_on_resumption = True
    assert_type(context.reverify_on_resumption, bool)
    context.max_resumption_age = timedelta(hours=1)
    assert_type(context.max_resumption_age, int)
    context.unknown_revocation_status = "accept"
    context.require_ocsp = True
    assert_type(context.require_ocsp, bool)

    def look(report: VerificationReport) -> None:
        print(report.kind)

    context.set_verify_callback(look)
    context.set_verify_callback(None)


def trust(context: ssl.SSLContext) -> None:
    context.load_verify_locations("ca.pem", cadata=b"")
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    context.set_default_verify_paths()
    context.replace_trust(cafile="ca.pem")
    assert_type(context.clear_trust(), int)
    assert_type(context.remove_trust("ca.pem"), int)
    assert_type(context.load_intermediates(b""), int)
    assert_type(context.load_crls("crl.pem", allow_older=True), int)
    assert_type(context.reload_crls(), int)
    assert_type(context.list_trust(), list[ssl.TrustEntry])
    assert_type(context.cert_store_stats(), dict[str, int])
    assert_type(context.get_ca_certs(), list[dict[str, Any]])
    assert_type(context.get_ca_certs(binary_form=True), list[bytes])
    context.spiffe_bundles = {"example.org": "-----BEGIN"}
    assert_type(context.spiffe_bundles, Mapping[str, tuple[bytes, ...]] | None)


def own(context: ssl.SSLContext) -> None:
    context.load_cert_chain("own.pem", "own.key", password=lambda: "secret")
    context.load_cert_chain(b"-----BEGIN", bytearray(b""), "secret")
    context.load_pkcs12("own.p12", b"secret")
    context.replace_identities([("own.pem",), ("other.pem", "other.key"), ("a.pem", "a.key", "secret")])
    assert_type(context.list_identities(), list[ssl.OwnIdentity])
    assert_type(context.remove_identity("own.pem"), int)
    context.set_ocsp_response(b"")
    context.set_ocsp_response(lambda certificate, issuer: None)
    context.set_ocsp_response(None)
    assert_type(context.ticket_keys, TicketKeys | None)
    context.ticket_keys = TicketKeys.from_secret(b"x" * 32)


def chosen(
    connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext
) -> int | None:
    connection.context = context
    return None if name else int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)


def made(context: ssl.SSLContext, sock: socket.socket) -> None:
    context.sni_callback = chosen
    context.set_servername_callback(chosen)
    assert_type(context.wrap_socket(sock, server_hostname="localhost"), ssl.SSLSocket)
    assert_type(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True), ssl.SSLObject)
    context.wrap_bio(standard.MemoryBIO(), standard.MemoryBIO())
    at = datetime.now(UTC)
    report = context.verify_chain(
        [b""], server_hostname="localhost", at=at, purpose="server", ocsp_response=b""
    )
    assert_type(report, ssl.VerificationReport)
    assert_type(context.session_stats(), dict[str, int])
    assert_type(context.generation, int)
    print(context.sslsocket_class, context.sslobject_class)


def asked(connection: ssl.SSLSocket | ssl.SSLObject) -> None:
    assert_type(connection.version(), str | None)
    assert_type(connection.cipher(), tuple[str, str, int] | None)
    assert_type(connection.shared_ciphers(), list[tuple[str, str, int]] | None)
    assert_type(connection.group(), str | None)
    assert_type(connection.client_sigalg(), str | None)
    assert_type(connection.server_sigalg(), str | None)
    assert_type(connection.selected_alpn_protocol(), str | None)
    connection.selected_npn_protocol()
    connection.compression()
    assert_type(connection.getpeercert(), dict[str, Any] | None)
    assert_type(connection.getpeercert(True), bytes | None)
    assert_type(connection.getpeercert(binary_form=True), bytes | None)
    assert_type(connection.get_verified_chain(), list[bytes])
    assert_type(connection.get_unverified_chain(), list[bytes])
    assert_type(connection.get_channel_binding("tls-server-end-point"), bytes | None)
    assert_type(connection.session_reused, bool | None)
    session: ssl.SSLSession | None = connection.session
    connection.session = session
    context: ssl.SSLContext = connection.context
    connection.verify_client_post_handshake()
    print(context, connection.pending() + 1, connection.server_side, connection.server_hostname)


def over_a_socket(connection: ssl.SSLSocket, file: Any) -> socket.socket:
    connection.connect(("localhost", 443))
    assert_type(connection.connect_ex(("localhost", 443)), int)
    accepted, _ = connection.accept()
    assert_type(accepted, ssl.SSLSocket)
    connection.do_handshake(block=True)
    assert_type(connection.recv(1024), bytes)
    assert_type(connection.recv_into(bytearray(10)), int)
    assert_type(connection.send(b"x"), int)
    connection.sendall(memoryview(b"x"))
    assert_type(connection.sendfile(file, 0, None), int)
    assert_type(connection.write(b"x"), int)
    assert_type(connection.read(10), bytes)
    assert_type(connection.read(10, bytearray(10)), int)
    print(connection.do_handshake_on_connect, connection.suppress_ragged_eofs, connection.pending())
    connection.shutdown(socket.SHUT_RDWR)
    assert_type(connection.detach(), int)
    assert_type(connection.unwrap(), socket.socket)
    return connection


def refused_while_tls_is_on(connection: ssl.SSLSocket) -> None:
    connection.recvfrom(1)
    connection.recvfrom_into(bytearray(1))
    connection.recvmsg(1)
    connection.recvmsg_into([bytearray(1)])
    connection.sendmsg([b"x"])
    connection.sendto(b"x", ("localhost", 1))
    connection.dup()


def between_buffers(connection: ssl.SSLObject, buffer: ssl.MemoryBIO) -> bytes:
    connection.do_handshake()
    assert_type(connection.read(), bytes)
    assert_type(connection.read(10, buffer=bytearray(10)), int)
    assert_type(connection.write(b"x"), int)
    connection.unwrap()
    assert_type(buffer.pending, int)
    assert_type(buffer.eof, bool)
    assert_type(buffer.write(b"x"), int)
    buffer.write_eof()
    return buffer.read()
