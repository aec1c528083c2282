"""From the checkout to the built site: the staged Markdown, the settings, Zensical's run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.site import command_line
from tests.site.checking import faults
from tests.site.complete import lacking
from tests.site.names import Names
from tests.site.reference import Reference, append
from tests.site.staging import ROOT, Staged, navigation

WORK = ROOT / "build/site"
STYLE = Path(__file__).with_name("site.css")
SETTINGS = Path(__file__).with_name("site.toml")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def prepare(work: Path = WORK, root: Path = ROOT) -> tuple[Path, Names]:
    """Write what the site is rendered from into the folder `work`: the settings and the names."""
    staged = Staged(work / "docs", root)
    staged.write()
    names = Names(root / "src")
    Reference(names, staged.folder).write()
    append(staged.folder / "reference/command-line.md", command_line.blocks())
    (staged.folder / "assets").mkdir(exist_ok=True)
    shutil.copy(STYLE, staged.folder / "assets")
    settings: dict[str, Any] = tomllib.loads(SETTINGS.read_text("utf-8"))
    tree = settings.pop("navigation")
    there = {str(page.relative_to(staged.folder)) for page in staged.folder.rglob("*.md")} - staged.shown
    settings |= {
        "nav": navigation(tree, there),
        "docs_dir": "docs",
        "site_dir": "html",
        "extra_css": [f"assets/{STYLE.name}"],
        "markdown_extensions": [{name: options} for name, options in settings["markdown_extensions"].items()],
    }
    config = work / "mkdocs.yml"
    config.write_text(json.dumps(settings, indent=1), "utf-8")  # JSON is YAML
    return config, names


def build(work: Path = WORK, root: Path = ROOT) -> str:
    """Build the site into the folder `work`/html. Returns what is wrong with it; empty where nothing is."""
    config, names = prepare(work, root)
    if lacks := list(lacking(names, root / "src")):
        return "\n".join(lacks)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=300)
    said = _COLOURS.sub("", done.stdout + done.stderr).partition("Traceback (most")[0]
    if done.returncode or "Warning" in said:
        return said or f"zensical ended with {done.returncode}"
    return "\n".join(faults(work / "html"))
