"""Each rule on a program; and what it warns of, run with veritls, to see that it does differ."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pytest

import veritls
from tests.doctor.cases import BREAKS, CLIENT, CONNECTION, HARMLESS, NEWER, SERVER
from veritls._doctor import rules
from veritls._doctor.findings import Finding, Severity
from veritls._doctor.looking import look
from veritls._doctor.reading import Program, parse


def found(source: str) -> list[Finding]:
    program = parse("program.py", source.encode())
    assert isinstance(program, Program)
    return look(program)[0]


def one(source: str, rule: str, severity: Severity) -> Finding:
    [finding] = found(source)
    assert (finding.rule, finding.severity) == (rule, severity), finding
    return finding


def run(source: str, module: Any) -> Exception | None:
    """What a program raises with a module in the place of `ssl`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(source, {"ssl": module})
        except Exception as error:
            return error
    return None


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_said_to_break_raises_that_with_veritls_and_nothing_with_ssl(name: str) -> None:
    before, line, rule = BREAKS[name]
    finding = one(f"import ssl\n{before}{line}\n", rule, "breaks")
    assert finding.line == 2 + before.count("\n")
    theirs, ours = run(before + line, ssl), run(before + line, veritls)
    assert theirs is None or isinstance(ours, NotImplementedError)
    assert f"raises {type(ours).__name__}: {ours.args[-1] if ours else ''}" in finding.what


@pytest.mark.parametrize(
    ("line", "do"),
    [
        ("context.set_ciphers = 'DEFAULT'", "call it"),
        ("context.verify_mod = 1", rules.OWN_ATTRIBUTE),
        ("context.maximum_version = ssl.TLSVersion.TLSv1", rules.ADVICE["maximum_version"]),
    ],
)
def test_what_to_do_is_of_the_attribute(line: str, do: str) -> None:
    assert one(f"import ssl\n{CLIENT}{line}", "attribute", "breaks").do == do


@pytest.mark.parametrize("name", NEWER)
def test_methods_of_a_later_python_that_are_not_offered_are_found_on_every_python(name: str) -> None:
    before, line, rule = NEWER[name]
    assert "raises NotImplementedError" in one(f"import ssl\n{before}{line}\n", rule, "breaks").what
    assert isinstance(run(before + line, veritls), NotImplementedError)


@pytest.mark.parametrize("name", BREAKS)
def test_names_are_followed_through_every_form_of_import(name: str) -> None:
    before, line, rule = BREAKS[name]
    other = re.sub(r"\bssl\b", "tls", f"{before}{line}")
    assert [each.rule for each in found(f"import ssl as tls\n{other}")] == [rule]
    assert [each.rule for each in found(f"import veritls as tls\n{other}")] == [rule]
    assert [each.rule for each in found(f"tls = __import__('ssl')\n{other}")] == [rule]
    by_name = "import importlib\ntls = importlib.import_module('ssl')"
    assert [each.rule for each in found(f"{by_name}\n{other}")] == [rule]
    if "getattr" in line:
        return  # of the module itself
    bare = re.sub(r"\bssl\.", "", f"{before}{line}")
    assert [each.rule for each in found(f"from ssl import *\n{bare}")] == [rule]
    assert [each.rule for each in found(f"from veritls import *\n{bare}")] == [rule]
    names = sorted(set(re.findall(r"\bssl\.(\w+)", f"{before}{line}")))
    bare = re.sub(r"\bssl\.(\w+)", r"my_\1", f"{before}{line}")
    head = ", ".join(f"{each} as my_{each}" for each in names)
    assert [each.rule for each in found(f"from ssl import {head}\n{bare}")] == [rule]


@pytest.mark.parametrize("source", HARMLESS)
def test_nothing_is_found_where_nothing_differs_or_it_cannot_be_told(source: str) -> None:
    assert [each for each in found(f"import ssl\n{source}\n") if each.severity != "note"] == []


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    {}\nexcept {}:\n    pass",
        "try:\n    {}\nexcept Exception:\n    pass",
        "try:\n    {}\nexcept:\n    pass",
        "if hasattr(ssl, 'PROTOCOL_TLSv1'):\n    {}",
        "if ssl.HAS_TLSv1:\n    {}",
        "if sys.version_info < (3, 12):\n    {}",
        "if 'tls-unique' in ssl.CHANNEL_BINDING_TYPES:\n    {}",
        "with suppress(KeyError, {1}):\n    {0}",
        "with pytest.raises(({1}, KeyError)):\n    {0}",
        "def f():\n    if not ssl.HAS_TLSv1:\n        return\n    {}",
        "for each in 'ab':\n    if sys.version_info > (3, 12):\n        continue\n    {}",
        "@unittest.skipUnless(ssl.HAS_TLSv1, 'old')\ndef f():\n    {}",
        "ssl.HAS_TLSv1 and {}",
        "{} if ssl.HAS_TLSv1 else None",
    ],
)
def test_what_a_program_may_catch_or_leave_out_is_said_to_be_possible_only(source: str) -> None:
    line = "ssl.SSLContext(ssl.PROTOCOL_TLSv1)"
    one("import ssl, sys\n" + source.format(line, "ValueError"), "protocol", "may")


