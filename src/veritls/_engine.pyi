from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict, final

from _typeshed import ReadableBuffer, WriteableBuffer

@final
class MemoryBIO:
    pending: int
    eof: bool
    def read(self, size: int = -1, /) -> bytes: ...
    def write(self, buf: ReadableBuffer) -> int: ...
    def write_eof(self) -> None: ...

@final
class Identity:
    chain: list[bytes]
    algorithm: str
    def completed(self, above: Sequence[bytes]) -> Identity: ...
    def __new__(cls, chain: Sequence[bytes], key: bytes) -> Identity: ...

@final
class TrustSet:
    def __new__(
        cls,
        certificates: Sequence[bytes],
        crls: Sequence[bytes],
        partial_chain: bool,
    ) -> TrustSet: ...
    def used(self) -> list[bytes]: ...

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
    request: bool
    require: bool
    validate: bool
    check_name: bool
    revocation: Literal["none", "leaf", "chain"]
    strict: bool

@final
class Settings:
    def __new__(
        cls, recipe: Recipe, identities: Sequence[Identity], trust: TrustSet, statistics: Statistics
    ) -> Settings: ...

@final
class Stream:
    established: bool
    peer_chain: list[bytes] | None
    verified_chain: list[bytes] | None
    validated: bool
    negotiated: tuple[int, int] | None
    group: int | None
    offered_suites: list[int]
    own_certificate: bytes | None
    resumed: bool
    session: Session
    alpn_protocol: bytes | None
    def __new__(
        cls,
        settings: Settings,
        server_name: str | None = None,
        bios: tuple[MemoryBIO, MemoryBIO] | None = None,
        session: Session | None = None,
        on_hello: Callable[[str | None], object] | None = None,
    ) -> Stream: ...
    def do_handshake(self, fd: int, timeout: float | None) -> None: ...
    def read(self, size: int, fd: int, timeout: float | None) -> bytes: ...
    def read_into(self, buffer: WriteableBuffer, size: int, fd: int, timeout: float | None) -> int: ...
    def write(self, data: ReadableBuffer, all: bool, fd: int, timeout: float | None) -> int: ...
    def write_file(self, file: int, offset: int, limit: int, fd: int, timeout: float | None) -> int: ...
    def pending(self) -> int: ...
    def close(self, wait_for_peer: bool, fd: int, timeout: float | None) -> bytes: ...

def set_translator(translator: Callable[[str, str, dict[str, Any]], BaseException]) -> None: ...
def system_certificates() -> tuple[list[bytes], list[str]]: ...
def is_server_name(name: str) -> bool: ...
def key_exchange_groups() -> list[int]: ...
def split_certificates(data: bytes) -> list[bytes]: ...
def names(der: bytes) -> tuple[bytes, bytes]: ...
def is_authority(der: bytes) -> bool: ...
