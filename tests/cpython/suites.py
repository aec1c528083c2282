"""Which of CPython's test modules are run, and which of their tests use TLS."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """One test module: `pattern` chooses, at the start of "Class.test", the tests that use TLS."""

    name: str
    pattern: str = ""
    seconds: float = 10.0
    aio: bool = False
    """With veritls's event loop in the place of asyncio's, too."""

    @property
    def key(self) -> str:
        """What it is called here."""
        return f"{self.name} on veritls.aio" if self.aio else self.name

    @property
    def module(self) -> str:
        """The name to import it by."""
        return f"test.{self.name}"

    @property
    def available(self) -> bool:
        """Whether the interpreter has it: distributions leave CPython's tests out."""
        try:
            return importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:
            return False

    def wants(self, test: str) -> bool:
        """Whether the test "Class.test" is one to run; tests that need the internet never are."""
        return not re.match(r"(NetworkedTests|Remote)", test) and re.match(self.pattern, test) is not None


_PUBLIC = r"(?!.*test_(flush_before_shutdown|remote_shutdown_receives_trailing_data))"
"""Without the two tests that reach into asyncio's SSLProtocol and hang where there is none."""

SUITES = {
    suite.key: suite
    for suite in (
        Suite("test_ssl"),
        Suite("test_asyncio.test_sslproto"),
        Suite("test_asyncio.test_ssl", seconds=30.0),
        Suite("test_asyncio.test_ssl", _PUBLIC, seconds=30.0, aio=True),
        Suite("test_asyncio.test_streams", seconds=30.0, aio=True),
        Suite("test_asyncio.test_sendfile", "EPollEventLoopTests", seconds=30.0, aio=True),
        Suite("test_asyncio.test_events", r"EPollEventLoopTests\..*(ssl|accepted)", seconds=30.0, aio=True),
        Suite("test_asyncio.test_server", "SelectorStartServerTests|TestServer2", seconds=30.0, aio=True),
        Suite("test_httplib", "HTTPSTest"),
        Suite("test_ftplib", "TestTLS_"),
        Suite("test_imaplib", "NewIMAPSSLTests|ThreadedNetworkedTestsSSL"),
        Suite("test_poplib", "TestPOP3_(SSL|TLS)Class"),
        Suite("test_urllib2_localnet", r"TestUrlopen\.test_https"),
    )
}
