from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, NotRequired, TypeAlias, TypedDict, TypeVar, final

from _typeshed import ReadableBuffer, WriteableBuffer

VERSION: str
"""Of engine/Cargo.toml."""

@final
class MemoryBIO:
    pending: int
    eof: bool
    def read(self, size: int = -1, /) -> bytes: ...
    def write(self, buf: ReadableBuffer) -> int: ...
    def write_eof(self) -> None: ...

Held = TypeVar("Held")

@final
class Cell(Generic[Held]):
    def __new__(cls, value: Held) -> Cell[Held]: ...
    def get(self) -> Held: ...
    def replace(self, expected: Held, value: Held) -> bool: ...

@final
class File:
    regular: bool
    def __new__(cls, file: Any) -> File: ...

@final
class Identity:
    chain: list[bytes]
    algorithm: str
    def completed(self, above: Sequence[bytes]) -> Identity: ...
    def apart(self) -> Identity: ...
    def staple(self, response: bytes | None, until: int) -> None: ...
    def __new__(cls, chain: Sequence[bytes], key: bytes) -> Identity: ...

@final
class Crl:
    der: bytes
    issuer: bytes
    line: tuple[bytes | None, bytes | None]
    number: bytes | None
    period: tuple[int, int]
    signer: bytes | None
    def __new__(cls, der: bytes) -> Crl: ...
    def signed_by(self, issuer: bytes) -> bool: ...

@final
class TrustSet:
    anchors: int
    unread: list[str]
    by_trust_domain: bool
    trust_domain: str | None
    def __new__(
        cls,
        certificates: Sequence[bytes],
        crls: Sequence[Crl],
        partial_chain: bool,
        unread: Sequence[str] = (),
        intermediates: Sequence[bytes] = (),
        bundles: Mapping[str, Sequence[bytes]] | None = None,
    ) -> TrustSet: ...
    def fresh(self) -> TrustSet: ...
    def used(self) -> list[bytes]: ...
    def by_subject(self, subject: bytes) -> list[tuple[bytes, bool]]: ...
    def helps(self, der: bytes) -> bool: ...
    def listed(self, der: bytes) -> tuple[bool, int | None]: ...

@final
class FileStates:
    newest: int
    def __new__(cls, paths: Sequence[str]) -> FileStates: ...
    def unchanged(self) -> bool: ...

@final
class Session:
    has_ticket: bool

@final
class Statistics:
    def __new__(cls) -> Statistics: ...
    def read(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]: ...

class Recipe(TypedDict):
    server_side: bool
    tls12: bool
    tls13: bool
    alpn: Sequence[bytes]
    suites: Sequence[int]
    groups: Sequence[int]
    own_order: bool
    tickets: int | None
    keylog: str | None

class Demands(TypedDict):
    request: bool
    require: bool
    validate: bool
    check_name: bool
    revocation: Literal["none", "leaf", "chain"]
    accept_unknown: bool
    require_ocsp: bool
    strict: bool
    allowed: Sequence[Sequence[tuple[str, str]]]
    pinned: Sequence[Sequence[bytes]]
    verify_callback: bool
    reverify: bool
    max_resumption_age: int

Facts: TypeAlias = tuple[float | None, bool, int | None, int | None, int | None, str | None]

VerifyCallback: TypeAlias = Callable[[list[bytes], list[bytes] | None, int, bool], None]

@final
class TicketKeyring:
    def __new__(cls, period: int) -> TicketKeyring: ...
    def hold(self, secrets: Sequence[tuple[bytes, bytes | None, int, int]]) -> None: ...

@final
class Settings:
    fingerprint: bytes | None
    def __new__(
        cls,
        recipe: Recipe,
        demands: Demands,
        identities: Sequence[Identity],
        trust: TrustSet,
        statistics: Statistics,
        ticket_keys: TicketKeyring | bytes,
        policy_token: bytes,
    ) -> Settings: ...
    def verify(
        self,
        chain: Sequence[bytes],
        of_server: bool,
        name: str | None = None,
        at: int | None = None,
        ocsp_response: bytes | None = None,
        callback: VerifyCallback | None = None,
    ) -> None: ...

