"""Which libraries' tests are run, and which of their files use TLS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """One library. `kept`: what is taken of its sdist; nothing where the wheel has the tests."""

    name: str
    files: tuple[str, ...]
    """The test files that touch TLS, within the sdist; modules where the wheel has them."""
    plugins: tuple[str, ...] = ()
    """pytest's plugins that they need. No other is loaded: those of one library disturb another's tests."""
    chosen: str = ""
    """A `-k` of pytest: which of their tests."""
    kept: tuple[str, ...] = ("tests", "pyproject.toml", "setup.cfg", "pytest.ini")
    quick: bool = False
    """Whether CI runs it."""
    about: str = ""
    """What is left out, and why; for the page."""
    marked: str = ""
    """A `-m` of pytest: which of their tests."""
    changed: tuple[tuple[str, str, str], ...] = ()
    """What is changed in their files for both runs: the file, the old words, there once, and the new ones."""
    postgresql: bool = False
    """Whether the tests start a server of PostgreSQL, which refuses to be root's."""


LIBRARIES = {
    library.name: library
    for library in (
        Library(
            "aiohttp",
            (
                "tests/test_client_fingerprint.py",
                "tests/test_client_functional.py",
                "tests/test_connector.py",
                "tests/test_proxy_functional.py",
                "tests/test_run_app.py",
                "tests/test_web_sendfile_functional.py",
            ),
            ("pytest_asyncio", "pytest_mock", "aiohttp.pytest_plugin"),
        ),
        Library("anyio", ("tests/streams/test_tls.py",), ("anyio.pytest_plugin", "pytest_mock"), quick=True),
        Library("asyncpg", ("tests/test_connect.py",), chosen="SSL or TLS", postgresql=True),
        Library(
            "httpx",
            ("tests/test_config.py",),
            ("anyio.pytest_plugin",),
            chosen="not test_SSLContext_with_get_request",
            quick=True,
            about="that one has a server in the clear on a fixed port",
        ),
        Library(
            "requests",
            ("tests/test_requests.py",),
            ("pytest_mock", "pytest_httpbin.plugin"),
            chosen="not TestTimeout",
            quick=True,
            about="TestTimeout connects to an address outside",
        ),
        Library(
            "trio",
            ("trio._tests.test_ssl", "trio._tests.test_highlevel_ssl_helpers"),
            ("trio._tests.pytest_plugin",),
            kept=(),
            quick=True,
        ),
        Library(
            "urllib3",
            (
                "test/test_ssl.py",
                "test/test_ssltransport.py",
                "test/with_dummyserver/test_https.py",
                "test/with_dummyserver/test_proxy_poolmanager.py",
                "test/with_dummyserver/test_socketlevel.py",
            ),
            ("anyio.pytest_plugin", "pytest_socket"),
            kept=("test", "dummyserver", "pyproject.toml"),
            marked="not requires_network",
            changed=(
                (
                    "test/conftest.py",
                    "        except ssl.SSLError:\n",
                    "        except (ssl.SSLError, ValueError):\n",
                ),
            ),
            about="for both runs, a TLS version that cannot be set counts as one that is not there",
        ),
        Library("uvicorn", ("tests/test_ssl.py",), ("anyio.pytest_plugin", "pytest_mock"), quick=True),
        Library("uvloop", ("tests/test_tcp.py", "tests/test_unix.py"), chosen="SSL"),
    )
}
