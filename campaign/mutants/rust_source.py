"""The mutants of the engine, all compiled into one engine as switches ("mutant schemata").

Each place becomes ``if crate::mutants::on(7) { changed } else { original }``, so that one build holds
thousands. What only a build of its own could change is left out: constants, patterns, types, and what is
inside a macro.

cargo-mutants builds the engine once for each mutant: half a minute each, and 2,500 of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_rust
from tree_sitter import Language, Node, Parser

from campaign.mutants.mutant import Mutant, numbered, one_line

_BINARY = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "&&": "||",
    "||": "&&",
    "+": "-",
    "-": "+",
}
_METHODS = {
    "all": "any",
    "any": "all",
    "is_none": "is_some",
    "is_some": "is_none",
    "is_ok": "is_err",
    "is_err": "is_ok",
    "is_some_and": "is_none_or",
    "is_none_or": "is_some_and",
    "max": "min",
    "min": "max",
}
_NUMBERS = {"u8", "u16", "u32", "u64", "usize", "i32", "i64", "c_int"}
_NOT_AT_RUN_TIME = {
    "const_item",
    "static_item",
    "attribute_item",
    "macro_definition",
    "use_declaration",
    "type_item",
}
_DROPPED = {
    "call_expression",
    "try_expression",
    "assignment_expression",
    "compound_assignment_expr",
    "return_expression",
    "break_expression",
    "continue_expression",
}


@dataclass(frozen=True)
class Switch:
    """Text put before and after a range of a file. `{on}` in it stands for the question whether it is on."""

    start: int
    end: int
    before: str
    after: str
    function: str
    line: int
    change: str


def switches_of(source: bytes) -> list[Switch]:
    """Every switch of a file, in the order of its source."""
    tree = Parser(Language(tree_sitter_rust.language())).parse(source)
    return list(_walk(tree.root_node, ""))


def mutants_of(file: str, source: bytes, first: int) -> list[Mutant]:
    """The mutants of a file, numbered from `first`."""
    return numbered(
        Mutant(file, each.function, each.change, 0, each.line, first + place)
        for place, each in enumerate(switches_of(source))
    )


def put_in(source: bytes, chosen: dict[int, Switch]) -> tuple[bytes, list[tuple[int, int, int]]]:
    """The source with switches, and for each its number and where it stands there, inner ones later."""
    # At one position what ends comes first, then what begins, the longest first.
    openings = sorted(chosen.items(), key=lambda item: (item[1].start, -item[1].end, item[0]))
    result = bytearray()
    placed: dict[int, tuple[int, int]] = {}
    open_ones: list[tuple[int, Switch]] = []
    done = 0

    def close_until(position: int) -> None:
        nonlocal done
        while open_ones and open_ones[-1][1].end <= position:
            number, switch = open_ones.pop()
            result.extend(source[done : switch.end])
            done = switch.end
            result.extend(_text(switch.after, number))
            placed[number] = placed[number][0], len(result)

    for number, switch in openings:
        close_until(switch.start)
        result.extend(source[done : switch.start])
        done = switch.start
        placed[number] = len(result), 0
        result.extend(_text(switch.before, number))
        open_ones.append((number, switch))
    close_until(len(source))
    result.extend(source[done:])
    return bytes(result), [(number, *placed[number]) for number, _ in openings]


def _text(template: str, number: int) -> bytes:
    return template.replace("\0on\0", f"crate::mutants::on({number})").encode()


_ON = "\0on\0"


def _source(node: Node | None) -> str:
    return node.text.decode() if node is not None and node.text is not None else ""


def _instead(node: Node, function: str, new: str, *, shown: str | None = None) -> Switch:
    """An expression replaced by another one."""
    return Switch(
        node.start_byte,
        node.end_byte,
        f"(if {_ON} {{ {new} }} else {{ ",
        " })",
        function,
        node.start_point[0] + 1,
        f"{one_line(_source(node))} -> {one_line(shown if shown is not None else new)}",
    )


def _walk(node: Node, function: str) -> Iterator[Switch]:
    kind = node.type
    if kind in _NOT_AT_RUN_TIME:
        return
    if kind == "macro_invocation" and _source(node.child_by_field_name("macro")) != "matches":
        return
    if kind == "function_item":
        name = _source(node.child_by_field_name("name"))
        function = f"{function}::{name}" if function else name
        if any(each.type == "function_modifiers" and "const" in _source(each) for each in node.children):
            return
        yield from _bodies(node, function)
    elif kind in ("impl_item", "trait_item", "mod_item"):
        name = _source(node.child_by_field_name("type") or node.child_by_field_name("name")).split("<")[0]
        of = node.child_by_field_name("trait")
        name = f"{name} as {_source(of).split('<')[0]}" if of is not None else name
        function = f"{function}::{name}" if function else name
    else:
        yield from _expression(node, function)
    for index, child in enumerate(node.children):
        before = node.children[index - 1] if index else None
        if before is not None and before.type == "attribute_item" and "test" in _source(before):
            continue
        if (
            child.type in ("match_pattern", "type_arguments", "parameters")
            or node.field_name_for_child(index) == "pattern"
        ):
            if child.type == "match_pattern":
                yield from _guard(child, function)
            continue
        yield from _walk(child, function)


def _guard(pattern: Node, function: str) -> Iterator[Switch]:
    guard = pattern.child_by_field_name("condition")
    if guard is not None and "let" not in guard.type:
        yield _instead(guard, function, "true")
        yield _instead(guard, function, "false")
        yield from _walk(guard, function)


def _expression(node: Node, function: str) -> Iterator[Switch]:
    match node.type:
        case "binary_expression":
            operator = _source(node.child_by_field_name("operator"))
            if operator in _BINARY and "let " not in _source(node):
                left, right = (_source(node.child_by_field_name(side)) for side in ("left", "right"))
                if not (operator in ("==", "!=") and _is_condition(node)):
                    yield _instead(node, function, f"{left} {_BINARY[operator]} {right}")
        case "unary_expression" if _source(node).startswith("!") and not _is_condition(node):
            yield _instead(node, function, _source(node)[1:])
        case "boolean_literal":
            around = one_line(_source(node.parent), 60)
            yield _instead(
                node,
                function,
                "false" if _source(node) == "true" else "true",
                shown=f"its opposite in {around}",
            )
        case "integer_literal" if _source(node).replace("_", "").isdecimal():
            around = one_line(_source(node.parent), 60)
            yield _instead(node, function, f"{_source(node)} + 1", shown=f"one more in {around}")
        case "macro_invocation":
            if not _is_condition(node):
                yield _instead(node, function, "true")
                yield _instead(node, function, "false")
        case "call_expression":
            called = node.child_by_field_name("function")
            if called is not None and called.type == "field_expression":
                method = called.child_by_field_name("field")
                if method is not None and _source(method) in _METHODS:
                    whole, start = _source(node), method.start_byte - node.start_byte
                    text = whole.encode()
                    after = text[start + len(_source(method).encode()) :].decode()
                    new = f"{text[:start].decode()}{_METHODS[_source(method)]}{after}"
                    yield _instead(node, function, new)
        case "if_expression" | "while_expression":
            condition = node.child_by_field_name("condition")
            if condition is not None and "let " not in _source(condition):
                if node.type == "if_expression":
                    yield _instead(condition, function, "true", shown="if true")
                yield _instead(condition, function, "false", shown="if false")
        case "expression_statement" if _source(node).endswith(";"):
            if node.children[0].type in _DROPPED:
                yield Switch(
                    node.start_byte,
                    node.end_byte,
                    f"if !{_ON} {{ ",
                    " }",
                    function,
                    node.start_point[0] + 1,
                    f"{one_line(_source(node))} -> nothing",
                )
        case "match_block":
            yield from _arms(node, function)


def _is_condition(node: Node) -> bool:
    """`if true` and `if false` ask for more than a condition that is turned round."""
    return node.parent is not None and node.parent.type in (
        "if_expression",
        "while_expression",
        "match_pattern",
    )


def _arms(block: Node, function: str) -> Iterator[Switch]:
    arms = [each for each in block.children if each.type == "match_arm"]
    patterns = [each.child_by_field_name("pattern") for each in arms]
    if not patterns or _source(patterns[-1]) != "_":
        return
    for pattern in patterns[:-1]:
        if pattern is not None and pattern.child_by_field_name("condition") is None:
            yield Switch(
                pattern.end_byte,
                pattern.end_byte,
                f" if !{_ON} ",
                "",
                function,
                pattern.start_point[0] + 1,
                f"match arm {one_line(_source(pattern))} -> none",
            )


def _bodies(node: Node, function: str) -> Iterator[Switch]:
    """The function returns at once."""
    body = node.child_by_field_name("body")
    if body is None or not body.named_children:
        return
    kind = node.child_by_field_name("return_type")
    position = body.start_byte + 1
    for value in _values(_source(kind)):
        yield Switch(
            position,
            position,
            f" if {_ON} {{ return {value}; }} ",
            "",
            function,
            node.start_point[0] + 1,
            f"body -> {value or 'nothing'}",
        )


def _values(kind: str) -> list[str]:
    head, _, inner = kind.partition("<")
    head, inner = head.strip().split("::")[-1], inner.removesuffix(">").strip()
    if kind == "":
        return [""]
    if kind == "bool":
        return ["true", "false"]
    if kind in _NUMBERS:
        return ["0", "1"]
    if head in ("Result", "PyResult"):
        return [f"Ok({each or '()'})" for each in _values(_first(inner))]
    if head == "Option":
        return ["None", *(f"Some({each})" for each in _values(inner))]
    if kind == "()":
        return ["()"]
    if kind.startswith(("impl", "&mut", "!", "Self", "Box<dyn")) or len(kind) == 1:
        return []
    if kind.startswith("&"):
        return ["Default::default()"] if kind.endswith(("str", "]")) else []
    return ["Default::default()"]


def _first(inner: str) -> str:
    depth = 0
    for place, letter in enumerate(inner):
        depth += (letter in "<([") - (letter in ">)]")
        if letter == "," and depth == 0:
            return inner[:place].strip()
    return inner
