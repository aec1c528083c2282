"""Looks at a program: the rules, applied to what the walk comes by."""

from __future__ import annotations

import ast
import os
import re
import socket
import ssl
import stat
from dataclasses import replace

import veritls
from veritls._compat.injection import replacements
from veritls._doctor import rules, trying
from veritls._doctor.constants import UNKNOWN
from veritls._doctor.findings import BREAKS, MAY, NOTE, Finding, Severity, shown
from veritls._doctor.names import (
    TLS,
    Bound,
    Caught,
    Connection,
    Context,
    Member,
    Module,
    Subclass,
    Text,
    argument,
    last_name,
)
from veritls._doctor.reading import Program
from veritls._doctor.walking import Walker
from veritls._explaining.reasons import ALERTS
from veritls._explaining.verify_errors import VERIFY_ERRORS

MOST_TRIED = 5_000
"""Operations of one program that are tried, each in well under a millisecond; and words of cipher strings."""

_LARGEST_KEY = 64 << 10
_LONGEST = 300

_CONTEXTS = tuple(Member(module, "SSLContext") for module in TLS)

_OLD = (ssl.TLSVersion.SSLv3, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)

_KNOWN_WORDS = " ".join(
    ["certificate verify failed", *(words for _, words in ALERTS.values())]
    + [words for _, words in VERIFY_ERRORS.values()]
).lower()
"""Words of OpenSSL that the texts of veritls contain, too."""


class TooMuch(Exception):
    """A program has more to try than `MOST_TRIED`."""


def look(program: Program) -> tuple[list[Finding], bool]:
    """What is found in a program, in the order of its lines; whether it calls `veritls.inject`.

    Raises RecursionError for a program that is nested too deeply, TooMuch for one with too much to try.
    """
    looker = Looker(program.path)
    looker.walk(program.tree)
    looker.finish()
    found = dict.fromkeys(looker.findings)  # what a decorator or default is seen through twice, once
    return sorted(found, key=lambda each: (each.line, each.column)), looker.injected is not None


