"""The rules of the house hold on this tree, and each fault is found on a little one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import drawing, python_imports, rust_imports
from tests.house.__main__ import ROOT, houses, main
from tests.house.graph import Arrow, Tree, circles, storeys
from tests.house.rules import House

RULES = """
[python]
storeys = 4
[[python.room]]
name = "__init__"
[[python.room]]
name = "upper"
[[python.room]]
name = "lower"
[[python.room]]
name = "_engine"
{python}
[rust]
[[rust.room]]
name = "lib"
[[rust.room]]
name = "above"
[[rust.room]]
name = "below"
{rust}
"""
EXCUSE = """
[[{language}.excuse]]
from = "{source}"
to = "{target}"
reason = "{reason}"
"""
PAGE = f"# A page\n\n{drawing.BEGIN}\n{drawing.END}\n\nIts end.\n"


class Checkout:
    """A little tree in both languages, with rules and a page."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("src/thing/__init__.py", "from thing.upper import top\n")
        self.write("src/thing/_engine.pyi", "")
        self.write("src/thing/upper/__init__.py", "")
        self.write("src/thing/upper/top.py", "from thing.lower import base\n")
        self.write("src/thing/lower/__init__.py", "")
        self.write("src/thing/lower/base.py", "from thing import _engine\n")
        self.write("engine/src/lib.rs", "mod above;\nmod below;\n")
        self.write("engine/src/above/mod.rs", "mod door;\n")
        self.write("engine/src/above/door.rs", "use crate::below::floor;\n")
        self.write("engine/src/below/mod.rs", "pub mod floor;\n")
        self.write("engine/src/below/floor.rs", "")
        self.write("page.md", PAGE)
        self.rules()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def rules(self, python: str = "", rust: str = "") -> None:
        self.write("house.toml", RULES.format(python=python, rust=rust))

    def excuse(self, source: str, target: str, reason: str = "it must be so") -> None:
        self.rules(python=EXCUSE.format(language="python", source=source, target=target, reason=reason))

    @property
    def options(self) -> list[str]:
        where = {"src": "src/thing", "engine": "engine/src", "rules": "house.toml", "page": "page.md"}
        return [word for name, path in where.items() for word in (f"--{name}", str(self.root / path))]

    @property
    def houses(self) -> list[House]:
        return houses(self.root / "src/thing", self.root / "engine/src", self.root / "house.toml")

    @property
    def faults(self) -> list[str]:
        return [fault for house in self.houses for fault in house.faults()]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def python_arrows(checkout: Checkout, module: str) -> set[str]:
    tree = python_imports.read(checkout.root / "src/thing")
    return {arrow.target for arrow in tree.arrows if arrow.source == module}


def rust_arrows(checkout: Checkout, module: str) -> set[str]:
    tree = rust_imports.read(checkout.root / "engine/src")
    return {arrow.target for arrow in tree.arrows if arrow.source == module}


def test_this_tree_keeps_its_rules_and_its_picture_is_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_every_module_of_this_tree_is_found() -> None:
    python, rust = houses(ROOT / "src/veritls", ROOT / "engine/src", ROOT / "tests/house/house.toml")
    assert len(python.tree.modules) == 1 + sum(1 for _ in (ROOT / "src/veritls").rglob("*.py"))
    assert len(rust.tree.modules) == sum(1 for _ in (ROOT / "engine/src").rglob("*.rs"))


def test_a_tree_in_order_has_no_fault(checkout: Checkout) -> None:
    assert checkout.faults == []


@pytest.mark.parametrize(
    "text",
    [
        "from thing.upper import top",
        "from thing.upper.top import name",
        "import thing.upper.top",
        "from ..upper import top",
        "from ..upper.top import name as other",
        "from thing.upper.top import *",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from thing.upper import top",
        "import typing\nif typing.TYPE_CHECKING:\n    from thing.upper import top",
        "def late():\n    from thing.upper import top",
        "class A:\n    async def late(self):\n        import thing.upper.top",
        "import importlib\nimportlib.import_module('thing.upper.top')",
        "from importlib import import_module\nimport_module('..upper.top', __package__)",
        "late = lambda: __import__('thing.upper.top')",
        "try:\n    from thing.upper import top\nexcept ImportError:\n    pass",
    ],
)
def test_an_upward_import_in_python_is_a_fault(checkout: Checkout, text: str) -> None:
    checkout.write("src/thing/lower/base.py", text + "\n")
    checkout.write("src/thing/upper/top.py", "")
    (fault,) = checkout.faults
    assert "lower.base imports upper.top" in fault and "turns upward" in fault


