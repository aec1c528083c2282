"""docs/migrating.md, the table by symptom: each text of it is provoked here, and is what is really said."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

import veritls
from tests.support.certificates import Party

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")

PAGE = Path(__file__).parent.parent / "docs" / "migrating.md"
SECTIONS = (
    "When a context is made",
    "When a connection is made",
    "In the handshake, where it is refused",
    "In the handshake, where the other side refused",
)

ROOT, OTHER_ROOT = Party("Root", ca=True), Party("Other Root", ca=True)
SERVER = Party("localhost", ROOT)
NO_NAMES = Party("localhost", ROOT, names=[])
TLS12, TLS11 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_1
ENCRYPTED = SERVER.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def client(module: Any = veritls, *, ca: Party = ROOT) -> Any:
    return module.create_default_context(cadata=ca.pem.decode())


def server(own: Party = SERVER) -> Any:
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.pem, own.key_pem)
    return context


def standard_server(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SERVER.file(folder))
    return context


def raised(act: Callable[[], object]) -> str:
    with pytest.raises(Exception) as error:
        act()
    return str(error.value.args[-1])


def handshake(client: Any, server: Any, name: str = "localhost") -> tuple[str, str]:
    """What the client and the server say; empty where nothing was wrong."""
    modules = [veritls if isinstance(each, veritls.SSLContext) else ssl for each in (client, server)]
    (into, out), (into_server, out_server) = ((each.MemoryBIO(), each.MemoryBIO()) for each in modules)
    ends = [
        client.wrap_bio(into, out, server_hostname=name),
        server.wrap_bio(into_server, out_server, server_side=True),
    ]
    said = ["", ""]
    done = [False, False]
    for at in [0, 1] * 6:
        if not said[at]:
            try:
                if done[at]:
                    ends[at].read(1)
                else:
                    ends[at].do_handshake()
                    done[at] = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                said[at] = str(error.args[-1])
        sent, receiver = ((out, into_server), (out_server, into))[at]
        receiver.write(sent.read())
    return said[0], said[1]


def set_(name: str, value: object) -> str:
    return raised(lambda: setattr(client(), name, value))


def of_context() -> dict[str, Callable[[Path], str]]:
    small = Party("localhost", ROOT, key=rsa.generate_private_key(65537, 1024))
    load = server().load_cert_chain
    return {
        "No cipher can be selected": lambda _: raised(lambda: client().set_ciphers("nonsense")),
        "@SECLEVEL": lambda _: raised(lambda: client().set_ciphers("DEFAULT:@SECLEVEL=3")),
        "'SSLContext' object": lambda _: set_("verify_mod", ssl.CERT_REQUIRED),
        "property": lambda _: set_("post_handshake_auth", True),
        "'set_verify_callback'": lambda _: set_("set_verify_callback", print),
        "protocol": lambda _: raised(lambda: veritls.SSLContext(ssl.PROTOCOL_TLSv1)),
        "maximum_version": lambda _: set_("maximum_version", TLS11),
        "hostname_checks_common_name": lambda _: set_("hostname_checks_common_name", True),
        "verify_flags": lambda _: set_("verify_flags", ssl.VERIFY_ALLOW_PROXY_CERTS),
        "unknown group": lambda _: raised(lambda: client().set_ecdh_curve("secp521r1")),
        "[SSL: KEY_VALUES_MISMATCH]": lambda _: raised(lambda: load(SERVER.pem, OTHER_ROOT.key_pem)),
        "[SSL: BAD_PASSWORD_READ]": lambda _: raised(lambda: load(SERVER.pem, ENCRYPTED)),
        "[SSL: PEM_LIB]": lambda _: raised(lambda: load(SERVER.pem, ENCRYPTED, "another")),
        "[SSL: UNUSABLE]": lambda _: raised(lambda: load(small.pem, small.key_pem)),
        "[SSL: NO_START_LINE]": lambda _: raised(lambda: load(SERVER.pem)),
    }


def buffers() -> tuple[veritls.MemoryBIO, veritls.MemoryBIO]:
    return veritls.MemoryBIO(), veritls.MemoryBIO()


def of_connection() -> dict[str, Callable[[Path], str]]:
    def ended(context: Any) -> Any:
        context.set_ciphers("AES128-SHA")
        context.maximum_version = TLS12
        return context

    made = server().wrap_bio(*buffers(), server_side=True)
    return {
        "check_hostname": lambda _: raised(lambda: client().wrap_bio(*buffers())),
        "[SSL: NO_CIPHERS_AVAILABLE]": lambda _: raised(
            lambda: ended(client()).wrap_bio(*buffers(), server_hostname="localhost")
        ),
        "Post-handshake": lambda _: raised(made.verify_client_post_handshake),
        "tls-unique": lambda _: raised(lambda: made.get_channel_binding("tls-unique")),
    }


def hearing(context: Any, data: bytes) -> str:
    """What a side says that gets these bytes, and the end of the stream, from its peer."""
    incoming, outgoing = buffers()
    serves = context.protocol == ssl.PROTOCOL_TLS_SERVER
    end = context.wrap_bio(
        incoming, outgoing, server_side=serves, server_hostname=None if serves else "localhost"
    )
    incoming.write(data)
    incoming.write_eof()
    return raised(end.do_handshake)


def old(context: ssl.SSLContext) -> ssl.SSLContext:
    """With TLS 1.1 at most."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, TLS11
    return context


