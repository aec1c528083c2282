"""The certificates that the measurements use: P-256, one authority, a server and a client."""

from dataclasses import dataclass
from pathlib import Path

from veritls.cli.certificates import Authority

SERVER_NAME = "localhost"


@dataclass(frozen=True)
class Files:
    """PEM files: the authority's certificate, and certificate with key of each party."""

    authority: Path
    server: Path
    client: Path


def make(folder: Path) -> Files:
    """Makes them, in `folder`."""
    authority = Authority("bench", folder)
    path = folder / "authority.pem"
    path.write_text(authority.pem)
    return Files(path, *(authority.issue(party, SERVER_NAME).path for party in ("server", "client")))
