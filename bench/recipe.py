"""What a connection of a measurement is made with, the same for every contestant."""

from dataclasses import asdict, dataclass
from typing import Any, Self

SERVER_NAME = "localhost"
TLS12, TLS13 = "TLSv1.2", "TLSv1.3"
AES256 = "AES-256-GCM"


@dataclass(frozen=True)
class Recipe:
    """Travels to the processes as JSON. Paths are those of PEM files."""

    version: str
    ca: str
    server: str
    """The server's chain and key."""
    client: str | None = None
    """The client's; where there is one, the server requires it."""
    shows_certificate: bool = True
    """False: the client keeps its certificate to itself, to see whether the server minds."""
    suite: str | None = None
    """AES256, or what the contestant prefers."""
    hosts: str | None = None
    """A folder of `host_count` servers' chains, for `sni_callback` to choose from."""
    host_count: int = 0
    check: str | None = None
    """The name of an optional check of checks.py, and the file that it needs."""
    check_file: str | None = None
    timeout: float | None = None
    """Seconds; None: sockets that block."""

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        return cls(**fields)

    def fields(self) -> dict[str, Any]:
        return asdict(self)

    def host(self, number: int) -> str:
        """The name that the client asks for in its connection `number`."""
        return host_name(number % self.host_count) if self.hosts else SERVER_NAME


def is_aes256(suite: str) -> bool:
    """Whether a suite, in OpenSSL's or the standard's spelling, encrypts with AES-256."""
    return "AES_256" in suite or "AES256" in suite


def host_name(number: int) -> str:
    return f"h{number}.bench.example"
