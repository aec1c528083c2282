"""What runs the pages: a page that is wrong fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.blocks import blocks_of
from tests.pages.outputs import pattern
from tests.pages.story import Story, told


def tell(text: str, folder: Path) -> None:
    with told(blocks_of(text, "page.md"), Story(folder)):
        pass


HELLO = "```python\n# hello.py\nprint('Hello, world')\n```\n\n"
SERVER = """
```python
# server.py
import socket

with socket.create_server(("127.0.0.1", 8443)) as listener:
    print("Serving on port 8443")
    while True:
        with listener.accept()[0] as connection:
            print("somebody came", connection.recv(100))
```

<!-- terminal: server -->
```console
$ python server.py
Serving on port 8443
```

```python
import socket

with socket.create_connection(("127.0.0.1", 8443)) as connection:
    connection.sendall(b"hello")
```

<!-- terminal: server -->
```console
somebody came b'hello'
```
"""

RIGHT = {
    "a file, and what it prints": HELLO + "```console\n$ python hello.py\nHello, world\n```",
    "three dots": HELLO + "```console\n$ python hello.py\nHello...\n```",
    "a command in two lines": HELLO + "```console\n$ python \\\n> hello.py\nHello, world\n```",
    "a script": HELLO + "```sh\npython hello.py\n```",
    "names of the block before": "```python\none = 1\n```\n\n```python\nassert one == 1\n```",
    "a server in a terminal of its own": SERVER,
    "what is installed": "```console\n$ pip install 'veritls[cli]' pytest\n```",
    "what cannot be run": "<!-- not run: it needs another machine -->\n```sh\nfalse\n```",
}

WRONG = {
    "another output": HELLO + "```console\n$ python hello.py\nHello, world!\n```",
    "more output than is shown": HELLO + "```console\n$ python hello.py\nHello\n```",
    "an output that is not shown": HELLO + "```console\n$ python hello.py\n```",
    "a silent command that fails": "```console\n$ false\n```",
    "a script that fails": "```sh\nfalse\ntrue\n```",
    "an exception": "```python\nimport veritls\nveritls.no_such_name\n```",
    "a syntax error": "```python\nimport\n```",
    "a file that nothing uses": HELLO,
    "a language that nothing tries": "```toml\none = 1\n```",
    "a server that ends": HELLO + "<!-- terminal: server -->\n```console\n$ python hello.py\nServing\n```",
    "a terminal that says something else": SERVER.replace("somebody came b", "nobody came b"),
    "an extra that veritls has not": "```console\n$ pip install 'veritls[no-such-extra]'\n```",
    "a word that pip has not": "```console\n$ pip instal veritls\n```",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_a_right_page_passes(text: str, tmp_path: Path) -> None:
    tell(text, tmp_path)


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_page_fails(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.pages.terminals.SECONDS", 0.5)
    with pytest.raises((AssertionError, AttributeError, SyntaxError, KeyError)):
        tell(text, tmp_path)


def test_what_is_not_installed_is_a_skip_and_under_ci_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "```console\n$ pip install no-such-package-anywhere\n```"
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-package-anywhere"):
        tell(page, tmp_path)
    monkeypatch.setenv("CI", "1")
    with pytest.raises(AssertionError, match="no-such-package-anywhere"):
        tell(page, tmp_path)


def test_an_output_may_differ_in_times_numbers_and_names_that_are_made_up() -> None:
    shown = "at 2026-11-27 01:30 UTC from 127.0.0.1:57870, serial 1F39FEEF6DD06D8ED5E814A65887FE215D58E70E"
    said = "at 2031-01-02 03:04 UTC from 127.0.0.1:1024, serial 416375757F8D5738AE0CCDEB2E396F2004C4CE3D"
    assert pattern(shown).fullmatch(said)
    assert not pattern(shown).fullmatch(said.replace("serial", "number"))
    assert not pattern(shown).fullmatch(said.replace("127.0.0.1", "127.0.0.2"))
