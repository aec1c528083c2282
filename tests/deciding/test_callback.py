"""set_verify_callback: the program's own say, which can only refuse, on every transport."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import veritls
from tests.deciding.conftest import World
from tests.support.connections import SECONDS, in_thread, raw_pair, tls_pair
from tests.support.memory import connect, handshake, memory_pair
from veritls.report import VerificationReport

V = ssl.TLSVersion
VERSIONS = pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
SIDES = pytest.mark.parametrize("side", ["server", "client"])


class NotToday(Exception):
    pass


def refuse(report: VerificationReport) -> None:
    raise NotToday("come back later")


def contexts(world: World, version: ssl.TLSVersion = V.TLSv1_3) -> dict[str, Any]:
    return {"server": world.server_context(), "client": world.client_context(version=version)}


def other(side: str) -> str:
    return "client" if side == "server" else "server"


@VERSIONS
@SIDES
def test_it_is_called_once_a_handshake_with_the_report(world: World, version: V, side: str) -> None:
    ends = contexts(world, version)
    reports: list[Any] = []
    ends[side].set_verify_callback(reports.append)
    before = datetime.now(UTC) - timedelta(seconds=1)
    with tls_pair(ends["server"], ends["client"]):
        pass
    (report,) = reports
    peer = world.client if side == "server" else world.server
    assert report.trusted
    assert report.path == (peer.der, world.ca.der)
    assert report.question.chain[0] == peer.der
    assert report.question.purpose == other(side)
    assert report.question.server_hostname == (None if side == "server" else "localhost")
    assert before <= report.question.at <= datetime.now(UTC)


@VERSIONS
@SIDES
def test_raising_refuses_the_peer_which_gets_the_alert(world: World, version: V, side: str) -> None:
    ends = contexts(world, version)
    ends[side].set_verify_callback(refuse)
    server_raw, client_raw = raw_pair()
    with server_raw, client_raw:
        serving = in_thread(ends["server"].wrap_socket, server_raw, server_side=True)
        errors: dict[str, Any] = {}
        with pytest.raises(ssl.SSLError) as at_client:
            ends["client"].wrap_socket(client_raw, server_hostname="localhost").recv(1)
        errors["client"] = at_client.value
        with pytest.raises(ssl.SSLError) as at_server:
            serving.result(SECONDS)
        errors["server"] = at_server.value
    refusal = errors[side]
    assert isinstance(refusal, ssl.SSLCertVerificationError)
    assert (refusal.verify_code, refusal.verify_message) == (50, "application verification failure")
    assert isinstance(refusal.__cause__, NotToday)
    assert "NotToday: come back later" in str(refusal)
    assert errors[other(side)].reason == "TLSV1_ALERT_ACCESS_DENIED"


@SIDES
def test_what_it_returns_means_nothing(world: World, side: str) -> None:
    ends = contexts(world)
    ends[side].set_verify_callback(lambda report: False)
    assert not connect(ends["server"], ends["client"]).refused


@SIDES
def test_it_cannot_accept_a_peer_that_the_engine_refuses(world: World, side: str) -> None:
    ends = contexts(world)
    reports: list[Any] = []
    ends[side] = veritls.SSLContext(ends[side].protocol)
    ends[side].load_cert_chain(world.file(world.server if side == "server" else world.client))
    ends[side].verify_mode = ssl.CERT_REQUIRED
    ends[side].set_verify_callback(reports.append)
    outcome = connect(ends["server"], ends["client"])
    assert isinstance(getattr(outcome, f"{side}_error"), ssl.SSLCertVerificationError)
    assert not reports


@VERSIONS
def test_under_cert_none_a_client_asks_about_the_unverified_chain(world: World, version: V) -> None:
    ends = contexts(world, version)
    reports: list[Any] = []
    client = ends["client"]
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_verify_callback(reports.append)
    assert not connect(ends["server"], client).refused
    (report,) = reports
    assert (report.trusted, report.path) == (False, ())
    assert report.question.chain[0] == world.server.der
    assert (report.question.server_hostname, report.question.check_hostname) == ("localhost", False)
    client.set_verify_callback(refuse)
    assert isinstance(connect(ends["server"], client).client_error, ssl.SSLCertVerificationError)


def test_a_server_to_which_no_certificate_came_does_not_ask(world: World) -> None:
    server, client = world.server_context(ssl.CERT_OPTIONAL), veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=world.ca.pem.decode())
    server.set_verify_callback(refuse)
    assert not connect(server, client).refused


def test_a_server_that_would_never_ask_is_an_error(world: World) -> None:
    server = world.server_context(ssl.CERT_NONE)
    server.set_verify_callback(refuse)
    with pytest.raises(ValueError, match="requests no certificate"):
        server.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_side=True)


def test_verify_chain_asks_it_too(world: World) -> None:
    client = world.client_context()
    reports: list[Any] = []
    client.set_verify_callback(reports.append)
    report = client.verify_chain([world.server.der])
    assert reports == [report]
    client.set_verify_callback(refuse)
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        client.verify_chain([world.server.der])
    assert refused.value.verify_code == 50
    assert isinstance(refused.value.__cause__, NotToday)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@SIDES
def test_what_is_no_exception_refuses_and_comes_out_itself(
    world: World, side: str, kind: type[BaseException]
) -> None:
    ends = contexts(world)

    def interrupt(report: VerificationReport) -> None:
        raise kind

    ends[side].set_verify_callback(interrupt)
    outcome = connect(ends["server"], ends["client"])
    assert type(getattr(outcome, f"{side}_error")) is kind
    assert getattr(outcome, f"{other(side)}_error").reason == "TLSV1_ALERT_ACCESS_DENIED"
    with pytest.raises(ssl.SSLCertVerificationError):
        getattr(outcome, side).do_handshake()


def test_it_is_not_called_before_the_peer_proved_that_it_holds_the_key(world: World) -> None:
    ends = contexts(world, V.TLSv1_2)
    reports: list[Any] = []
    ends["server"].set_verify_callback(reports.append)
    to_server, to_client, wire = veritls.MemoryBIO(), veritls.MemoryBIO(), veritls.MemoryBIO()
    server = ends["server"].wrap_bio(to_server, to_client, server_side=True)
    client = ends["client"].wrap_bio(to_client, wire, server_hostname="localhost")
    for end in (client, server, client):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
        flight = bytearray(wire.read())
        if end is client and (start := flight.find(world.client.der)) > 0:
            # CertificateVerify is the record before the 6 bytes of ChangeCipherSpec.
            flight[flight.index(b"\x14\x03\x03\x00\x01\x01", start) - 1] ^= 1
        to_server.write(flight)
    with pytest.raises(ssl.SSLError) as failed:
        server.do_handshake()
    assert "ERIFICATION" not in str(failed.value.reason or "")
    assert not reports


@SIDES
def test_it_holds_for_connections_made_after_it(world: World, side: str) -> None:
    ends = contexts(world)
    server, client = ends["server"], ends["client"]
    before = memory_pair(server, client)
    ends[side].set_verify_callback(refuse)
    assert connect(server, client).refused
    handshake(*before)
    assert [end.version() for end in before] == ["TLSv1.3", "TLSv1.3"]
    ends[side].set_verify_callback(None)
    assert not connect(server, client).refused


def test_after_a_switch_of_contexts_both_are_asked(world: World) -> None:
    first, second, client = world.server_context(), world.server_context(), world.client_context()
    asked: list[str] = []
    first.set_verify_callback(lambda report: asked.append("first"))
    second.set_verify_callback(lambda report: asked.append("second"))
    first.sni_callback = lambda connection, *_: setattr(connection, "context", second)
    assert not connect(first, client).refused
    assert asked == ["first", "second"]
    first.set_verify_callback(refuse)
    assert isinstance(connect(first, client).server_error, ssl.SSLCertVerificationError)
    first.set_verify_callback(None)
    assert not connect(first, client).refused
    assert asked == ["first", "second", "second"]


def test_a_second_switch_does_not_shake_the_first_contexts_demands_off(world: World) -> None:
    first, client = world.server_context(), world.client_context()
    loose = [world.server_context(ssl.CERT_NONE) for _ in range(2)]
    asked: list[str] = []
    switches: list[Any] = []
    first.set_verify_callback(lambda report: asked.append("first"))

    def switch(connection: Any, *_: Any) -> None:
        for each in switches:
            connection.context = each

    first.sni_callback = switch
    for each in (*loose, first):
        switches.append(each)
        asked.clear()
        assert not connect(first, client).refused
        assert asked == ["first"]
        anonymous = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
        anonymous.load_verify_locations(cadata=world.ca.pem.decode())
        assert connect(first, anonymous).server_error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"


@VERSIONS
@SIDES
def test_it_runs_and_refuses_on_asyncio(world: World, version: V, side: str) -> None:
    async def attempt(callback: Callable[[VerificationReport], object]) -> bytes:
        ends = contexts(world, version)
        ends[side].set_verify_callback(callback)
        served: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"s")
            writer.close()
            served.set_result(None)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ends["server"])
        async with server:
            port = server.sockets[0].getsockname()[1]
            opening = asyncio.open_connection(
                "127.0.0.1", port, ssl=ends["client"], server_hostname="localhost"
            )
            reader, writer = await opening
            try:
                return await reader.readexactly(1)
            finally:
                writer.close()

    def run(callback: Callable[[VerificationReport], object]) -> bytes:
        return asyncio.run(asyncio.wait_for(attempt(callback), SECONDS))

    reports: list[VerificationReport] = []
    assert run(reports.append) == b"s"
    assert len(reports) == 1
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        run(refuse)


def test_a_connection_that_its_callback_knows_is_collected(world: World) -> None:
    server = world.server_context()

    def knows(end: list[Any]) -> Callable[[VerificationReport], object]:
        return lambda report: end

    end: list[Any] = []
    server.set_verify_callback(knows(end))
    end.append(server.wrap_bio(veritls.MemoryBIO(), veritls.MemoryBIO(), server_side=True))
    references = [weakref.ref(end[0]), weakref.ref(server)]
    del end, server
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_a_refused_connection_keeps_nothing_of_its_callback_alive(world: World) -> None:
    class Held:
        pass

    references: list[Any] = []

    def holds(report: VerificationReport) -> None:
        held = Held()
        references.append(weakref.ref(held))
        raise NotToday(held)

    server = world.server_context()
    server.set_verify_callback(holds)
    outcome = connect(server, world.client_context())
    assert isinstance(outcome.server_error, ssl.SSLCertVerificationError)
    outcome.server_error = None
    gc.collect()
    assert references[0]() is None
    with pytest.raises(ssl.SSLCertVerificationError):
        outcome.server.do_handshake()


@pytest.mark.parametrize("wrong", [4, "", []])
def test_what_cannot_be_called_is_refused(world: World, wrong: Any) -> None:
    with pytest.raises(TypeError):
        world.client_context().set_verify_callback(wrong)


@VERSIONS
@SIDES
def test_a_resumed_handshake_asks_once_too_and_a_refusal_is_an_alert_before_any_data(
    world: World, version: V, side: str
) -> None:
    ends = contexts(world, version)
    reports: list[Any] = []

    def twice(report: VerificationReport) -> None:
        reports.append(report)
        if len(reports) > 2:
            raise NotToday

    ends[side].set_verify_callback(twice)
    session = connect(ends["server"], ends["client"]).client.session
    resumed = connect(ends["server"], ends["client"], session=session)
    assert resumed.client.session_reused and resumed.server.session_reused
    assert len(reports) == 2 and reports[1].path == reports[0].path
    refused = connect(ends["server"], ends["client"], session=resumed.client.session)
    assert len(reports) == 3
    refusal, alert = getattr(refused, f"{side}_error"), getattr(refused, f"{other(side)}_error")
    assert isinstance(refusal, ssl.SSLCertVerificationError)
    assert isinstance(refusal.__cause__, NotToday)
    assert alert.reason == "TLSV1_ALERT_ACCESS_DENIED"
    for end in (refused.server, refused.client):
        with pytest.raises(ssl.SSLError):
            end.read(1)


@SIDES
def test_one_that_would_have_to_be_awaited_refuses(world: World, side: str) -> None:
    async def never(report: VerificationReport) -> None:
        raise AssertionError

    ends = contexts(world)
    with pytest.raises(TypeError, match="asynchronous"):
        ends[side].set_verify_callback(never)
    ends[side].set_verify_callback(lambda report: never(report))
    error = getattr(connect(ends["server"], ends["client"]), f"{side}_error")
    assert isinstance(error.__cause__, TypeError)
