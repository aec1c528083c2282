"""The one place where a report goes by the text of another library's error: how a certificate is damaged."""

from __future__ import annotations

from collections.abc import Callable

import cryptography
import pytest
from cryptography import x509

from tests.support.certificates import Party

LIBRARY = f"cryptography {cryptography.__version__}"
ADVICE = f"{LIBRARY} has another text for this: look for it in `_damage` of explanations/rules.py, too"


@pytest.mark.parametrize(
    ("change", "word"), [(lambda der: der[:-10], "ShortData"), (lambda der: der + b"\0", "ExtraData")]
)
def test_cryptography_says_how_a_certificate_is_damaged(change: Callable[[bytes], bytes], word: str) -> None:
    with pytest.raises(ValueError) as error:
        x509.load_der_x509_certificate(change(Party("server").der))
    assert word in str(error.value), ADVICE
