"""Which libraries' tests are run, and which of their files use TLS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """One library. `kept`: what is taken of its sdist; nothing where the wheel has the tests."""

    name: str
    """Its package; after a comma, which part of its tests."""
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

    @property
    def package(self) -> str:
        """What pip calls it."""
        return self.name.partition(",")[0]


# In urllib3's own CI its dummy server is a changed hypercorn, which is not in the registry.
_URLLIB3 = ("test", "dummyserver", "pyproject.toml")
_URLLIB3_PLUGINS = ("anyio.pytest_plugin", "pytest_socket")
_URLLIB3_CHANGED = (
    ("test/conftest.py", "        except ssl.SSLError:\n", "        except (ssl.SSLError, ValueError):\n"),
)
_URLLIB3_ABOUT = (
    "one line is changed for both runs: a version that cannot be set counts as one that is not there"
)

LIBRARIES = {
    library.name: library
    for library in (
        Library(
            "aiohttp",
            (
                "tests/test_client_fingerprint.py",
                "tests/test_client_functional.py",
                "tests/test_connector.py",
                "tests/test_proxy.py",
                "tests/test_proxy_functional.py",
                "tests/test_run_app.py",
                "tests/test_web_sendfile_functional.py",
                "tests/test_worker.py",
            ),
            ("pytest_asyncio", "pytest_mock", "aiohttp.pytest_plugin"),
        ),
        Library("anyio", ("tests/streams/test_tls.py",), ("anyio.pytest_plugin", "pytest_mock"), quick=True),
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
            ("test/test_ssl.py", "test/test_ssltransport.py", "test/with_dummyserver/test_https.py"),
            _URLLIB3_PLUGINS,
            kept=_URLLIB3,
            changed=_URLLIB3_CHANGED,
            chosen="not blocked_per_thread",
            marked="not requires_network",
            quick=True,
            about=_URLLIB3_ABOUT,
        ),
        Library(
            "urllib3, sockets and proxies",
            ("test/with_dummyserver/test_socketlevel.py", "test/with_dummyserver/test_proxy_poolmanager.py"),
            _URLLIB3_PLUGINS,
            kept=_URLLIB3,
            changed=_URLLIB3_CHANGED,
            marked="not requires_network",
            about=_URLLIB3_ABOUT,
        ),
        Library("uvicorn", ("tests/test_ssl.py",), ("anyio.pytest_plugin", "pytest_mock"), quick=True),
        Library("uvloop", ("tests/test_tcp.py", "tests/test_unix.py")),
    )
}
