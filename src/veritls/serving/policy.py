"""Which peers a route is for: `RequirePeer` for the paths of an application, `require_peer` for one route."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar, overload

from veritls.peers import Matcher, as_matchers
from veritls.serving.paths import BadPath, Rules, readings
from veritls.serving.peer import Peer
from veritls.serving.refusals import Refused, tell

F = TypeVar("F", bound=Callable[..., Any])


class _Wide(Enum):
    ANY_PEER = "any peer"
    ANYONE = "anyone"

    def __repr__(self) -> str:
        return self.name


ANY_PEER: Final = _Wide.ANY_PEER
"""A rule for every client whose certificate was validated."""
ANYONE: Final = _Wide.ANYONE
"""A rule for every client, without a certificate, too."""

Rule: TypeAlias = Iterable[Matcher] | _Wide
"""Patterns of which one has to match, `ANY_PEER` or `ANYONE`. Without patterns it is for nobody."""

_Allowed: TypeAlias = tuple[Matcher, ...] | _Wide


def _as_rule(rule: Rule, of: str) -> _Allowed:
    if isinstance(rule, _Wide):
        return rule
    if rule is None or not isinstance(rule, Iterable):
        raise TypeError(f"the rule of {of} must be a list of patterns, ANY_PEER or ANYONE, not {rule!r}")
    return as_matchers(rule, f"the rule of {of}")


def _demand(allowed: _Allowed, peer: Peer | None) -> None:
    """Raises Refused where `peer` is none of `allowed`."""
    if allowed is ANYONE:
        return
    if peer is None:
        raise Refused("no_peer", "the client showed no certificate that was validated")
    if not isinstance(allowed, _Wide) and not peer.matches(*allowed):
        wanted = ", ".join(map(str, allowed)) or "nobody"
        raise Refused("not_allowed", f"the client's certificate matches none of those allowed here: {wanted}")


def _has_peers(scope: Any, asked_by: str) -> bool:
    """False of lifespan. Raises ValueError for what has other ways to refuse than these."""
    if scope["type"] not in ("http", "websocket", "lifespan"):
        raise ValueError(f"{asked_by} knows HTTP and WebSocket, not {scope['type']!r}")
    return bool(scope["type"] != "lifespan")


async def _forbid(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before it was accepted: HTTP 403
        return
    body = b"Forbidden\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class RequirePeer:
    """An ASGI middleware: an application whose paths are each for the peers of their rule.

    ``RequirePeer(app, {"/admin": [SPIFFE("spiffe://example.org/admin")], "/": ANY_PEER})``

    `app`: the application. `rules`: a path, as the application sees it below its `root_path`, -> `Rule`. The
    longest rule whose segments begin the request's path is the one that counts; case does not. `default`: the
    rule of paths that have none; without it, the default, those are refused. A path that can be read in
    several ways (``//admin``, ``/x/../admin``, ``/admin;a``, escapes within escapes) has to be allowed in
    each.

    A request that is refused is answered with 403, a WebSocket is not accepted, and an
    `veritls.events.AccessEvent` is told. HTTP and WebSocket; lifespan is passed on. Raises TypeError or
    ValueError for rules that cannot be meant, when it is made, and ValueError for any other scope.
    """

    def __init__(self, app: Any, rules: Mapping[str, Rule], default: Rule | None = None) -> None:
        if not isinstance(rules, Mapping):
            raise TypeError(f"the rules must be a mapping from paths, not {type(rules).__name__}")
        self.app = app
        self._rules = Rules({path: _as_rule(rule, repr(path)) for path, rule in rules.items()})
        self._default = None if default is None else _as_rule(default, "default")

    def _check(self, scope: Mapping[str, Any], peer: Peer | None) -> None:
        try:
            found = readings(scope)
        except BadPath as why:
            raise Refused("bad_path", f"the path cannot be relied on: {why}") from None
        rules = [self._rules.of(segments) for segments in found]
        for rule in rules:
            allowed = self._default if rule is None else rule
            if allowed is None:
                raise Refused("unlisted", "no rule is for this path, and there is no default")
            _demand(allowed, peer)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not _has_peers(scope, "RequirePeer"):
            await self.app(scope, receive, send)
            return
        peer = Peer.of(scope)
        try:
            self._check(scope, peer)
        except Refused as why:
            tell(scope, peer, why)
            await _forbid(scope, receive, send)
            return
        await self.app(scope, receive, send)


_PARAMETER = "veritls_connection"
"""What FastAPI is asked for by the name of this parameter."""


def _scope_in(arguments: Iterable[object]) -> Any:
    """The scope of a request or WebSocket of Starlette among the arguments of a route."""
    for argument in arguments:
        scope = getattr(argument, "scope", None)
        if isinstance(scope, dict) and scope.get("type") in ("http", "websocket"):
            return scope
    return None


class PeerRule:
    """What `require_peer` returns: a decorator of one route, and a dependency of FastAPI."""

    def __init__(self, allowed: _Allowed) -> None:
        self._allowed = allowed

    def _check(self, scope: Mapping[str, Any]) -> Peer:
        """Raises Refused, after it was told."""
        peer = Peer.of(scope)
        try:
            _demand(self._allowed, peer)
            assert peer is not None
        except Refused as why:
            tell(scope, peer, why)
            raise
        return peer

    def _check_of_starlette(self, scope: Mapping[str, Any]) -> Peer:
        """Raises what Starlette answers with 403."""
        try:
            return self._check(scope)
        except Refused:
            from starlette.exceptions import HTTPException, WebSocketException

            if scope["type"] == "websocket":
                raise WebSocketException(1008) from None
            raise HTTPException(403) from None

    @property
    def __signature__(self) -> inspect.Signature:
        """For FastAPI, which calls a dependency with what its parameters are annotated with."""
        from starlette.requests import HTTPConnection

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameter = inspect.Parameter(_PARAMETER, kind, annotation=HTTPConnection)
        return inspect.Signature([parameter], return_annotation=Peer)

    if TYPE_CHECKING:

        @overload
        def __call__(self, route: F, /) -> F: ...
        @overload
        def __call__(self, *, veritls_connection: object) -> Peer: ...

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        connection = named.pop(_PARAMETER, None)
        if named or len(arguments) + (connection is not None) != 1:
            raise TypeError("what require_peer() returns is a decorator of one route, or a dependency")
        scope = _scope_in([connection, *arguments])
        if scope is not None:
            return self._check_of_starlette(scope)
        if not callable(arguments[0]) or inspect.isclass(arguments[0]):
            raise TypeError(f"require_peer() decorates a function, not {arguments[0]!r}")
        return self._decorated(arguments[0])

    def _decorated(self, route: Any) -> Any:
        parameters = list(inspect.signature(route).parameters.values())
        names = [each.name for each in parameters]
        if names[-3:] == ["scope", "receive", "send"]:
            return self._application(route)
        check = self._check_of_starlette
        parameter = _PARAMETER
        while parameter in names:  # that of another rule of the same route
            parameter += "_"

        def scope_of(arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
            connection = named.pop(parameter, None)
            scope = _scope_in([connection, *arguments, *named.values()])
            if scope is None:
                raise RuntimeError(f"{route!r} was called without a request: whose it is cannot be known")
            return scope

        if inspect.iscoroutinefunction(route):

            @wraps(route)
            async def guarded(*arguments: Any, **named: Any) -> Any:
                check(scope_of(arguments, named))
                return await route(*arguments, **named)
        else:

            @wraps(route)
            def guarded(*arguments: Any, **named: Any) -> Any:
                check(scope_of(arguments, named))
                return route(*arguments, **named)

        _show_parameter(guarded, route, parameter, check)
        return guarded

    def _application(self, app: Any) -> Any:
        @wraps(app)
        async def guarded(*arguments: Any) -> None:
            scope, receive, send = arguments[-3:]
            if _has_peers(scope, "require_peer"):
                try:
                    self._check(scope)
                except Refused:
                    await _forbid(scope, receive, send)
                    return
            await app(*arguments)

        return guarded

    def __repr__(self) -> str:
        words = "" if isinstance(self._allowed, _Wide) else ", ".join(map(repr, self._allowed))
        return f"require_peer({words})"


def _show_parameter(guarded: Any, route: Any, parameter: str, check: Callable[[Any], object]) -> None:
    """Has FastAPI hand over the connection as `parameter`, besides what the route takes, and ask `check`
    before the route's own dependencies are called and its parameters are read: who is refused learns nothing
    of them."""
    signature = inspect.signature(route)
    try:
        from starlette.requests import HTTPConnection
    except ImportError:
        return
    asked: Any = HTTPConnection
    try:
        from fastapi import Depends
    except ImportError:
        pass
    else:

        async def checked(connection: HTTPConnection) -> HTTPConnection:
            check(connection.scope)
            return connection

        checked.__annotations__ = {"connection": HTTPConnection}
        asked = Annotated[HTTPConnection, Depends(checked)]
    # FastAPI calls dependencies in the order of the parameters, and gives everything by name.
    by_name = inspect.Parameter.KEYWORD_ONLY
    ours = inspect.Parameter(parameter, by_name, annotation=asked)
    first: list[inspect.Parameter] = []
    named: list[inspect.Parameter] = []
    last: list[inspect.Parameter] = []
    for each in signature.parameters.values():
        if each.kind is inspect.Parameter.VAR_KEYWORD:
            last.append(each)
        elif each.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, by_name) and each.name != "self":
            named.append(each.replace(kind=by_name))
        else:
            first.append(each)
    guarded.__signature__ = signature.replace(parameters=[*first, ours, *named, *last])


def require_peer(*patterns: Matcher) -> PeerRule:
    """The rule of one route: a client whose certificate matches one of `patterns`; any that was validated,
    where there are none.

    As a decorator, below that of the framework: of a route of FastAPI, an endpoint of Starlette, or a
    function that is an ASGI application. As a dependency of FastAPI, ``Depends(require_peer(...))``, it gives
    the `Peer`. A request that is refused is answered with 403, a WebSocket is not accepted, and an
    `veritls.events.AccessEvent` is told. FastAPI reads a request's body before it asks for whom a route is:
    whoever is refused can send one, and gets 422 for one that is no JSON. `RequirePeer` refuses before.

    Raises TypeError for what is not a pattern, and for what is not a function.
    """
    return PeerRule(as_matchers(patterns, "require_peer()") if patterns else ANY_PEER)