@pytest.mark.parametrize(
    "text",
    [
        "use crate::above::door;",
        "use crate::above::door::{self, Door as Other};",
        "use crate::{below, above::{door::{Door, Key}}};",
        "pub(crate) use super::super::above::door::*;",
        "fn f() { crate::above::door::open(1) }",
        "fn f() { /* a /* nested */ comment */ let c = '\"'; crate::above::door::open::<u8>() }",
        "fn f<'a>() -> &'a str { crate::above::door::NAME }",
        "mod inner { use super::super::super::above::door; }",
        "#[cfg(test)]\nuse crate::below;\nuse crate::above::door;",
        "#[cfg(test)]\nmod tests { use super::*; }\nfn f() { crate::above::door::open() }",
        "#[cfg(not(test))]\nuse crate::above::door;",
        "use r#crate::x; use crate::above::r#door;",
    ],
)
def test_an_upward_import_in_rust_is_a_fault(checkout: Checkout, text: str) -> None:
    checkout.write("engine/src/below/floor.rs", text + "\n")
    checkout.write("engine/src/above/door.rs", "")
    assert any(
        "below/floor imports above/door" in fault and "turns upward" in fault for fault in checkout.faults
    )


@pytest.mark.parametrize(
    "text",
    [
        "// use crate::above::door;",
        "/* use crate::above::door; /* nested */ use crate::above::door; */",
        'const A: &str = "use crate::above::door;";',
        'const A: &str = r#"a " use crate::above::door; "#;',
        "#[cfg(test)]\nmod tests { use crate::above::door; fn f() { crate::above::door::open() } }",
        "#[cfg(all(test, unix))]\n#[allow(x)]\nfn f() { crate::above::door::open() }",
        "#[cfg(test)]\nuse crate::above::{door, door::Door};",
        "struct A {\n    #[cfg(test)]\n    field: crate::above::door::Door,\n    other: u8,\n}",
        "#![cfg(test)]\nuse crate::above::door;",
        "pub(in crate::above) fn f() {}",
        "use std::above::door;",
    ],
)
def test_what_rust_does_not_compile_into_the_engine_is_no_import(checkout: Checkout, text: str) -> None:
    checkout.write("engine/src/below/floor.rs", text + "\n")
    checkout.write("engine/src/above/door.rs", "")
    assert checkout.faults == []


def test_a_file_that_only_tests_declare_is_left_out(checkout: Checkout) -> None:
    checkout.write("engine/src/below/floor.rs", "#[cfg(test)]\nmod tests;\n")
    checkout.write("engine/src/below/floor/tests.rs", "use crate::above::door;\n")
    assert checkout.faults == []


def test_mod_lines_are_no_imports_and_uses_of_children_are(checkout: Checkout) -> None:
    assert rust_arrows(checkout, "lib") == set()
    checkout.write("engine/src/lib.rs", "mod above;\nmod below;\nfn f() { below::floor::g(); above.x(); }\n")
    assert rust_arrows(checkout, "lib") == {"below/floor"}


def test_a_module_may_be_a_file_with_a_folder_beside_it(checkout: Checkout) -> None:
    checkout.write("engine/src/below/floor.rs", "mod tile;\npub use tile::Tile;\n")
    checkout.write("engine/src/below/floor/tile.rs", "use super::Floor;\n")
    assert rust_arrows(checkout, "below/floor") == {"below/floor/tile"}
    assert rust_arrows(checkout, "below/floor/tile") == {"below/floor"}


def test_the_extension_is_a_module_and_the_package_is_not_imported_for_it(checkout: Checkout) -> None:
    assert python_arrows(checkout, "lower.base") == {"_engine"}


def test_a_name_of_the_package_is_an_import_of_its_init(checkout: Checkout) -> None:
    checkout.write("src/thing/lower/base.py", "def late():\n    import thing\n")
    assert python_arrows(checkout, "lower.base") == {"__init__"}