def test_an_except_for_another_error_does_not_count() -> None:
    source = "import ssl\ntry:\n    ssl.SSLContext(ssl.PROTOCOL_TLSv1)\nexcept KeyError:\n    pass"
    one(source, "protocol", "breaks")
    one("import ssl\nwith suppress(KeyError):\n    ssl.SSLContext(ssl.PROTOCOL_TLSv1)", "protocol", "breaks")
    after = "def f():\n    if ssl.HAS_TLSv1:\n        pass\n    ssl.SSLContext(ssl.PROTOCOL_TLSv1)"
    one(f"import ssl\n{after}", "protocol", "breaks")


def test_contexts_are_followed_through_with_self_annotations_and_nested_functions() -> None:
    line = "context.maximum_version = ssl.TLSVersion.TLSv1"
    assert found(f"import ssl\ndef f(context: ssl.SSLContext) -> None:\n    {line}")
    assert found(f"import ssl\n{CLIENT}def f():\n    def g():\n        {line}")
    assert found(
        f"import ssl\nother, context = ssl.create_default_context(), ssl.create_default_context()\n{line}"
    )
    assert found(f"import ssl\ndef f(context=None):\n    context = context or ssl.SSLContext()\n    {line}")
    assert found(f"import ssl\ncontext = ssl.SSLContext() if one else ssl.create_default_context()\n{line}")
    assert found("import ssl\nmatch x:\n    case 1 if ssl.SSLContext(ssl.PROTOCOL_TLSv1):\n        pass")
    inside = "self.context = ssl.create_default_context()\n        self."
    assert found(f"import ssl\nclass A:\n    def f(self):\n        {inside}{line}")
    assert found(f"import ssl\n{CONNECTION.replace('connection = ', 'with ')[:-1]} as c:\n    pass") == []


def test_a_cipher_string_without_a_suite_that_exists_leaves_tls_13_only() -> None:
    text = "AES128-SHA:DHE-RSA-AES256-GCM-SHA384"
    finding = one(f"import ssl\n{CLIENT}context.set_ciphers('{text}')", "ciphers", "may")
    assert "AES128-SHA, DHE-RSA-AES256-GCM-SHA384" in finding.what
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(text)
    assert {suite["protocol"] for suite in context.get_ciphers()} == {"TLSv1.3"}
    split = "context.set_ciphers(':'.join(['AES128-SHA', 'ECDHE-RSA-AES128-GCM-SHA256']))"
    assert "not here: AES128-SHA;" in one(f"import ssl\n{CLIENT}{split}", "ciphers", "note").what


@pytest.mark.parametrize("text", ["DEFAULT@SECLEVEL=1", "DEFAULT:@SECLEVEL=0"])
def test_a_lower_security_level_changes_nothing(text: str) -> None:
    one(f"import ssl\n{CLIENT}context.set_ciphers('{text}')", "ciphers", "may")
    levels = []
    for module in (ssl, veritls):
        context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
        context.set_ciphers(text)
        levels.append(context.security_level)
    assert levels == [int(text[-1]), 2]


def test_a_client_without_the_servers_name_is_refused_by_wrap_bio_where_it_checks_names() -> None:
    line = "context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())"
    one(f"import ssl\n{CLIENT}{line}", "method", "may")
    assert run(CLIENT + line, ssl) is None
    assert isinstance(run(CLIENT + line, veritls), ValueError)
    unchecked = f"{CLIENT}context.check_hostname = False\n{line}"
    assert [each.rule for each in found(f"import ssl\n{unchecked}")] == ["unverified"]
    assert run(unchecked, veritls) is None


