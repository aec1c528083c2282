"""Where a context's certificates, keys, trust and CRLs come from, and how they renew themselves.

`SSLContext.follow` takes a `Source`, an object with three members; one for a secret store of one's own is
some fifty lines. `FileSource` is one for files, `SPIFFESource` one for a SPIFFE Workload API.
"""

from __future__ import annotations

from veritls.sources.files import FileSource as FileSource
from veritls.sources.source import Identity as Identity, Kind as Kind, Material as Material, Source as Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from veritls.sources.spiffe import SPIFFESource as SPIFFESource

__all__ = [
    "FileSource",
    "Identity",
    "Kind",
    "Material",
    "SPIFFESource",
    "Source",
]


def __getattr__(name: str) -> object:
    if name != "SPIFFESource":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from veritls.sources.spiffe import SPIFFESource

    globals()[name] = SPIFFESource
    return SPIFFESource
