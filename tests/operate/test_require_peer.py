"""Which clients a path and a route are for, asked over real connections."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.ecosystem.parties import library
from tests.operate.callers import ADMIN, WEB, Callers
from tests.operate.serving_ways import get, hypercorn, served, telling, uvicorn, websocket_status
from veritls import SPIFFE, URI, DNSPattern, Email, Network, events
from veritls._report.limiter import Limiter
from veritls.events import AccessEvent
from veritls.serving import ANY_PEER, ANYONE, Peer, RequirePeer, refusals, require_peer

ADMINS = SPIFFE(ADMIN)
RULES: dict[str, Any] = {"/admin": [ADMINS], "/peers": ANY_PEER, "/open": ANYONE, "/nobody": []}


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Callers:
    return Callers(tmp_path_factory.mktemp("callers"))


@pytest.fixture(autouse=True)
def _unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_limiter", Limiter())


@contextmanager
def heard() -> Iterator[list[AccessEvent]]:
    found: list[AccessEvent] = []

    def hear(event: object) -> None:
        if isinstance(event, AccessEvent):
            found.append(event)

    with events.subscribe(hear):
        yield found


MAKES = [
    pytest.param(uvicorn("h11"), id="h11"),
    pytest.param(uvicorn("httptools"), id="httptools"),
    pytest.param(hypercorn, id="hypercorn"),
]
makes = pytest.mark.parametrize("make", MAKES)


@makes
def test_each_path_is_for_the_peers_of_its_rule(callers: Callers, make: Any) -> None:
    clients = {
        "none": callers.client(),
        "web": callers.client(callers.web),
        "admin": callers.client(callers.admin),
        "foreign": callers.client(callers.foreign),
        "two": callers.client(callers.two_ids),
    }
    expected = {
        "/admin": {"admin"},
        "/admin/users": {"admin"},
        "/peers": {"web", "admin", "foreign", "two"},
        "/open": set(clients),
        "/nobody": set(),
        "/unlisted": set(),
        "/": set(),
    }
    with served(make, RequirePeer(telling, RULES), callers.server()) as port:
        for path, allowed in expected.items():
            statuses = {name: get(port, client, path)[0] for name, client in clients.items()}
            assert statuses == {name: 200 if name in allowed else 403 for name in clients}, path


TRICKS = [
    "//admin",
    "/admin/",
    "/admin//",
    "/./admin",
    "/open/../admin",
    "/open/%2e%2e/admin",
    "/open%2f..%2fadmin",
    "/open/..%2fadmin",
    "/open/%252e%252e/admin",
    "/%61dmin",
    "/ADMIN",
    "/admin;x",
    "/admin;x=/open",
    "/open;/../admin",
    "/open/..;/admin",
    "/admin%2fusers",
    "/admin/../open",
    "/admin/%2e%2e/open",
    "/open/..\\admin",
    "/admin%3f",
    "/admin%00",
]


@makes
@pytest.mark.parametrize("own", [None, "web", "foreign", "two_ids"])
def test_no_way_to_write_the_path_opens_it_to_another_client(
    callers: Callers, make: Any, own: str | None
) -> None:
    client = callers.client(getattr(callers, own) if own else None)
    with served(make, RequirePeer(telling, RULES), callers.server()) as port:
        assert get(port, client, "/open")[0] == 200
        for path in TRICKS:
            status, _ = get(port, client, path)
            assert status in (400, 403), path


@makes
def test_the_peer_of_the_rule_may_write_the_path_as_it_likes(callers: Callers, make: Any) -> None:
    client = callers.client(callers.admin)
    with served(make, RequirePeer(telling, RULES), callers.server()) as port:
        for path in ("/admin", "//admin", "/admin/", "/%61dmin", "/ADMIN", "/admin/x;v=1", "/open/../admin"):
            assert get(port, client, path)[0] == 200, path


@makes
def test_headers_open_no_path(callers: Callers, make: Any) -> None:
    forged = {
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Prefix": "/open",
        "X-Original-URL": "/open",
        "X-Rewrite-URL": "/open",
        "X-Forwarded-Client-Cert": f"URI={ADMIN}",
        "X-SSL-Client-Verify": "SUCCESS",
    }
    with served(make, RequirePeer(telling, RULES), callers.server()) as port:
        assert get(port, callers.client(), "/admin", forged)[0] == 403


@makes
def test_websockets_are_under_the_same_rules(callers: Callers, make: Any) -> None:
    with served(make, RequirePeer(telling, RULES), callers.server()) as port:
        assert websocket_status(port, callers.client(callers.admin), "/admin")[0] == 101
        assert websocket_status(port, callers.client(), "/open")[0] == 101
        for own in (None, callers.web):
            for path in ("/admin", "//admin", "/unlisted", "/open/../admin"):
                assert websocket_status(port, callers.client(own), path)[0] == 403, path


def test_paths_without_a_rule_have_the_default(callers: Callers) -> None:
    app = RequirePeer(telling, {"/admin": [ADMINS], "/nobody": []}, default=ANY_PEER)
    with served(uvicorn("h11"), app, callers.server()) as port:
        web = callers.client(callers.web)
        assert get(port, web, "/x")[0] == 200
        assert get(port, callers.client(), "/x")[0] == 403
        for path in ("/admin", "/x/../admin", "/admin/../x", "/nobody", "/x/../nobody"):
            assert get(port, web, path)[0] == 403


def test_a_refusal_is_an_event_and_a_line(callers: Callers, caplog: pytest.LogCaptureFixture) -> None:
    with heard() as found, served(uvicorn("h11"), RequirePeer(telling, RULES), callers.server()) as port:
        for own, path in ((None, "/admin"), (callers.web, "/admin/a\x1b[2J"), (None, "/x"), (None, "/%00")):
            get(port, callers.client(own), path.replace("\x1b", "%1b"))
        websocket_status(port, callers.client(), "/admin")
    assert [(each.kind, each.scope, each.method) for each in found] == [
        ("no_peer", "http", "GET"),
        ("bad_path", "http", "GET"),
        ("unlisted", "http", "GET"),
        ("bad_path", "http", "GET"),
        ("no_peer", "websocket", None),
    ]
    assert found[0].path == "/admin" and found[0].peer_address[0] == "127.0.0.1"
    assert found[1].peer_identity is not None and found[1].peer_identity.spiffe_id == WEB
    assert found[1].path == "/admin/a\\x1b[2J"
    lines = [each.getMessage() for each in caplog.records if each.name == "veritls.access"]
    assert len(lines) == 5
    assert lines[0].startswith("refused GET /admin to the client 127.0.0.1:")
    assert lines[0].endswith("the client showed no certificate that was validated [no_peer]")
    assert WEB in lines[1] and lines[1].isprintable()
    assert {each.levelno for each in caplog.records if each.name == "veritls.access"} == {logging.WARNING}


def test_the_certificate_of_another_service_is_named_with_what_is_allowed(callers: Callers) -> None:
    with heard() as found, served(uvicorn("h11"), RequirePeer(telling, RULES), callers.server()) as port:
        get(port, callers.client(callers.web), "/admin")
    (event,) = found
    assert event.kind == "not_allowed"
    assert event.sentence.endswith(f"matches none of those allowed here: SPIFFE {ADMIN}")


def test_lines_of_refusals_are_held_back_by_rate(callers: Callers, caplog: pytest.LogCaptureFixture) -> None:
    with served(uvicorn("h11"), RequirePeer(telling, RULES), callers.server()) as port:
        for _ in range(25):
            get(port, callers.client(), "/admin")
    assert len([each for each in caplog.records if each.name == "veritls.access"]) == 10


def test_a_log_that_raises_loses_no_event_and_opens_nothing(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: found.append((args.exc_value, args.object)))
    monkeypatch.setattr(refusals.logger, "filters", [lambda record: 1 / 0])
    with heard() as told, served(uvicorn("h11"), RequirePeer(telling, RULES), callers.server()) as port:
        assert get(port, callers.client(), "/admin")[0] == 403
    assert [event.kind for event in told] == ["no_peer"]
    assert [(type(error), where) for error, where in found] == [(ZeroDivisionError, refusals.logger)]


def _starlette() -> Any:
    library("starlette")
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route, WebSocketRoute

    admins = require_peer(ADMINS)

    @admins
    async def guarded(request: Any) -> Any:
        peer = Peer.of(request.scope)
        assert peer is not None
        return PlainTextResponse(peer.spiffe_id or "")

    @admins
    def blocking(request: Any) -> Any:
        return PlainTextResponse("blocking")

    @admins
    async def socket(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text("in")
        await websocket.close()

    @admins
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("application")(scope, receive, send)

    async def free(request: Any) -> Any:
        return PlainTextResponse("free")

    inner = Starlette(routes=[Route("/admin", free), Route("/open", free)])
    return Starlette(
        routes=[
            Route("/guarded", guarded),
            Route("/blocking", blocking),
            WebSocketRoute("/socket", socket),
            Mount("/application", application),
            Mount("/v1", RequirePeer(inner, RULES)),
            Route("/free", free),
        ]
    )


@makes
def test_a_route_of_starlette_is_for_its_peers(callers: Callers, make: Any) -> None:
    app = _starlette()
    with served(make, app, callers.server()) as port:
        for path in ("/guarded", "/blocking", "/application/x", "/v1/admin", "/v1/open/../admin"):
            for own in (None, callers.web, callers.foreign):
                assert get(port, callers.client(own), path)[0] == 403, path
        admin = callers.client(callers.admin)
        assert get(port, admin, "/guarded") == (200, ADMIN.encode())
        assert get(port, admin, "/blocking") == (200, b"blocking")
        assert get(port, admin, "/application/x") == (200, b"application")
        assert get(port, admin, "/v1/admin") == (200, b"free")
        assert get(port, callers.client(), "/v1/open") == (200, b"free")
        assert get(port, callers.client(), "/free") == (200, b"free")
        assert websocket_status(port, admin, "/socket") == (101, b"in")
        assert websocket_status(port, callers.client(callers.web), "/socket")[0] == 403


def _fastapi() -> Any:
    library("fastapi")
    from tests.operate.fastapi_app import app

    return app


@makes
def test_a_route_of_fastapi_is_for_its_peers_by_decorator_and_by_dependency(
    callers: Callers, make: Any
) -> None:
    with heard() as found, served(make, _fastapi(), callers.server()) as port:
        admin, web = callers.client(callers.admin), callers.client(callers.web)
        status, body = get(port, admin, "/decorated/7?word=y")
        assert (status, json.loads(body)) == (200, {"number": 7, "word": "y"})
        assert get(port, admin, "/decorated/seven")[0] == 422
        status, body = get(port, admin, "/dependency")
        assert (status, json.loads(body)) == (200, {"spiffe": ADMIN})
        assert get(port, admin, "/listed")[0] == get(port, web, "/listed")[0] == 200
        assert websocket_status(port, admin, "/socket") == (101, ADMIN.encode())
        assert not found
        for client in (web, callers.client()):
            for path in ("/decorated/7", "/dependency"):
                assert get(port, client, path) == (403, b'{"detail":"Forbidden"}')
            assert websocket_status(port, client, "/socket")[0] == 403
        assert get(port, callers.client(), "/listed")[0] == 403
    assert len(found) == 7


def test_who_is_refused_by_fastapi_does_not_learn_what_a_route_takes(callers: Callers) -> None:
    """The rule counts before the parameters are read."""
    with heard() as found, served(uvicorn("h11"), _fastapi(), callers.server()) as port:
        assert get(port, callers.client(callers.admin), "/decorated/seven")[0] == 422
        assert not found
        for own in (callers.web, None):
            assert get(port, callers.client(own), "/decorated/seven") == (403, b'{"detail":"Forbidden"}')
        assert [each.kind for each in found] == ["not_allowed", "no_peer"]


def test_no_dependency_of_a_route_of_fastapi_is_called_for_whom_the_route_refuses(callers: Callers) -> None:
    library("fastapi")
    from fastapi import Depends, FastAPI, HTTPException, Request

    called: list[str] = []

    def find(number: int) -> int:
        called.append("find")
        raise HTTPException(404)

    needs_find: Any = Depends(find)

    async def route(request: Request, found: int = needs_find, *, word: str = "x") -> None:
        raise AssertionError("it ran")

    app: Any = FastAPI()
    app.get("/once/{number}")(require_peer(ADMINS)(route))
    app.get("/twice/{number}")(require_peer(ADMINS)(require_peer(SPIFFE("spiffe://example.org/*"))(route)))
    with served(uvicorn("h11"), app, callers.server()) as port:
        for path in ("/once/7", "/twice/7"):
            for own in (callers.web, None):
                assert get(port, callers.client(own), path)[0] == 403
            assert not called
            assert get(port, callers.client(callers.admin), path)[0] == 404
            assert called.pop() == "find"


def test_what_fastapi_is_asked_for_stands_in_no_schema(callers: Callers) -> None:
    schema = _fastapi().openapi()
    assert [each["name"] for each in schema["paths"]["/decorated/{number}"]["get"]["parameters"]] == [
        "number",
        "word",
    ]


def test_lifespan_passes_and_another_scope_is_refused() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    for guarded in (RequirePeer(app, {}), require_peer(ADMINS)(app)):
        asyncio.run(guarded({"type": "lifespan"}, None, None))
    assert seen == ["lifespan", "lifespan"]
    for guarded in (RequirePeer(app, {}, default=ANYONE), require_peer(ADMINS)(app)):
        with pytest.raises(ValueError, match="knows HTTP and WebSocket, not 'mqtt'"):
            asyncio.run(guarded({"type": "mqtt"}, None, None))
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("rules", "error", "words"),
    [
        (["/admin"], TypeError, "a mapping"),
        ({"/admin": None}, TypeError, "must be a list of patterns, ANY_PEER or ANYONE"),
        ({"/admin": True}, TypeError, "must be a list of patterns"),
        ({"/admin": ADMINS}, TypeError, "list of patterns"),
        ({"/admin": ADMIN}, TypeError, "list of patterns"),
        ({"/admin": [ADMIN]}, TypeError, "is not a DNSPattern"),
        ({"admin": [ADMINS]}, ValueError, "begins with /"),
        ({"/a": [], "/A": []}, ValueError, "two rules"),
    ],
)
def test_rules_that_cannot_be_meant_are_an_error_at_once(rules: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        RequirePeer(telling, rules)


@pytest.mark.parametrize("pattern", [ADMIN, None, [ADMINS], ANY_PEER])
def test_require_peer_takes_patterns_only(pattern: Any) -> None:
    with pytest.raises(TypeError, match="require_peer"):
        require_peer(pattern)


@pytest.mark.parametrize("thing", [7, "route", int, None])
def test_require_peer_decorates_functions_only(thing: Any) -> None:
    with pytest.raises(TypeError, match="require_peer"):
        require_peer(ADMINS)(thing)


def test_a_framework_takes_the_middleware_as_it_takes_others(callers: Callers) -> None:
    library("starlette")
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def free(request: Request) -> PlainTextResponse:
        peer = Peer.of(request)
        return PlainTextResponse(peer.spiffe_id if peer is not None else None)

    app: Any = Starlette(routes=[Route("/admin", free), Route("/open", free)])
    app.add_middleware(RequirePeer, rules=RULES)
    with served(uvicorn("h11"), app, callers.server()) as port:
        assert get(port, callers.client(callers.admin), "/admin") == (200, ADMIN.encode())
        assert get(port, callers.client(callers.web), "/admin")[0] == 403
        assert get(port, callers.client(), "/open") == (200, b"")


@makes
def test_the_address_of_a_refusal_is_not_what_a_header_says(callers: Callers, make: Any) -> None:
    with heard() as found, served(make, RequirePeer(telling, RULES), callers.server()) as port:
        get(port, callers.client(), "/admin", {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"})
    assert found[0].peer_address[0] == "127.0.0.1"


def test_a_route_with_two_rules_is_for_those_whom_both_name(callers: Callers) -> None:
    library("fastapi")
    from fastapi import FastAPI

    app: Any = FastAPI()

    async def route(number: int) -> dict[str, int]:
        return {"number": number}

    twice = require_peer(ADMINS)(require_peer(SPIFFE("spiffe://example.org/*"))(route))
    crossed = require_peer(ADMINS)(require_peer(SPIFFE(WEB))(route))
    app.get("/twice/{number}")(twice)
    app.get("/crossed/{number}")(crossed)
    with served(uvicorn("h11"), app, callers.server()) as port:
        assert get(port, callers.client(callers.admin), "/twice/7") == (200, b'{"number":7}')
        assert get(port, callers.client(callers.web), "/twice/7")[0] == 403
        for own in (callers.admin, callers.web):
            assert get(port, callers.client(own), "/crossed/7")[0] == 403


def test_a_route_that_is_called_without_a_request_does_not_run() -> None:
    @require_peer(ADMINS)
    def route(number: int) -> int:
        raise AssertionError("it ran")

    with pytest.raises(RuntimeError, match="whose it is cannot be known"):
        route(7)


def test_a_pattern_matches_as_allowed_peers_does(callers: Callers, tmp_path: Path) -> None:
    import ipaddress

    peer = callers.root.issue(
        "db.example.org",
        x509.IPAddress(ipaddress.ip_address("10.1.2.3")),
        x509.RFC822Name("ops@example.org"),
        x509.UniformResourceIdentifier(WEB),
    )
    matching = [
        DNSPattern("*.example.org"),
        DNSPattern("DB.example.org"),
        Network("10.0.0.0/8"),
        Email("ops@EXAMPLE.org"),
        URI(WEB),
        SPIFFE(WEB),
        SPIFFE("spiffe://example.org/*"),
    ]
    others = [
        DNSPattern("example.org"),
        Network("11.0.0.0/8"),
        Email("dev@example.org"),
        URI(ADMIN),
        SPIFFE(ADMIN),
        SPIFFE("spiffe://example.net/**"),
    ]
    for given in (peer.der, peer.certificate):
        assert all(pattern.matches(given) for pattern in matching)
        assert not any(pattern.matches(given) for pattern in others)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        (DNSPattern("*.example.org"), "a.example.org", True),
        (DNSPattern("*.example.org"), "a.b.example.org", False),
        (DNSPattern("*.example.org"), "", False),
        (Network("10.0.0.0/8"), "10.9.9.9", True),
        (Network("10.0.0.0/8"), "ten", False),
        (SPIFFE("spiffe://example.org/*"), WEB, True),
        (SPIFFE("spiffe://example.org/*"), "spiffe://example.org/a/b", False),
        (SPIFFE("spiffe://example.org/**"), "spiffe://example.org/../x", False),
        (SPIFFE("spiffe://example.org/*"), "https://example.org/a", False),
        (URI("urn:x"), "urn:x", True),
        (Email("a@example.org"), "a@Example.ORG", True),
        (Email("a@example.org"), "A@example.org", False),
        (DNSPattern("*.example.org"), "\udcff.example.org", False),
        (SPIFFE("spiffe://example.org/**"), "spiffe://example.org/\ud800", False),
    ],
    ids=ascii,
)
def test_a_pattern_matches_a_name_alone(pattern: Any, name: str, matches: bool) -> None:
    assert pattern.matches(name) is matches


def test_a_certificate_with_two_spiffe_ids_has_none(callers: Callers) -> None:
    two = callers.root.issue(x509.UniformResourceIdentifier(WEB), x509.UniformResourceIdentifier(ADMIN))
    assert not SPIFFE(WEB).matches(two.der) and not SPIFFE(ADMIN).matches(two.der)
    assert URI(ADMIN).matches(two.der)


def test_a_pattern_matches_whom_an_event_names(callers: Callers) -> None:
    found: list[Any] = []
    with events.subscribe(found.append), served(uvicorn("h11"), telling, callers.server()) as port:
        get(port, callers.client(callers.web))
        get(port, callers.client(callers.two_ids))
    identity, two = (each.peer_identity for each in found if each.side == "server")
    assert not SPIFFE(WEB).matches(two) and not SPIFFE(ADMIN).matches(two) and URI(ADMIN).matches(two)
    assert SPIFFE(WEB).matches(identity) and URI(WEB).matches(identity)
    assert not SPIFFE(ADMIN).matches(identity) and not DNSPattern("localhost").matches(identity)


@pytest.mark.parametrize("thing", [None, 7, {"subject": ()}, object()])
def test_what_names_nobody_is_a_type_error(thing: Any) -> None:
    with pytest.raises(TypeError, match="a certificate, an identity or a name"):
        ADMINS.matches(thing)


def test_a_peer_takes_patterns_only_and_matches_none_of_none() -> None:
    peer = Peer("CN=x", (("DNS", "a.example.org"), ("DNS", "\udcff.example.org")))
    assert peer.matches(ADMINS, DNSPattern("a.example.org"))
    assert not peer.matches() and not peer.matches(ADMINS, DNSPattern("b.example.org"))
    for wrong in (ADMIN, None, [ADMINS]):
        with pytest.raises(TypeError, match=r"^Peer\.matches"):
            peer.matches(wrong)  # type: ignore[arg-type]


def test_bytes_that_are_no_certificate_match_nothing() -> None:
    assert not ADMINS.matches(b"") and not URI(ADMIN).matches(ADMIN.encode())