@final
class Stream:
    untouched: bool
    established: bool
    peer_chain: list[bytes] | None
    verified_chain: list[bytes] | None
    validated: bool
    negotiated: tuple[int, int] | None
    group: int | None
    signature_schemes: tuple[int | None, int | None]
    offered_suites: list[int]
    own_certificate: bytes | None
    certificate_request: tuple[list[bytes], int, bool] | None
    resumed: bool
    session: Session | None
    alpn_protocol: bytes | None
    def __new__(
        cls,
        settings: Settings,
        server_name: str | None = None,
        bios: tuple[MemoryBIO, MemoryBIO] | None = None,
        session: Session | None = None,
        on_hello: Callable[[str | None], object] | None = None,
        callback: VerifyCallback | None = None,
        fd: int | None = None,
    ) -> Stream: ...
    def do_handshake(self, timeout: float | None) -> None: ...
    def keep_certificate_request(self) -> None: ...
    def watch(self, on_completed: Callable[[], object]) -> None: ...
    def end(
        self, completed: bool, given_up: bool
    ) -> Literal["completed", "failed", "given_up", "refused_late"] | None: ...
    def facts(self) -> Facts: ...
    def read(self, size: int, timeout: float | None) -> bytes: ...
    def read_into(self, buffer: WriteableBuffer, size: int, timeout: float | None) -> int: ...
    def write(self, data: ReadableBuffer, all: bool, timeout: float | None) -> int: ...
    def write_file(self, file: Any, source: File, offset: int, limit: int, timeout: float | None) -> int: ...
    def pending(self) -> int: ...
    def at_hand(self) -> int: ...
    def cancel_callback(self) -> bool: ...
    def send_close_notify(self, timeout: float | None) -> None: ...
    def exchange_close_notify(self, timeout: float | None) -> bytes: ...
    def close_descriptor(
        self, close: Callable[[Any], None], detach: Callable[[Any], int], socket: Any
    ) -> None: ...
    def detach_descriptor(self, detach: Callable[[Any], int], socket: Any) -> int: ...
    def retire_descriptor(self) -> bool: ...
    def idle(self) -> bool: ...

@final
class EventLoopStream:
    def __new__(cls, stream: Stream, fd: int) -> EventLoopStream: ...
    def retire_descriptor(self) -> None: ...
    def feed(self, early: bytes) -> None: ...
    def handshake(self, readable: bool) -> bool: ...
    def read(self) -> bytes | None: ...
    def read_into(self, buffer: WriteableBuffer) -> int | None: ...
    def unread(self) -> bool: ...
    def close_notify_received(self) -> bool: ...
    def unsent_size(self) -> int: ...
    def write(self, data: ReadableBuffer) -> int | None: ...
    def send_file(self, source: File, offset: int, count: int) -> int | None: ...
    def flush(self) -> bool: ...
    def send_close_notify(self) -> bool: ...

FailureCode: TypeAlias = Literal[
    "want_read",
    "want_write",
    "timeout",
    "interrupted",
    "unexpected_eof",
    "closed",
    "hello_refused",
    "data_after_close",
    "bad_write_retry",
    "callback_running",
    "write_after_eof",
    "forked",
    "os",
    "alert_received",
    "no_peer_certificate",
    "certificate",
    "not_tls",
    "bad_record_mac",
    "incompatible",
    "protocol",
    "unusable",
    "key_mismatch",
    "no_memory",
    "internal",
]

Thing: TypeAlias = Literal[
    "allowed_peers",
    "certificate",
    "clock",
    "crl",
    "keylog",
    "name",
    "ocsp_response",
    "private_key",
    "protocols",
    "server_hostname",
    "trust_anchor",
]