def with_cbc(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    context.maximum_version = TLS12
    return context


def with_(context: Any, **settings: Any) -> Any:
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def speaking(context: Any, protocol: str) -> Any:
    context.set_alpn_protocols([protocol])
    return context


def demanding() -> Any:
    context = server()
    context.load_verify_locations(cadata=ROOT.pem.decode())
    context.verify_mode = veritls.CERT_REQUIRED
    return context


def without_tls12_suites() -> Any:
    context = client()
    context.set_ciphers("AES128-SHA")
    return context


def refused_peer() -> tuple[str, str]:
    context, context_of_client = demanding(), client()
    context.allowed_peers = [veritls.DNSPattern("nobody.example")]
    context_of_client.load_cert_chain(SERVER.pem, SERVER.key_pem)
    return handshake(context_of_client, context)


def refusing() -> dict[str, Callable[[Path], str]]:
    unknown = (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate: "
    )
    return {
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: … contains": (
            lambda _: handshake(client(), server(NO_NAMES))[0]
        ),
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname": (
            lambda _: handshake(client(), server(), "other")[0]
        ),
        f"{unknown}…": lambda _: handshake(client(ca=OTHER_ROOT), server())[0],
        f"{unknown}the": lambda _: handshake(veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT), server())[0],
        "[SSL: WRONG_VERSION_NUMBER]": lambda _: hearing(client(), b"HTTP/1.1 400 Bad Request\r\n"),
        "[SSL: HTTP_REQUEST]": lambda _: hearing(server(), b"GET / HTTP/1.1\r\n\r\n"),
        "[SSL: NO_SHARED_CIPHER]": lambda _: handshake(with_cbc(client(ssl)), server())[1],
        "[SSL: HANDSHAKE_FAILURE_ON_CLIENT_HELLO]": lambda _: handshake(old(client(ssl)), server())[1],
        "[SSL: UNSUPPORTED_PROTOCOL]": (
            lambda _: handshake(without_tls12_suites(), with_(server(), maximum_version=TLS12))[1]
        ),
        "[SSL: PROTOCOL_ERROR]": (
            lambda _: handshake(speaking(client(), "h2"), speaking(server(), "http/1.1"))[1]
        ),
        "[SSL: PEER_DID_NOT_RETURN_A_CERTIFICATE]": lambda _: handshake(client(), demanding())[1],
        "[SSL: UNEXPECTED_EOF_WHILE_READING]": lambda _: hearing(client(), b""),
    }


def refused() -> dict[str, Callable[[Path], str]]:
    return {
        "[SSL: TLSV1_ALERT_UNKNOWN_CA]": lambda _: handshake(client(ca=OTHER_ROOT), server())[1],
        "[SSL: SSLV3_ALERT_BAD_CERTIFICATE]": lambda _: handshake(client(), server(), "other")[1],
        "[SSL: TLSV1_ALERT_PROTOCOL_VERSION]": (
            lambda folder: handshake(client(), old(standard_server(folder)))[0]
        ),
        "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE]": (
            lambda folder: handshake(client(), with_cbc(standard_server(folder)))[0]
        ),
        "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]": lambda _: handshake(client(), demanding())[0],
        "[SSL: TLSV1_ALERT_NO_APPLICATION_PROTOCOL]": (
            lambda _: handshake(speaking(client(), "h2"), speaking(server(), "http/1.1"))[0]
        ),
        "[SSL: TLSV1_ALERT_ACCESS_DENIED]": lambda _: refused_peer()[0],
    }


PROVOKED = dict(zip(SECTIONS, (of_context(), of_connection(), refusing(), refused()), strict=True))
CASES = [(section, beginning) for section, several in PROVOKED.items() for beginning in several]


def symptoms(section: str) -> list[str]:
    """The first column of a section's table."""
    text = PAGE.read_text("utf-8").partition(f"### {section}\n")[2]
    rows = re.findall(r"^\| `(.+?)` \| .+ \| .+ \|$", re.split(r"^##", text, flags=re.M)[0], re.M)
    return rows


@pytest.mark.parametrize(("section", "beginning"), CASES)
def test_a_symptom_is_what_is_really_said(section: str, beginning: str, tmp_path: Path) -> None:
    [row] = [each for each in symptoms(section) if each.startswith(beginning)]
    said = PROVOKED[section][beginning](tmp_path)
    assert re.fullmatch(".+".join(map(re.escape, row.split("…"))).replace("\\ ", " "), said), said


@pytest.mark.parametrize("section", SECTIONS)
def test_every_symptom_of_the_page_is_provoked(section: str) -> None:
    beginnings = PROVOKED[section]
    rows = symptoms(section)
    assert rows
    assert [row for row in rows if sum(row.startswith(each) for each in beginnings) != 1] == []


def test_with_tls_12_a_client_without_a_certificate_is_told_a_handshake_failure() -> None:
    """The other reason for that alert which the page gives."""
    said, _ = handshake(client(), with_(demanding(), maximum_version=TLS12))
    assert said.startswith("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE]")


def test_what_the_page_says_ssl_does_is_what_it_does(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(NO_NAMES.file(tmp_path))
    assert handshake(client(ssl), context) == ("", "")  # by the common name
    spoken = speaking(client(ssl), "h2"), speaking(standard_server(tmp_path), "http/1.1")
    assert handshake(*spoken) == ("", "")
    client(ssl).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
    client(ssl).verify_mod = ssl.CERT_REQUIRED