def test_a_circle_within_a_python_room_is_a_fault(checkout: Checkout) -> None:
    checkout.write("src/thing/lower/base.py", "from thing.lower import other\n")
    checkout.write(
        "src/thing/lower/other.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import base\n",
    )
    assert checkout.faults == [
        "Python: 2 modules import each other in a circle: lower.base, lower.other.",
    ]


def test_a_circle_within_a_rust_folder_is_a_fault(checkout: Checkout) -> None:
    checkout.write("engine/src/below/mod.rs", "mod floor;\nmod cellar;\n")
    checkout.write("engine/src/below/floor.rs", "use super::cellar::Stairs;\n")
    checkout.write("engine/src/below/cellar.rs", "fn f() { crate::below::floor::up() }\n")
    (fault,) = checkout.faults
    assert "circle: below/cellar, below/floor" in fault


def test_an_import_in_a_function_needs_a_reason(checkout: Checkout) -> None:
    checkout.write("src/thing/upper/top.py", "def late():\n    from thing.lower import base\n")
    (fault,) = checkout.faults
    assert (
        fault
        == "Python: upper.top imports lower.base (line 2) in a function, and house.toml gives no reason."
    )
    checkout.excuse("upper.top", "lower.base")
    assert checkout.faults == []
    checkout.excuse("upper.top", "lower.base", reason="")
    (fault,) = checkout.faults
    assert fault.endswith("without a reason.")


def test_an_excuse_for_an_import_that_is_gone_is_a_fault(checkout: Checkout) -> None:
    checkout.excuse("upper.top", "_engine")
    (fault,) = checkout.faults
    assert fault.endswith("which is gone.")


def test_an_import_at_module_level_cannot_be_excused(checkout: Checkout) -> None:
    checkout.write("src/thing/upper/top.py", "")
    checkout.write("src/thing/lower/base.py", "from thing.upper import top\n")
    checkout.excuse("lower.base", "upper.top")
    assert any("turns upward" in fault for fault in checkout.faults)


def test_an_excuse_that_is_not_needed_is_a_fault(checkout: Checkout) -> None:
    checkout.write(
        "src/thing/upper/top.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from thing.lower import base\n",
    )
    assert checkout.faults == []
    checkout.excuse("upper.top", "lower.base")
    (fault,) = checkout.faults
    assert fault.endswith("which neither turns upward nor closes a circle.")


def test_too_many_storeys_are_a_fault(checkout: Checkout) -> None:
    checkout.write("src/thing/lower/base.py", "from thing.lower import a\n")
    checkout.write("src/thing/lower/a.py", "from thing import _engine\n")
    assert checkout.faults == ["Python has 5 storeys, and house.toml allows 4."]


def test_a_module_without_a_room_is_a_fault(checkout: Checkout) -> None:
    checkout.write("src/thing/attic.py", "")
    assert checkout.faults == ["Python: attic belongs to no room of house.toml."]


def test_a_stale_picture_is_a_fault(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*checkout.options, "--check"]) == 1
    assert "is stale" in capsys.readouterr().out
    assert main([*checkout.options, "--write"]) == 0
    assert main([*checkout.options, "--check"]) == 0
    page = (checkout.root / "page.md").read_text(encoding="utf-8")
    assert page.startswith("# A page\n") and page.endswith("\nIts end.\n") and "flowchart TD" in page
    checkout.write("src/thing/lower/base.py", "")
    assert main([*checkout.options, "--check"]) == 1


def test_a_page_without_markers_is_a_fault(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.write("page.md", "# Nothing drawn\n")
    assert main([*checkout.options, "--check"]) == 1
    assert "needs the lines" in capsys.readouterr().out


def test_the_text_shows_each_module_with_what_it_imports(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(checkout.options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "   2 lower.base -> _engine" in lines and "   1 below/floor -> nothing" in lines


def test_a_circle_counts_with_all_of_its_modules() -> None:
    arrows = (Arrow("a", "b"), Arrow("b", "c"), Arrow("c", "b"), Arrow("c", "d"))
    tree = Tree(("a", "b", "c", "d"), arrows, ".")
    assert circles(tree.modules, arrows) == [("b", "c")]
    assert storeys(tree.modules, arrows) == {"a": 4, "b": 3, "c": 3, "d": 1}
