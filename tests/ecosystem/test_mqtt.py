"""paho-mqtt, with its reader thread, against mosquitto, which takes a user's name from the certificate."""

from __future__ import annotations

import os
import queue
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import veritls
from tests.conftest import Files
from tests.ecosystem.daemons import daemon, program
from tests.ecosystem.parties import library, refusal_behind
from tests.support.connections import SECONDS, client_context

pytestmark = pytest.mark.library("paho-mqtt")

SETTINGS = {
    "none": "require_certificate false\nallow_anonymous true\n",
    "required": "require_certificate true\nuse_identity_as_username true\n",
}
"""mosquitto asks for no certificate, or requires one."""

ACCESS = "topic readwrite of/anonymous\npattern readwrite of/%u\n"

Start = Callable[[str, Path], int]


@pytest.fixture(scope="module")
def start(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a server for each mode and certificate when it is first asked for; gives its port."""
    library("paho.mqtt.client")
    executable, folder = program("mosquitto"), tmp_path_factory.mktemp("mosquitto")
    access = folder / "access"
    access.write_text(ACCESS)
    user = "user root\n" if os.geteuid() == 0 else ""
    running: dict[tuple[str, Path], int] = {}
    with ExitStack() as stack:

        def port(mode: str, certificate: Path) -> int:
            def command(port: int) -> list[str]:
                path = folder / f"{port}.conf"
                path.write_text(
                    f"{user}listener {port} 127.0.0.1\n{SETTINGS[mode]}acl_file {access}\n"
                    f"cafile {files.ca}\ncertfile {certificate}\nkeyfile {certificate}\n"
                )
                return [executable, "-v", "-c", str(path)]

            if (mode, certificate) not in running:
                running[mode, certificate] = stack.enter_context(daemon(command, b" running"))
            return running[mode, certificate]

        yield port


def with_its_own_context(client: Any, files: Files, own: Path | None) -> None:
    veritls.inject()
    try:
        client.tls_set(str(files.ca), *([str(own)] * 2 if own else []))
    finally:
        veritls.extract()


def with_our_context(client: Any, files: Files, own: Path | None) -> None:
    context = client_context(files.ca)
    if own:
        context.load_cert_chain(own)
    client.tls_set_context(context)


def talk(port: int, topic: str, configure: Callable[[Any], None]) -> Any:
    """The outcome of a message to oneself: the message, or the reason for which the server hung up."""
    mqtt = library("paho.mqtt.client")
    client, came = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2), queue.Queue[Any]()
    client.on_connect = lambda *_: client.subscribe(topic)
    client.on_subscribe = lambda *_: client.publish(topic, b"x" * 50_000)
    client.on_message = lambda client, data, message: came.put(message.payload)
    client.on_disconnect = lambda client, data, flags, reason, properties: came.put(reason)
    client.connect_timeout = SECONDS
    configure(client)
    client.connect("localhost", port, keepalive=SECONDS)
    assert isinstance(client.socket(), veritls.SSLSocket)
    client.loop_start()
    try:
        return came.get(timeout=SECONDS)
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.fixture(params=[with_its_own_context, with_our_context], ids=["tls_set", "tls_set_context"])
def way(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize(
    ("mode", "client", "topic"),
    [("none", None, "of/anonymous"), ("none", "client", "of/anonymous"), ("required", "client", "of/client")],
)
def test_a_client_is_served_as_the_mode_says(
    files: Files, start: Start, way: Any, mode: str, client: str | None, topic: str
) -> None:
    own = getattr(files, client) if client else None
    port = start(mode, files.server)
    assert talk(port, topic, lambda each: way(each, files, own)) == b"x" * 50_000


@pytest.mark.parametrize("client", [None, "stranger", "expired"])
def test_a_client_is_refused_where_a_certificate_is_required(
    files: Files, start: Start, way: Any, client: str | None
) -> None:
    own = getattr(files, client) if client else None
    port = start("required", files.server)
    reason = talk(port, "of/client", lambda each: way(each, files, own))
    assert isinstance(reason, library("paho.mqtt.reasoncodes").ReasonCode) and reason.is_failure


@pytest.mark.parametrize("certificate", ["stranger", "expired_server"])
def test_an_invalid_server_is_refused_for_its_certificate(
    files: Files, start: Start, way: Any, certificate: str
) -> None:
    port = start("none", getattr(files, certificate))
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        talk(port, "of/anonymous", lambda each: way(each, files, files.client))
    assert refusal_behind(refused.value)