Kind: TypeAlias = Literal[
    "expired",
    "not_yet_valid",
    "name",
    "unknown_issuer",
    "signature",
    "algorithm",
    "purpose",
    "key_usage",
    "ca_as_leaf",
    "leaf_as_ca",
    "path_length",
    "name_constraint",
    "no_explicit_policy",
    "too_complex",
    "critical_extension",
    "encoding",
    "other",
    "revoked",
    "revocation_unknown",
    "revocation_list_expired",
    "revocation_list_signature",
    "list_signer",
    "ocsp_missing",
    "ocsp_invalid",
    "ocsp_foreign",
    "ocsp_signature",
    "ocsp_expired",
    "ocsp_not_yet_valid",
    "ocsp_unknown",
    "ocsp_revoked",
    "spiffe_id",
    "trust_domain",
    "not_allowed",
    "not_pinned",
    "callback",
    "strict_algorithms_differ",
    "strict_authority_key",
    "strict_authority_key_critical",
    "strict_authority_key_incomplete",
    "strict_authority_key_mismatch",
    "strict_authority_key_missing",
    "strict_authority_serial_mismatch",
    "strict_ca_without_key_usage",
    "strict_constraints_not_critical",
    "strict_criticality",
    "strict_extension_invalid",
    "strict_extensions_need_v3",
    "strict_issuer_empty",
    "strict_key",
    "strict_key_usage_empty",
    "strict_list_number",
    "strict_name_constraint_form",
    "strict_name_constraints_empty",
    "strict_name_constraints_for_non_ca",
    "strict_name_form",
    "strict_names_empty",
    "strict_names_not_critical",
    "strict_path_length_for_non_ca",
    "strict_path_length_without_signing",
    "strict_serial_number",
    "strict_signing_for_non_ca",
    "strict_subject_empty",
    "strict_subject_key_critical",
    "strict_subject_key_missing",
]

PatternFault: TypeAlias = Literal["dns", "email", "kind", "network", "spiffe", "spiffe_stars", "uri"]

@final
class Rejection:
    kind: Kind
    detail: str
    time: int | None
    bound: int | None
    presented: list[str]
    left_out: int
    wanted: list[str]
    chain: list[bytes]
    path: list[bytes]
    purpose: Literal["server", "client"]
    server_hostname: str | None
    revocation: Literal["none", "leaf", "chain"]
    strict: bool
    allowed_peers: list[str] | None
    pinned_keys: list[str] | None
    ocsp: bool
    cause: BaseException | None
    trust: TrustSet | None

@final
class Failure:
    code: FailureCode
    detail: str
    errno: int
    alert: int
    start: bytes
    what: Thing | Literal[""]
    rejection: Rejection | None

RawName: TypeAlias = list[list[tuple[str, int, bytes]]]

class Contents(TypedDict):
    subject: RawName
    issuer: RawName
    version: int
    serial: bytes
    not_before: int
    not_after: int
    names: NotRequired[list[tuple[int, Any]] | None]
    ocsp: NotRequired[list[bytes]]
    ca_issuers: NotRequired[list[bytes]]
    crls: NotRequired[list[bytes]]

listeners: Cell[tuple[Any, ...]]

def pass_on(own: MemoryBIO, read: Callable[[], bytes], write: Callable[[bytes], int]) -> None: ...
def contents(der: bytes) -> Contents: ...
def is_private_key(der: bytes) -> bool: ...
def report_unraisable(error: BaseException, culprit: object) -> None: ...
def set_translator(translator: Callable[[Failure], BaseException]) -> None: ...
def check_ocsp_response(
    response: bytes, certificate: bytes, issuer: bytes | None = None
) -> tuple[int, int] | None: ...
def elements(der: bytes) -> int: ...
def alternative_names(der: bytes, most: int) -> tuple[list[str | None], int]: ...
def work_spent() -> int: ...
def is_signed_by(subject: bytes, issuer: bytes) -> bool: ...
def system_certificates() -> tuple[list[bytes], list[str], FileStates | None]: ...
def matcher_fault(kind: str, value: str) -> PatternFault | None: ...
def matches_certificate(kind: str, value: str, der: bytes) -> bool: ...
def matches_name(kind: str, value: str, name: str) -> bool: ...
def spiffe_id(der: bytes) -> str | None: ...
def is_server_name(name: str) -> bool: ...
def key_exchange_groups() -> list[int]: ...
def signature_schemes() -> list[int]: ...
def split_certificates(data: bytes) -> list[bytes]: ...
def names(der: bytes) -> tuple[bytes, bytes]: ...
def distinguished_name(der: bytes) -> RawName: ...
def has_odd_serial(der: bytes) -> bool: ...
def is_ca(der: bytes) -> bool: ...
