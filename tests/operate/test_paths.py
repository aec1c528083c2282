"""Under which rules a path falls, in every way that it can be read."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, strategies

from veritls.serving.paths import LONGEST, LONGEST_ODD, BadPath, Rules, readings, rule_path


def scope(target: str, root: str = "") -> dict[str, Any]:
    """As a server makes it of a request's target."""
    return {"path": unquote(target), "raw_path": target.encode("latin-1"), "root_path": root}


def under(target: str, root: str = "") -> set[str | None]:
    """The rules of all readings of `target`."""
    rules = Rules({path: path for path in ("/admin", "/admin/logs", "/public", "/Ünï")})
    return {rules.of(segments) for segments in readings(scope(target, root))}


PLAIN = [
    ("/admin", "/admin"),
    ("/admin/", "/admin"),
    ("/admin/users/7", "/admin"),
    ("/admin/logs", "/admin/logs"),
    ("/admin/logs/today", "/admin/logs"),
    ("/admin/logsx", "/admin"),
    ("/administrator", None),
    ("/admin-tools", None),
    ("/admin.html", None),
    ("/public/admin", "/public"),
    ("/", None),
    ("", None),
    ("/x", None),
]


@pytest.mark.parametrize(("path", "rule"), PLAIN)
def test_a_plain_path_has_the_longest_rule_whose_segments_begin_it(path: str, rule: str | None) -> None:
    assert under(path) == {rule}


ADMIN = [
    "//admin",
    "///admin///",
    "/.//admin",
    "/./admin",
    "/public/../admin",
    "/public/./../admin",
    "/public//../admin",
    "/public/%2e%2e/admin",
    "/public/%2E%2E/admin",
    "/public/.%2e/admin",
    "/public%2f..%2fadmin",
    "/public%2F%2e%2e%2Fadmin",
    "/public/..%2fadmin",
    "/public\\..\\admin",
    "/public%5c..%5cadmin",
    "/x/..\\admin",
    "/%61dmin",
    "/%2561dmin",
    "/public/%252e%252e/admin",
    "/public/..%252fadmin",
    "/admin;a=b",
    "/admin;a=b/x",
    "/public;x/../admin",
    "/public/..;/admin",
    "/;/admin",
    "/ADMIN",
    "/Admin/x",
    "/aDmIn;JSESSIONID=1",
    "/admin%3Fx=/public",
    "/admin%23/public",
    "/../admin",
    "/../../admin",
    "/admin/../public",
    "/admin/%2e%2e/public",
    "/admin/..%2fpublic",
    "/admin/..;/public",
    "/admin%2f..",
    "/admin/..",
    "/x/../admin//../y",
    "/x/..;/admin//..;/y",
]


@pytest.mark.parametrize("path", ADMIN)
def test_a_path_that_something_may_read_as_admin_has_that_rule_among_others(path: str) -> None:
    assert "/admin" in under(path)


@pytest.mark.parametrize(
    "path",
    ["/public/../x", "/x/../public", "/public%2fx/..%2f..", "/public/..", "/public/%2e%2e/", "/public%2fx"],
)
def test_a_path_that_something_may_read_as_unlisted_is_unlisted(path: str) -> None:
    assert None in under(path)


@pytest.mark.parametrize(
    ("path", "root", "rules"),
    [
        ("/api/admin", "/api", {"/admin"}),
        ("/api/admin/logs", "/api", {"/admin/logs"}),
        ("/api", "/api", {None}),
        ("/admin", "/api", {"/admin"}),
        ("/apiadmin", "/api", {None}),
        ("/api/admin", "", {None}),
        ("/api/admin", "/api/", {"/admin"}),
        ("/admin/public", "/admin", {"/public"}),
    ],
)
def test_a_rule_is_for_the_path_below_the_mount(path: str, root: str, rules: set[Any]) -> None:
    assert under(path, root) == rules


@pytest.mark.parametrize("path", ["//api/admin", "/api//admin", "/api/../api/admin", "/api/x/../admin"])
def test_a_mount_is_left_out_however_its_path_is_written(path: str) -> None:
    assert "/admin" in under(path, "/api")


@pytest.mark.parametrize("path", ["/%2561dmin", "/%2561dmin/x", "/admin%5Cx", "/admin%252fx"])
def test_a_path_outside_of_the_mount_is_not_within_it_where_it_is_read_further(path: str) -> None:
    assert "/admin" in under(path, "/admin")


def test_letters_beyond_ascii_are_compared_without_case() -> None:
    assert under("/%C3%BCN%C3%8F/x".replace("%C3%BC", "%C3%9C").replace("N", "n")) == {"/Ünï"}
    assert under("/%C3%BCn%C3%AF") == {"/Ünï"}


def test_a_long_path_that_is_plain_is_read() -> None:
    assert under("/admin/" + "x" * (LONGEST - 7)) == {"/admin"}


BAD = [
    "admin",
    "http://localhost/admin",
    "*",
    "/admin\0",
    "/ad\nmin",
    "/x\x7f",
    "/%2525252561dmin",
    "/" + "x" * LONGEST,
    "/x;" * (LONGEST_ODD // 3 + 1),
]


@pytest.mark.parametrize("path", BAD)
def test_a_path_that_no_rule_can_be_relied_on_for_is_bad(path: str) -> None:
    with pytest.raises(BadPath):
        readings(scope(path))


@pytest.mark.parametrize("found", [{}, {"path": None}, {"path": b"/admin"}, {"path": "/", "root_path": 7}])
def test_a_scope_without_a_path_is_bad(found: Any) -> None:
    with pytest.raises(BadPath):
        readings(found)


@pytest.mark.parametrize("path", ["/admin/*", "/admin/**", "/*", "/users/{name}", "/users/<name>"])
def test_a_rule_that_looks_like_a_pattern_is_a_value_error(path: str) -> None:
    """It would be taken as it is: no request had that rule, and its paths the default."""
    with pytest.raises(ValueError, match="and no pattern"):
        rule_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "/admin ",
        "/admin /x",
        "",
        "admin",
        "/a//b",
        "/a/./b",
        "/a/..",
        "/a;b",
        "/a?b",
        "/a#b",
        "/a\\b",
        "/%61",
        "/a\n",
        "//",
        "*",
    ],
)
def test_a_rule_whose_path_no_request_has_is_a_value_error(path: str) -> None:
    with pytest.raises(ValueError, match="the path of a rule"):
        rule_path(path)


def test_a_rule_whose_path_is_not_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="the path of a rule is a str, not bytes"):
        Rules({b"/admin": 1})  # type: ignore[dict-item]


def test_two_rules_of_one_path_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="two rules for '/Admin/'"):
        Rules({"/admin": 1, "/Admin/": 2})


pieces = strategies.sampled_from(
    [
        "/",
        "//",
        "admin",
        "ADMIN",
        "public",
        "..",
        ".",
        "%2e",
        "%2f",
        "%5c",
        "\\",
        ";a",
        "%252e",
        "?",
        "x",
        "%",
    ]
)


@given(strategies.lists(pieces, max_size=12).map("".join))
def test_whatever_is_asked_for_is_read_or_bad_and_readings_end(rest: str) -> None:
    try:
        found = readings(scope(f"/{rest}"))
    except BadPath:
        return
    assert found and len(found) <= 200
    assert all((segment and "/" not in segment) or "%" in rest for each in found for segment in each)
