"""Signatures as the reference shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

from tests.site.names import Entry, Names, target

WIDTH = 80
"""Characters of a signature's line: what a narrow window shows without scrolling, or nearly."""


def signature(entry: Entry, names: Names) -> str:
    """The signature as Python has it, one parameter a line where it is long; empty where there is none."""
    thing = entry.object
    if thing.kind is griffe.Kind.CLASS:
        if entry.path in names.spec["not_called"] or "Protocol" in map(str, thing.bases):
            return ""
        hidden = names.hidden(entry)
        shown = [each for each in thing.parameters if each.name not in hidden]
        return _call(entry.name, _fields(thing) or _parameters(shown), None)
    if thing.kind is griffe.Kind.FUNCTION:
        returns = None if thing.returns is None else str(thing.returns)
        return _call(entry.name, _parameters(thing.parameters), returns)
    if thing.annotation is not None and str(thing.annotation) != "TypeAlias":
        return f"{entry.name}: {thing.annotation}"
    if thing.value is not None and "property" not in thing.labels:
        return f"{entry.name} = {thing.value}"
    return ""


def types(entry: Entry, shown: str, names: Names) -> Iterator[str]:
    """What the private names in a signature stand for, as comments."""
    module = target(entry.object).module
    seen, texts = {entry.name}, [shown]
    while texts:
        for name in re.findall(r"(?<![\w.\"'])[A-Z]\w+", texts.pop(0)):
            if name in seen:
                continue
            seen.add(name)
            try:
                found = target(module[name])
            except (KeyError, griffe.AliasResolutionError):
                continue  # of the standard library, or of another module of ours
            value = found.value if found.kind is griffe.Kind.ATTRIBUTE else None
            if value is not None and found.path not in names.targets:
                texts.append(str(value))
                yield f"# {name} = {value}"


def _fields(kind: Any) -> list[str]:
    """The parameters of a class whose fields are annotated names, see `veritls._value.Value`."""
    if "Value" not in map(str, kind.bases):
        return []
    found = []
    for name, field in kind.members.items():
        if field.kind is griffe.Kind.ATTRIBUTE and not name.startswith("_"):
            default = re.sub(r"^_hidden\((.*)\)$", r"\1", str(field.value)) if field.value else ""
            found.append(f"{name}: {field.annotation}" + (f" = {default}" if default else ""))
    return found


def _parameters(parameters: Any) -> list[str]:
    kinds = griffe.ParameterKind
    stars = {kinds.var_positional: "*", kinds.var_keyword: "**"}
    given = [each for each in parameters if each.name not in ("self", "cls")]
    found: list[str] = []
    before = None
    for each in given:
        if before is kinds.positional_only and each.kind is not kinds.positional_only:
            found.append("/")
        if each.kind is kinds.keyword_only and before not in (kinds.keyword_only, kinds.var_positional):
            found.append("*")
        found.append(_parameter(each, stars.get(each.kind, "")))
        before = each.kind
    return found + ["/"] * (before is kinds.positional_only)


def _parameter(parameter: Any, star: str) -> str:
    text = f"{star}{parameter.name}"
    if parameter.annotation is not None:
        text += f": {parameter.annotation}"
    if parameter.default is None or star:
        return text
    return (
        f"{text} = {parameter.default}" if parameter.annotation is not None else f"{text}={parameter.default}"
    )


def _call(name: str, parameters: list[str], returns: str | None) -> str:
    end = f") -> {returns}" if returns else ")"
    line = f"{name}({', '.join(parameters)}{end}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {each}," for each in parameters), end])