class Looker(Walker):
    """One program."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.findings: list[Finding] = []
        self.injected: int | None = None
        """The line of the first call of `veritls.inject`."""
        self._from_ssl: list[tuple[ast.stmt, list[str]]] = []
        self._common_names: list[ast.expr] = []
        self._reads_certificates = False
        self._packages = set(os.path.normpath(path).split(os.sep)[:-1])
        """Told of, or the program's own."""
        self._knows_veritls = False
        self._left = MOST_TRIED

    def _spend(self, tries: int = 1) -> None:
        self._left -= tries
        if self._left < 0:
            raise TooMuch

    def find(self, node: ast.AST, rule: str, severity: Severity, what: str, do: str) -> None:
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0) + 1
        self.findings.append(Finding(self.path, line, column, rule, severity, what, do))

    def _raised(self, node: ast.AST, rule: str, error: Exception, do: str) -> None:
        """An operation that raises with veritls, and not with `ssl`."""
        what = f"{shown(node)} raises {type(error).__name__}: {_words(error)}"
        kinds = {each.__name__ for each in type(error).__mro__}
        if any(kinds & names for names in self.caught):
            self.find(node, rule, MAY, f"{what}; it may be caught here", do)
        elif self.guarded:
            self.find(node, rule, MAY, f"{what}, unless the condition around it leaves it out", do)
        else:
            self.find(node, rule, BREAKS, what, do)

    def on_import(self, node: ast.stmt, module: str, names: list[str]) -> None:
        first = module.partition(".")[0]
        if module == "ssl" and names:
            self._from_ssl.append((node, names))
        if first == "veritls":
            self._knows_veritls = True
        if first in self._packages:
            return
        self._packages.add(first)
        if first in rules.MAKES_OWN_CONTEXT:
            takes = rules.MAKES_OWN_CONTEXT[first]
            what = f"{first} makes its own context where it is given none"
            self.find(node, "own-context", NOTE, what, f"veritls.inject() before this import; or {takes}")
        if first in rules.OTHER_TLS:
            what = f"{rules.OTHER_TLS[first]}: veritls has no part in its connections"
            self.find(node, "other-tls", NOTE, what, "nothing changes there")

    def on_name(self, node: ast.expr, member: Member) -> None:
        name = member.name
        if name in rules.GONE:
            what = f"{name} is gone from ssl in Python 3.12, and from veritls with it"
            self.find(node, "name", NOTE, what, rules.GONE[name])
        elif not _has(veritls, name) and _has(ssl, name):
            error = AttributeError(f"module 'veritls' has no attribute {name!r}")
            do = "veritls.inject() leaves it in ssl; or take it from where ssl has it"
            if member.module == "veritls":
                self._raised(node, "name", error, do)
            else:
                self.find(node, "name", MAY, f"{name} is private to ssl, and not in veritls", do)
        elif name in ("_create_unverified_context", "_create_stdlib_context"):
            self.find(node, "unverified", NOTE, f"{name} verifies no peer, as with ssl", _VERIFY)
        elif name in rules.WITHOUT_EFFECT:
            what = f"{name} has no effect: {rules.WITHOUT_EFFECT[name]}"
            self.find(node, "settings", NOTE, what, "nothing, or leave it out")

    def on_call(self, node: ast.Call) -> None:
        called = self.scope.kind(node.func)
        if isinstance(called, Subclass) or called in _CONTEXTS:
            self._context_made(node)
        if isinstance(called, Member):
            self._function_called(node, called)
        elif isinstance(called, Bound) and isinstance(called.owner, Context):
            self._context_called(node, called.owner, called.name)
        elif isinstance(called, Bound) and isinstance(called.owner, Connection):
            self._connection_called(node, called.name)
        if last_name(node.func) in rules.CONNECTS_BY_ASYNCIO and (
            self.scope.constant(argument(node, 99, "ssl")) is True
        ):
            what = "with ssl=True asyncio makes its own context"
            do = "ssl=veritls.create_default_context(), or veritls.inject()"
            self.find(node, "own-context", NOTE, what, do)
        if isinstance(node.func, ast.Attribute):
            if node.func.attr == "getpeercert":
                self._reads_certificates = True
            looks = node.func.attr in ("startswith", "endswith", "find", "index", "count") and node.args
            if looks and isinstance(self.scope.kind(node.func.value), Text):
                self._text_compared(node, self.scope.constant(node.args[0]), exactly=True)

    def _context_made(self, node: ast.Call) -> None:
        made = self.scope.kind(node)
        if isinstance(made, Context) and len(made.protocols) == 1:
            self._protocol_taken(node, made.protocols[0])

    def _protocol_taken(self, node: ast.Call, protocol: int) -> None:
        self._spend()
        error = trying.construction(protocol)
        if error is not None:
            self._raised(node, "protocol", error, rules.PROTOCOL)

    def _function_called(self, node: ast.Call, called: Member) -> None:
        if called == Member("veritls", "inject") and self.injected is None:
            self.injected = node.lineno
        taken = rules.TAKES_A_PROTOCOL.get(called.name) if called.of_tls else None
        protocol = self.scope.constant(argument(node, *taken)) if taken is not None else UNKNOWN
        if isinstance(protocol, int):
            self._protocol_taken(node, protocol)
        if called.of_tls and called.name == "create_default_context":
            self._folder_named(node, argument(node, 99, "capath"))
        where = rules.CALLS_WITHOUT_CONTEXT.get((called.module, called.name))
        spread = any(keyword.arg is None for keyword in node.keywords)
        if where is not None and not spread and argument(node, *where) is None:
            address = self.scope.constant(node.args[0]) if node.args else UNKNOWN
            if not (isinstance(address, str) and address.startswith("http:")):
                what = f"{called.module}.{called.name} makes its own context where it is given none"
                do = f"{where[1]}=veritls.create_default_context(), or veritls.inject()"
                self.find(node, "own-context", NOTE, what, do)

    def _folder_named(self, node: ast.Call, given: ast.expr | None) -> None:
        if given is not None and self.scope.constant(given) is not None:
            what = (
                "a capath folder is read here, not during handshakes; one that cannot be read raises OSError"
            )
            self.find(node, "settings", NOTE, what, "load it again to see new files")

    def _context_called(self, node: ast.Call, context: Context, name: str) -> None:
        if context.made_by is not None and context.made_by.declares(name):
            return
        if node.keywords and any(keyword.arg is None for keyword in node.keywords):
            values: list[object] = [UNKNOWN]
        else:
            values = [self.scope.constant(each) for each in node.args]
            values += [self.scope.constant(keyword.value) for keyword in node.keywords]
        self._spend()
        error = trying.call(context.protocols, name, values)
        if error is not None:
            rule = "ciphers" if name in ("set_ciphers", "set_ciphersuites") else "method"
            self._raised(node, rule, error, rules.ADVICE.get(name, "leave it out"))
        elif name == "set_ciphers" and values and isinstance(values[0], str):
            self._ciphers(node, values[0])
        elif name == "load_cert_chain":
            self._identity(node)
        elif name == "load_verify_locations":
            self._folder_named(node, argument(node, 1, "capath"))
        elif name == "wrap_bio" and context.checks_name:
            self._unnamed(node)
        elif name == "load_dh_params":
            what = "load_dh_params has no effect: there are no suites with finite-field Diffie-Hellman"
            self.find(node, "settings", NOTE, what, "leave it out; ECDHE needs no parameters")
        elif name == "set_servername_callback":
            self._switching(node)
        elif name == "set_alpn_protocols":
            what = "without a common protocol the handshake ends (RFC 7301); with ssl it goes on"
            self.find(
                node, "settings", NOTE, what, "name every protocol that peers offer and the program speaks"
            )

    def _ciphers(self, node: ast.Call, text: str) -> None:
        self._spend(len(text) // 8)
        levels = re.findall(r"@SECLEVEL=(\d)", text)
        if levels and levels[-1] in "01":
            what = (
                "the security level stays 2: RSA keys below 2048 bits and signatures with SHA-1 are refused"
            )
            self.find(node, "ciphers", MAY, what, "have such certificates issued anew")
        try:
            missing, any_left = trying.missing_suites(text)
        except ValueError:
            return  # `ssl` refuses it, too
        if not any_left:
            what = f"none of these suites of TLS 1.2 exists here: {', '.join(missing)}"
            what += "; TLS 1.3 alone is left, and a peer with TLS 1.2 may be refused"
            self.find(node, "ciphers", MAY, what, rules.ADVICE["set_ciphers"])
        elif missing:
            what = f"not here: {', '.join(missing)}; a peer that has nothing else may be refused"
            self.find(node, "ciphers", NOTE, what, "nothing, where peers have ECDHE with AES-GCM or ChaCha20")

    def _unnamed(self, node: ast.Call) -> None:
        """A client's buffers without the name of the server."""
        spread = any(isinstance(each, ast.Starred) for each in node.args)
        spread = spread or any(each.arg is None for each in node.keywords)
        as_server, name = argument(node, 2, "server_side"), argument(node, 3, "server_hostname")
        is_client = as_server is None or self.scope.constant(as_server) is False
        if is_client and not spread and (name is None or self.scope.constant(name) is None):
            what = f"{shown(node)} raises ValueError where check_hostname is on; ssl accepts any server"
            self.find(node, "method", MAY, what, "server_hostname=, the name of the server")

    def _identity(self, node: ast.Call) -> None:
        if argument(node, 2, "password") is not None or any(each.arg is None for each in node.keywords):
            return
        given = argument(node, 1, "keyfile") or argument(node, 0, "certfile")
        path = self.scope.constant(given)
        if isinstance(path, str) and _is_encrypted(os.path.dirname(self.path), path):
            what = f"{path} is encrypted, and there is no prompt: SSLError, where ssl asks on the terminal"
            self.find(
                node, "password", BREAKS, what, "password=, a str or a callable such as getpass.getpass"
            )

    def _connection_called(self, node: ast.Call, name: str) -> None:
        values = [self.scope.constant(each) for each in node.args]
        self._spend()
        error = trying.connection_call(name, values)
        if error is not None and (name == "verify_client_post_handshake" or UNKNOWN not in values):
            self._raised(node, "method", error, rules.ADVICE[name])
        elif name == "shutdown" and node.args and self._is_shut_wr(node.args[0]):
            what = "shutdown(SHUT_WR) sends close_notify and leaves TLS on; with ssl plain TCP follows"
            self.find(node, "shutdown", MAY, what, "unwrap(), where plain TCP is to follow")

    def _is_shut_wr(self, node: ast.expr) -> bool:
        named = self.scope.kind(node) == Member("socket", "SHUT_WR")
        return named or self.scope.constant(node) == socket.SHUT_WR

    def _made_for_http(self, node: ast.AST, module: str) -> None:
        if module == "ssl" and self.injected is not None:
            return
        what = "http.client and urllib.request ask ssl for it: set on veritls, it has no effect"
        self.find(
            node, "own-context", MAY, what, "context=, where the connection is made, or veritls.inject()"
        )

    def on_set(
        self, node: ast.AST, target: ast.Attribute, value: ast.expr, operation: ast.operator | None
    ) -> None:
        kind = self.scope.kind(target.value)
        if isinstance(kind, Module) and kind.name in TLS and target.attr == rules.MAKES_FOR_HTTP:
            self._made_for_http(node, kind.name)
        if not isinstance(kind, Context):
            return
        if kind.made_by is not None and kind.made_by.declares(target.attr):
            return
        name, wanted = target.attr, self.scope.constant(value)
        if name == "check_hostname":
            self.scope.bind(target.value, replace(kind, checks_name=wanted is True))
        self._spend()
        error = trying.setting(kind.protocols, name, wanted, operation)
        if isinstance(error, AttributeError) and kind.made_by is not None:
            error = AttributeError(str(error).replace("SSLContext", kind.made_by.name))
        if error is not None:
            self._raised(node, "attribute", error, _advice(name))
        elif name == "minimum_version" and wanted in _OLD:
            what = f"{shown(node)}: TLS 1.2 is the oldest version here; a peer with an older one is refused"
            self.find(node, "versions", MAY, what, "the peer needs TLS 1.2")
        elif name == "sni_callback" and wanted is not None:
            self._switching(node)
        elif ssl.PROTOCOL_TLS_CLIENT in kind.protocols and kind.verifies is not False:
            if name == "check_hostname" and wanted is False:
                what = f"{shown(node)}: as with ssl, any server with a trusted certificate may answer"
                self.find(node, "unverified", NOTE, what, _VERIFY)
            elif name == "verify_mode" and wanted == ssl.CERT_NONE:
                self.find(
                    node, "unverified", NOTE, f"{shown(node)}: as with ssl, any server may answer", _VERIFY
                )

    def _switching(self, node: ast.AST) -> None:
        what = "where sni_callback chooses a second context, the demands of both hold; with ssl, verify_mode"
        what += " and flags of the first do"
        self.find(node, "switching", MAY, what, "set on the first context only what every name is to demand")

    def on_compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        values = [self.scope.constant(each) for each in sides]
        if "commonName" in values:
            self._common_names.append(node)
        for left, right in ((0, 1), (1, 0)):
            if len(sides) == 2 and isinstance(self.scope.kind(sides[left]), Text | Caught):
                self._text_compared(
                    node, values[right], exactly=not isinstance(node.ops[0], ast.In | ast.NotIn)
                )

    def _text_compared(self, node: ast.expr, value: object, *, exactly: bool) -> None:
        if not isinstance(value, str) or not value.strip():
            return
        if not exactly and (value.isupper() or value.lower() in _KNOWN_WORDS):
            return
        what = f"{shown(node)}: the text of veritls's errors is another, and says more"
        self.find(node, "error-text", MAY, what, "compare error.reason, or error.verify_code")

    def finish(self) -> None:
        """What is told only once the whole program is known."""
        if self._reads_certificates:
            for node in self._common_names:
                what = "the common name is no host name here (RFC 9525): with check_hostname a certificate"
                what += " without subjectAltName is refused before this code"
                do = "have such certificates issued anew; SSLContext.allowed_peers compares names"
                self.find(node, "certificate-name", NOTE, what, do)
        if self._knows_veritls:  # whoever wrote it has read of what is only to be known
            self.findings = [each for each in self.findings if each.severity != NOTE]
        replaced = replacements() if self.injected is not None else {}
        for statement, names in self._from_ssl:
            bound = [name for name in names if name in replaced or name == "*"]
            early = self.injected is not None and statement.lineno < self.injected
            if bound and early and not statement.col_offset:
                what = f"{', '.join(bound)}: imported before veritls.inject(), it stays that of ssl"
                self.find(
                    statement,
                    "from-import",
                    BREAKS,
                    what,
                    "import it after veritls.inject(), or from veritls",
                )


_VERIFY = "nothing, where that is meant; else create_default_context(cafile=…)"


def _advice(name: str) -> str:
    """What to do where an attribute of a context cannot be set."""
    member = getattr(veritls.SSLContext, name, None)
    if member is None:
        return rules.OWN_ATTRIBUTE
    return "call it" if callable(member) else rules.ADVICE.get(name, "leave it out")


def _has(module: object, name: str) -> bool:
    return hasattr(module, name)


def _words(error: Exception) -> str:
    """The text of an error, without the numbers before it."""
    text = str(error.args[-1] if error.args else error)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_encrypted(folder: str, path: str) -> bool:
    """Whether a key file beside the program is encrypted. Files elsewhere are not read."""
    try:
        folder = os.path.realpath(folder or ".")
        place = os.path.realpath(os.path.join(folder, path))
        if os.path.commonpath([folder, place]) != folder or not stat.S_ISREG(os.stat(place).st_mode):
            return False
        with open(place, "rb") as file:
            content = file.read(_LARGEST_KEY)
    except (OSError, ValueError):
        return False
    return b"-----BEGIN ENCRYPTED PRIVATE KEY" in content or b"Proc-Type: 4,ENCRYPTED" in content
