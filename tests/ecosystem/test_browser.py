"""A real browser: headless Chromium, which trusts our CA through its NSS database, loads a page."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.ecosystem.daemons import START_SECONDS, program
from tests.ecosystem.parties import Handler, https_server, library

pytestmark = pytest.mark.library("Chromium")

ARGUMENTS = [
    "--headless=new",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
]

LOST = re.compile("ERR_(BAD_SSL_CLIENT_AUTH_CERT|CONNECTION_CLOSED|CONNECTION_RESET|SOCKET_NOT_CONNECTED)")
"""What it says where the server refuses it: the first, unless the end of the connection comes before."""


class Page(Handler):
    """A page whose title is what the server saw of the connection."""

    def do_GET(self) -> None:
        tls = self.connection
        assert isinstance(tls, veritls.SSLSocket)
        seen = f"{tls.version()} {tls.group()} {tls.getpeercert()}"
        body = f"<!doctype html><title>{seen}</title>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def browser(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = library("selenium.webdriver")
    chromium, driver, certutil = (program(name) for name in ("chromium", "chromedriver", "certutil"))
    home = tmp_path_factory.mktemp("home")
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    for command in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "tests", "-i", str(files.ca)]):
        subprocess.run([certutil, "-d", f"sql:{database}", *command], check=True, timeout=START_SECONDS)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.accept_insecure_certs = False
    unconfined = ["--no-sandbox"] if os.geteuid() == 0 else []
    for argument in (*ARGUMENTS, *unconfined, f"--user-data-dir={home / 'profile'}"):
        options.add_argument(argument)
    environment = {**os.environ, "HOME": str(home)}
    service = library("selenium.webdriver.chrome.service").Service(driver, env=environment)
    running = webdriver.Chrome(options=options, service=service)
    try:
        running.set_page_load_timeout(START_SECONDS)
        yield running
    finally:
        running.quit()


def shown(browser: Any, url: str) -> str:
    """The title of the page that the browser shows at an address, or the page that says why it does not."""
    try:
        browser.get(url)
    except library("selenium.common.exceptions").WebDriverException as refused:
        return str(refused.msg)
    return str(browser.title if browser.title.startswith("TLS") else browser.page_source)


def test_a_browser_loads_a_page_over_tls_1_3_with_a_post_quantum_group(files: Files, browser: Any) -> None:
    with https_server(files, "optional", handler=Page) as url:
        assert shown(browser, url) == "TLSv1.3 X25519MLKEM768 None"


def test_a_browser_without_the_required_certificate_is_refused(files: Files, browser: Any) -> None:
    with https_server(files, "required", handler=Page) as url:
        assert LOST.search(shown(browser, url))


@pytest.mark.parametrize("certificate", ["stranger", "expired_server"])
def test_a_browser_refuses_an_invalid_server(files: Files, browser: Any, certificate: str) -> None:
    error = "ERR_CERT_AUTHORITY_INVALID" if certificate == "stranger" else "ERR_CERT_DATE_INVALID"
    with https_server(files, "optional", certificate=getattr(files, certificate), handler=Page) as url:
        assert error in shown(browser, url)