@pytest.mark.parametrize(
    "line",
    [
        "context.load_verify_locations(capath='/nowhere')",
        "context.load_verify_locations(None, '/nowhere')",
        "ssl.create_default_context(capath='/nowhere')",
    ],
)
def test_a_folder_of_cas_is_read_when_it_is_named(line: str) -> None:
    one(f"import ssl\n{CLIENT}{line}", "settings", "note")
    assert run(CLIENT + line, ssl) is None
    assert isinstance(run(CLIENT + line, veritls), FileNotFoundError)


@pytest.mark.parametrize(
    "line",
    [
        "ssl._create_stdlib_context(ssl.PROTOCOL_TLSv1)",
        "ssl.get_server_certificate(('127.0.0.1', 0), ssl.PROTOCOL_TLSv1)",
        "ssl.get_server_certificate(('127.0.0.1', 0), ssl_version=ssl.PROTOCOL_TLSv1)",
    ],
)
def test_a_protocol_that_a_function_takes_is_tried(line: str) -> None:
    assert ("protocol", "breaks") in [(each.rule, each.severity) for each in found(f"import ssl\n{line}")]
    assert isinstance(run(line, veritls), ValueError)
    assert not isinstance(run(line, ssl), ValueError)


def test_an_old_minimum_version_allows_nothing_older_than_tls_12() -> None:
    line = "context.minimum_version = ssl.TLSVersion.TLSv1"
    one(f"import ssl\n{CLIENT}{line}", "versions", "may")
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1
    assert context._settings.protocol.versions() == (True, True)


def test_shutdown_of_one_direction_leaves_tls_on() -> None:
    source = "import socket, ssl\n" + SERVER + "c = context.wrap_socket(socket.socket())\n"
    one(source + "c.shutdown(socket.SHUT_WR)", "shutdown", "may")
    one(source + "c.shutdown(1)", "shutdown", "may")
    assert found(source + "c.shutdown(socket.SHUT_RD)") == []
    still_tls = []
    for module in (ssl, veritls):
        here, there = socket.socketpair()
        context = module.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with there, context.wrap_socket(here, server_side=True, do_handshake_on_connect=False) as connection:
            connection.shutdown(socket.SHUT_WR)
            still_tls.append(connection._sslobj is not None)
    assert still_tls == [False, True]


def test_a_name_that_is_private_to_ssl_is_not_in_veritls() -> None:
    one("import ssl\nssl._ASN1Object", "name", "may")
    one("import veritls as ssl\nssl._ASN1Object", "name", "breaks")
    assert hasattr(ssl, "_ASN1Object") and not hasattr(veritls, "_ASN1Object")


@pytest.mark.parametrize("name", rules.GONE)
def test_names_that_python_312_dropped_are_gone_with_it(name: str) -> None:
    one(f"from ssl import {name}", "name", "note")
    assert hasattr(veritls, name) == hasattr(ssl, name) == (sys.version_info < (3, 12))


@pytest.mark.parametrize("name", rules.WITHOUT_EFFECT)
def test_options_without_effect_change_nothing_that_the_engine_is_told(name: str) -> None:
    one(f"import ssl\n{CLIENT}context.options |= ssl.{name}", "settings", "note")
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_CLIENT)
    context.options &= ~getattr(veritls, name)
    before = context._settings.protocol.recipe(False)
    context.options |= getattr(veritls, name)
    assert context._settings.protocol.recipe(False) == before


def test_dh_parameters_have_no_effect(tmp_path: Path) -> None:
    one(f"import ssl\n{SERVER}context.load_dh_params('dh.pem')", "settings", "note")
    path = tmp_path / "dh.pem"
    path.write_text("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n")
    context = veritls.SSLContext(veritls.PROTOCOL_TLS_SERVER)
    before = context._settings
    with pytest.warns(RuntimeWarning, match="no effect"):
        context.load_dh_params(path)
    assert context._settings is before


def test_alpn_and_sni_are_told_of() -> None:
    one(f"import ssl\n{CLIENT}context.set_alpn_protocols(['h2'])", "settings", "note")
    one(f"import ssl\n{SERVER}context.sni_callback = choose", "switching", "may")
    one(f"import ssl\n{SERVER}context.set_servername_callback(choose)", "switching", "may")
    assert found(f"import ssl\n{SERVER}context.sni_callback = None") == []


def test_turning_verification_off_is_a_note_because_it_means_the_same() -> None:
    line = "context.check_hostname = False"
    one(f"import ssl\n{CLIENT}{line}", "unverified", "note")
    assert found(f"import veritls as ssl\n{CLIENT}{line}") == []
    mode = f"{CLIENT}context.check_hostname = False\ncontext.verify_mode = ssl.CERT_NONE"
    assert [each.rule for each in found(f"import ssl\n{mode}")] == ["unverified"] * 2
    assert run(mode, ssl) is run(mode, veritls) is None


