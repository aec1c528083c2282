"""Small programs that each do one thing that differs, for `tests.doctor.test_rules`."""

from __future__ import annotations

CLIENT = "context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
SERVER = "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
CONNECTION = SERVER + "connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)\n"
OWN = "class Own(ssl.SSLContext):\n    mine: int\n"
OWN_CONTEXT = OWN + "own = Own(ssl.PROTOCOL_TLS_CLIENT)\n"

BREAKS: dict[str, tuple[str, str, str]] = {
    "protocol": ("", "ssl.SSLContext(ssl.PROTOCOL_TLSv1)", "protocol"),
    "protocol-keyword": ("", "ssl.SSLContext(protocol=ssl.PROTOCOL_TLSv1_1)", "protocol"),
    "maximum_version": (CLIENT, "context.maximum_version = ssl.TLSVersion.TLSv1_1", "attribute"),
    "misspelt": (CLIENT, "context.verify_mod = ssl.CERT_REQUIRED", "attribute"),
    "own attribute, unknown value": (CLIENT, "context.owner = object()", "attribute"),
    "method set": (CLIENT, "context.set_ciphers = 'DEFAULT'", "attribute"),
    "post_handshake_auth": (CLIENT, "context.post_handshake_auth = True", "attribute"),
    "common name": (CLIENT, "context.hostname_checks_common_name = True", "attribute"),
    "verify_flags": (CLIENT, "context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS", "attribute"),
    "message callback": (CLIENT, "context._msg_callback = lambda *_: None", "attribute"),
    "seclevel": (CLIENT, "context.set_ciphers('DEFAULT:@SECLEVEL=3')", "ciphers"),
    "curve": (CLIENT, "context.set_ecdh_curve('secp521r1')", "method"),
    "verify_client_post_handshake": (CONNECTION, "connection.verify_client_post_handshake()", "method"),
    "set by setattr": (CLIENT, "setattr(context, 'maximum_version', ssl.TLSVersion.TLSv1_1)", "attribute"),
    "got by getattr": ("", "ssl.SSLContext(getattr(ssl, 'PROTOCOL_TLSv1'))", "protocol"),
    "protocol of a subclass": (OWN, "Own(ssl.PROTOCOL_TLSv1)", "protocol"),
    "attribute of a subclass": (OWN_CONTEXT, "own.post_handshake_auth = True", "attribute"),
    "undeclared in a subclass of one": (
        OWN + "class Other(Own):\n    pass\nother = Other(ssl.PROTOCOL_TLS_CLIENT)\nother.mine = 1\n",
        "other.another = 1",
        "attribute",
    ),
    "undeclared in a subclass": (OWN_CONTEXT, "own.another = 1", "attribute"),
    "undeclared in a method": (
        OWN + "    def __init__(self, protocol):\n",
        "        self.another = 1\nOwn(ssl.PROTOCOL_TLS_CLIENT)",
        "attribute",
    ),
    "set in another method": (
        "class A:\n"
        "    def __init__(self):\n"
        "        self.context = ssl.create_default_context()\n"
        "    def f(self):\n",
        "        self.context.maximum_version = ssl.TLSVersion.TLSv1_1\nA().f()",
        "attribute",
    ),
    "channel binding": (CONNECTION, "connection.get_channel_binding('tls-unique')", "method"),
}
"""Name -> what goes before, the line that raises with veritls, the rule."""

NEWER: dict[str, tuple[str, str, str]] = {
    "psk client": (CLIENT, "context.set_psk_client_callback(lambda hint: (None, b''))", "method"),
    "psk server": (SERVER, "context.set_psk_server_callback(lambda identity: b'')", "method"),
    "client sigalgs": (CLIENT, "context.set_client_sigalgs('ecdsa_secp256r1_sha256')", "method"),
    "server sigalgs": (SERVER, "context.set_server_sigalgs('ecdsa_secp256r1_sha256')", "method"),
}
"""The same, of methods that came with a later Python."""

HARMLESS = (
    CLIENT + "context.set_ciphers('ECDHE+AESGCM')",
    CLIENT + "context.set_ciphers('nonsense')  # refused by ssl, too",
    CLIENT + "context.minimum_version = ssl.TLSVersion.TLSv1_2",
    CLIENT + "context.maximum_version = ssl.TLSVersion.TLSv1_3",
    CLIENT + "context.verify_flags |= ssl.VERIFY_X509_STRICT",
    CLIENT + "context.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_COMPRESSION",
    CLIENT + "context.wrap_socket = lambda *_, **__: None",
    CLIENT + "context.keylog_filename = '/dev/null'",
    CLIENT + "context = make()\ncontext.anything = 1",
    "def f(ssl):\n    ssl.SSLContext(ssl.PROTOCOL_TLSv1)",
    "def f(context):\n    context.anything = 1",
    OWN_CONTEXT + "own.mine = 1",
    OWN + "    def f(self):\n        self.mine = self._hidden = 1",
    OWN + "    def set_ecdh_curve(self, name):\n        pass\nOwn().set_ecdh_curve('any')",
    OWN + "    def __new__(cls, *_):\n        pass\nOwn(ssl.PROTOCOL_TLSv1)",
    OWN + "    def __setattr__(self, *_):\n        pass\nOwn(ssl.PROTOCOL_TLS_CLIENT).another = 1",
    OWN + "    @staticmethod\n    def f(context):\n        context.another = 1",
    "class Own(Mixin, ssl.SSLContext):\n    pass\nOwn(ssl.PROTOCOL_TLS_CLIENT).another = 1",
    "class A:\n    def __init__(self):\n        self.context = ssl.create_default_context()\n"
    "    def f(self):\n        self.context = make()\n    def g(self):\n        self.context.anything = 1",
    "def f(getattr):\n    ssl.SSLContext(getattr(ssl, 'PROTOCOL_TLSv1'))",
    CLIENT + "setattr(context, name, 1)",
    "texts = ['a'] or ssl.create_default_context()",
    CLIENT + "context.set_ciphers('DEFAULT:@SECLEVEL=2')",
    CLIENT + "context.load_verify_locations('ca.pem', None)",
    CLIENT + "context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)",
    CLIENT + "context.wrap_bio(*buffers)",
    CLIENT + "context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), **options)",
    CLIENT + "context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)",
    "context = ssl.create_default_context()\nfor context in others:\n    context.anything = 1",
    "if 'commonName' == name:\n    pass",
    "ssl.RAND_bytes(16)",
    "try:\n    pass\nexcept ssl.SSLError as error:\n    'CERTIFICATE_VERIFY_FAILED' in str(error)",
    "try:\n    pass\nexcept OSError as error:\n    str(error) == 'anything'",
)
"""Programs in which nothing differs, or of which that cannot be told."""
