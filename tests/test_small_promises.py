"""What `ssl` promises beside the handshake, of both modules: each test runs against `ssl`, too."""

from __future__ import annotations

import socket
import ssl
import warnings
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.support.connections import raw_pair, tls_pair
from tests.support.memory import connect, memory_pair

MODULE = pytest.mark.parametrize("module", [ssl, veritls], ids=["ssl", "veritls"])


def server_of(module: Any, files: Files) -> Any:
    context = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server)
    return context


def client_of(module: Any, files: Files) -> Any:
    context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.ca)
    return context


@MODULE
@pytest.mark.parametrize("arguments", [(), (ssl.PROTOCOL_TLS,), (ssl.PROTOCOL_TLSv1_2,)])
def test_a_context_for_both_sides_is_deprecated_where_it_is_made(module: Any, arguments: Any) -> None:
    with pytest.warns(DeprecationWarning) as told:
        module.SSLContext(*arguments)
    assert [each.filename for each in told] == [__file__] * len(told)
    assert len(told) == (1 if arguments else 2)


@MODULE
@pytest.mark.parametrize("protocol", [ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER])
def test_a_context_for_one_side_is_not(module: Any, protocol: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module.SSLContext(protocol)


@MODULE
@pytest.mark.parametrize(
    ("protocol", "spoken"), [(ssl.PROTOCOL_TLSv1_2, "TLSv1.2"), (ssl.PROTOCOL_TLS, "TLSv1.3")]
)
def test_a_context_for_one_version_speaks_that_one(
    module: Any, protocol: Any, spoken: str, files: Files
) -> None:
    with pytest.warns(DeprecationWarning):
        server = module.SSLContext(protocol)
    server.load_cert_chain(files.server)
    assert connect(server, client_of(module, files)).client.version() == spoken


@MODULE
def test_the_sni_callback_under_either_name_is_the_same(module: Any, files: Files) -> None:
    context, calls = server_of(module, files), []

    def named(end: Any, name: str | None, context: Any) -> None:
        calls.append(name)

    context.set_servername_callback(named)
    assert callable(context.sni_callback)
    assert not connect(context, client_of(module, files)).refused
    assert calls == ["localhost"]
    context.sni_callback = None
    assert context.sni_callback is None


@MODULE
def test_a_session_is_for_clients_only(module: Any, files: Files) -> None:
    server, client = server_of(module, files), client_of(module, files)
    with tls_pair(server, client) as (server_end, client_end):
        server_end.sendall(b"s")
        assert client_end.recv(1) == b"s"
        session = client_end.session
    left, right = raw_pair()
    with left, right, pytest.raises(ValueError, match="session can only be specified in client mode"):
        server.wrap_socket(left, server_side=True, session=session)


def test_a_session_tells_its_time_and_can_be_a_key(files: Files) -> None:
    server, client = server_of(veritls, files), client_of(veritls, files)
    with tls_pair(server, client) as (server_end, client_end):
        server_end.sendall(b"s")
        assert client_end.recv(1) == b"s"
        session = client_end.session
    assert isinstance(session.time, int) and session.time > 0
    assert isinstance(session.timeout, int) and session.timeout > 0
    assert {session: 1}[session] == 1


@MODULE
def test_no_handshake_at_once_on_a_socket_that_does_not_block(module: Any, files: Files) -> None:
    left, right = raw_pair()
    with left, right:
        left.setblocking(False)
        with pytest.raises(ValueError, match="do_handshake_on_connect should not be specified"):
            client_of(module, files).wrap_socket(left, server_hostname="localhost")
        assert left.fileno() == -1


@MODULE
def test_a_servers_socket_does_not_connect(module: Any, files: Files) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as raw:
        end = server_of(module, files).wrap_socket(raw, server_side=True)
        with end, pytest.raises(ValueError, match="can't connect in server-side mode"):
            end.connect(listener.getsockname())


@MODULE
@pytest.mark.parametrize(
    "call", [lambda end: end.read(1), lambda end: end.write(b"a"), lambda end: end.unwrap()]
)
def test_without_a_connection_there_is_nothing_to_read_or_write(module: Any, call: Any, files: Files) -> None:
    with socket.socket() as raw:
        end = client_of(module, files).wrap_socket(raw, server_hostname="localhost")
        with end, pytest.raises((OSError, ValueError)):
            call(end)


@MODULE
def test_nothing_is_read_into_no_room(module: Any, files: Files) -> None:
    server_end, client_end = memory_pair(server_of(module, files), client_of(module, files), module=module)
    with pytest.raises(ValueError):
        client_end.read(-1)
    del server_end


def test_what_a_context_has_not_done_it_does_not_count() -> None:
    ours, theirs = (module.SSLContext(module.PROTOCOL_TLS_SERVER) for module in (veritls, ssl))
    assert ours.session_stats() == theirs.session_stats() == dict.fromkeys(theirs.session_stats(), 0)


def test_common_names_are_never_checked(files: Files) -> None:
    context = client_of(veritls, files)
    assert context.hostname_checks_common_name is False


def test_parameters_for_finite_fields_are_told_to_have_no_effect(tmp_path: Any, files: Files) -> None:
    parameters = tmp_path / "dh.pem"
    parameters.write_text("-----BEGIN DH PARAMETERS-----\nMAYCAQICAQI=\n-----END DH PARAMETERS-----\n")
    with pytest.warns(RuntimeWarning) as told:
        server_of(veritls, files).load_dh_params(parameters)
    assert [each.filename for each in told] == [__file__]