def test_a_context_that_is_set_for_http_client_reaches_it_only_through_ssl() -> None:
    line = "ssl._create_default_https_context = make"
    one(f"import ssl\n{line}", "own-context", "may")
    one(f"import veritls as ssl\n{line}", "own-context", "may")
    assert found(f"import ssl, veritls\nveritls.inject()\n{line}") == []
    for module, asked in ((veritls, 0), (ssl, 1)):
        make = Mock(side_effect=ssl.create_default_context)
        with patch.object(module, "_create_default_https_context", make):
            http.client.HTTPSConnection("localhost")
        assert make.call_count == asked


@pytest.mark.parametrize(
    "test", ["str(e) == 'x y'", "'wrong version' in str(e)", "e.args[1].startswith('[X')"]
)
def test_comparing_the_text_of_an_error_is_told_of(test: str) -> None:
    source = "import ssl\ntry:\n    pass\nexcept (ssl.SSLError, ssl.CertificateError) as e:\n    "
    one(f"{source}if {test}:\n        pass", "error-text", "may")


def test_words_of_openssl_that_veritls_has_too_are_not_told_of() -> None:
    words = "'unable to get local issuer certificate' in e.verify_message"
    assert found(f"import ssl\ntry:\n    pass\nexcept ssl.SSLCertVerificationError as e:\n    {words}") == []


def test_code_that_reads_common_names_is_told_of() -> None:
    source = (
        "import ssl\ndef f(c, name):\n    for k, v in c.getpeercert()['subject']:\n        k == 'commonName'"
    )
    one(source, "certificate-name", "note")
    assert veritls.HAS_NEVER_CHECK_COMMON_NAME


def test_a_name_that_was_imported_before_inject_stays_the_standard_class() -> None:
    source = "from ssl import SSLContext, CERT_NONE\nimport veritls\nveritls.inject()\n"
    assert "SSLContext:" in one(source, "from-import", "breaks").what
    one("from ssl import *\nimport veritls\nveritls.inject()\n", "from-import", "breaks")
    assert found("import veritls\nveritls.inject()\nfrom ssl import SSLContext\n") == []
    try:
        names: dict[str, Any] = {}
        exec(source, names)
        assert names["SSLContext"] is not veritls.SSLContext and ssl.SSLContext is veritls.SSLContext
    finally:
        veritls.extract()


@pytest.mark.parametrize(("module", "name"), rules.CALLS_WITHOUT_CONTEXT)
def test_the_standard_library_is_told_of_where_it_is_given_no_context(module: str, name: str) -> None:
    argument = rules.CALLS_WITHOUT_CONTEXT[module, name][1]
    one(f"import {module}\n{module}.{name}(host)", "own-context", "note")
    one(f"from {module} import {name} as made\nmade(host)", "own-context", "note")
    assert found(f"import {module}\n{module}.{name}(host, {argument}=context)") == []
    assert found(f"import {module}\n{module}.{name}(host, **settings)") == []


def test_asyncio_is_told_of_where_it_is_to_make_its_own_context() -> None:
    one("import asyncio\nasyncio.open_connection('a', 443, ssl=True)", "own-context", "note")
    by_loop = "async def f(loop):\n    await loop.create_connection(print, 'a', 443, ssl=True)"
    one(by_loop, "own-context", "note")
    assert found("import asyncio\nasyncio.open_connection('a', 443, ssl=context)") == []


def test_an_encrypted_key_beside_the_program_needs_its_password(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    (tmp_path / "plain.pem").write_text("-----BEGIN PRIVATE KEY-----\n")

    def with_call(call: str) -> list[str]:
        program = parse(
            str(tmp_path / "p.py"), f"import ssl\n{SERVER}context.load_cert_chain({call})".encode()
        )
        assert isinstance(program, Program)
        return [each.rule for each in look(program)[0]]

    assert with_call("'cert.pem', 'key.pem'") == with_call("'key.pem'") == ["password"]
    assert with_call("'cert.pem', 'key.pem', password") == with_call("'cert.pem', 'plain.pem'") == []
    assert with_call("'cert.pem', keyfile='key.pem', password=ask") == []
    assert with_call(f"'cert.pem', '../{tmp_path.name}x/key.pem'") == with_call("'/dev/zero'") == []
    assert with_call(r"'a\0b'") == with_call("'" + "a/" * 4000 + "'") == []
