"""Which folder of the engine calls which crate: rustls in tls, webpki in verify, `unsafe` in one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ENGINE = Path(__file__).parent.parent / "engine/src"


def code() -> Iterator[tuple[str, str]]:
    """The files of the engine without tests and comments, and without what the fuzz targets alone call."""
    for path in sorted(set(ENGINE.rglob("*.rs")) - set((ENGINE / "fuzzing").iterdir())):
        text = path.read_text().partition("#[cfg(test)]")[0]
        yield str(path.relative_to(ENGINE)), re.sub(r"//[^\n]*", "", text)


def callers(pattern: str) -> set[str]:
    return {file.partition("/")[0] for file, text in code() if re.search(pattern, text)}


def test_only_tls_calls_rustls() -> None:
    assert callers(r"\brustls::(?!pki_types\b)") == {"tls"}


def test_only_verify_calls_webpki() -> None:
    assert callers(r"\bwebpki::") == {"verify"}


def test_only_memory_is_unsafe() -> None:
    assert callers(r"\bunsafe\b") == {"memory.rs"}


def test_one_file_reads_certificates() -> None:
    readers = {file for file, text in code() if re.search(r"X509Certificate(Parser)?::(from_der|new)", text)}
    assert readers == {"verify/certificate.rs"}
