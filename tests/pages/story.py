"""A page from top to bottom, in a folder of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.ecosystem.daemons import program
from tests.pages import pip
from tests.pages.blocks import ROOT, Block
from tests.pages.terminals import SECONDS, Terminal

PORTS = (8000, 8443, 8444, 9464, 6379, 6380, 5432)
"""Ports that pages name."""

FOLDER = "/home/me/tutorial"
"""What pages call their folder."""

PROGRAMS = ("curl", "openssl", "redis-server", "redis-cli", "stunnel", "softhsm2-util")
"""Programs that pages use, and CI installs."""

OPTIONAL = ("tshark",)
"""Programs whose blocks are left out where they are not installed, or not run by root, who may capture."""


def reserved_port() -> int:
    """A free port that the kernel gives to nobody who asks for any: a connection to it is in TIME_WAIT.

    Whoever asks for this one gets it: servers set SO_REUSEADDR.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        port: int = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
            accepted, _ = listener.accept()
            accepted.close()
            client.recv(1)
    return port


def require(blocks: list[Block]) -> None:
    """Skips, or fails under CI, where a page installs or runs something that is not there."""
    found = [words for block in blocks if not block.not_run for words in block.words()]
    for words in found:
        if words[:2] == ["pip", "install"] and (absent := pip.missing(words[2:])):
            assert not os.environ.get("CI"), f"not installed: {absent}"
            pytest.skip(f"not installed: {absent}")
    for each in PROGRAMS:
        if any(each in words for words in found):
            program(each)


def absent_programs() -> set[str]:
    """Those of OPTIONAL that are not there, or would not be allowed to work."""
    return {each for each in OPTIONAL if shutil.which(each) is None or os.geteuid() != 0}


Player: TypeAlias = Callable[["Story", Block], AbstractContextManager[None]]


class Story:
    """`replaced`: texts of the page -> what they are here.

    `players`: what is done with blocks of a language that only this page has, until its end.
    """

    def __init__(
        self,
        folder: Path,
        *,
        replaced: dict[str, str] | None = None,
        players: dict[str, Player] | None = None,
    ) -> None:
        self.folder = folder
        self._names: dict[str, Any] = {"__name__": "page"}
        ports = {str(port): str(reserved_port()) for port in PORTS}
        self._port = re.compile(rf"\b({'|'.join(ports)})\b")
        self._ports = ports
        self._replaced = {"0.0.0.0": "127.0.0.1", FOLDER: str(folder)} | (replaced or {})
        self._players = players or {}
        self._playing = ExitStack()
        self._absent, self._left_out = absent_programs(), set[str]()
        self._terminals: dict[str, Terminal] = {}
        self._written: dict[str, str] = {}
        self._ran: list[str] = []
        programs = folder / ".programs"
        programs.mkdir(exist_ok=True)
        (programs / "pip").write_text(
            f"#!/bin/sh\ncd {shlex.quote(str(ROOT))}\n"
            f'exec {shlex.quote(sys.executable)} -m tests.pages.pip "$@"\n'
        )
        (programs / "pip").chmod(0o755)
        (programs / ".curlrc").write_text("silent\nshow-error\n")  # no progress meter, as in a terminal
        path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "LANG") if name in os.environ}
        self.environ = kept | {
            "PATH": os.pathsep.join(path),
            "HOME": str(folder),
            "CURL_HOME": str(programs),
            "PYTHONUNBUFFERED": "1",  # as in a terminal
        }

    def port(self, number: int) -> int:
        """The port that stands here for the page's."""
        return int(self._ports[str(number)])

    def here(self, text: str) -> str:
        for old, new in self._replaced.items():
            text = text.replace(old, new)
        return self._port.sub(lambda found: self._ports[found[1]], text)

    def play(self, block: Block) -> None:
        if block.not_run or self._is_left_out(block):
            return
        text = self.here(block.text)
        if block.file is not None:
            path = self.folder / block.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            self._written[block.file] = block.place
        elif block.language == "console":
            for command, shown in replace(block, text=text).commands():
                self._shell(block.terminal, command, shown)
        elif block.language == "sh":
            self.run(text)
        elif block.language in self._players:
            here = replace(block, text=text)
            self._playing.enter_context(self._players[block.language](self, here))
        elif block.language == "python":
            code = compile("\n" * block.line + text, str(ROOT / block.page), "exec")
            exec(code, self._names)
        else:
            raise AssertionError(f"{block.place}: nothing is known to try {block.language!r} with")

    def run(self, script: str) -> None:
        """Runs lines for a shell, each of which has to end well."""
        self._ran.append(script)
        terminal = self._terminal("")
        terminal.start("set -e\n" + script)
        terminal.succeeds()

    def _is_left_out(self, block: Block) -> bool:
        """A block with a program of OPTIONAL that is not there, or of the terminal where that would run."""
        words = block.words()
        if any(each in command for command in words for each in self._absent):
            self._left_out.add(block.terminal)
            return True
        return bool(block.terminal) and not words and block.terminal in self._left_out

    def _terminal(self, name: str) -> Terminal:
        return self._terminals.setdefault(name, Terminal(self.folder, self.environ))

    def _shell(self, name: str, command: str, shown: str) -> None:
        terminal = self._terminal(name)
        self._ran.append(command)
        if command:
            terminal.start(command)
        if not command and shown.startswith("^C\n"):
            terminal.stops(shown.removeprefix("^C\n"))
        elif name:
            terminal.says(shown, first=bool(command))
        else:
            terminal.ends(shown)

    def unused(self) -> list[str]:
        """The files that no command names, and no other file."""
        texts = [*self._ran, *((self.folder / each).read_text() for each in self._written)]
        return [
            place
            for name, place in self._written.items()
            if not any(re.search(rf"\b{re.escape(Path(name).stem)}\b", _but_its_name(text)) for text in texts)
        ]

    def use(self, name: str) -> Path:
        """The path of a file that the page shows, for what uses it without its name."""
        self._ran.append(name)
        return self.folder / name

    def end(self) -> None:
        self._playing.close()
        for terminal in self._terminals.values():
            terminal.end()


def _but_its_name(text: str) -> str:
    return text.partition("\n")[2] if text.startswith("# ") else text


@contextmanager
def told(page_blocks: list[Block], story: Story) -> Iterator[Story]:
    """The page has been gone through; what it left running runs."""
    try:
        require(page_blocks)
        for block in page_blocks:
            try:
                story.play(block)
            except Exception as error:
                error.add_note(f"at {block.place}")
                raise
        yield story
        assert story.unused() == []
    finally:
        story.end()
        shutil.rmtree(story.folder / ".programs")
