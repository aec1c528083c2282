"""What the engine tells by codes: the stub names all of them, and Python has words for each."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from veritls import peers
from veritls._explaining import diagnosis, engine_words, explanation, failures, verify_errors
from veritls._explaining.explanations import rules

ROOT = Path(__file__).parent.parent
STUB = ast.parse((ROOT / "src/veritls/_engine.pyi").read_text())
ENGINE = ROOT / "engine/src"


def literals(name: str) -> set[str]:
    """The strings of a Literal in the stub."""
    (found,) = (
        node.value
        for node in STUB.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and node.value is not None
    )
    return {str(each.value) for each in ast.walk(found) if isinstance(each, ast.Constant)}


def codes(file: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (ENGINE / file).read_text()))


@pytest.mark.parametrize(
    ("name", "file", "pattern"),
    [
        ("Kind", "verify/rejection.rs", r'\w+ = "(\w+)",'),
        ("FailureCode", "api/failure.rs", r'intern!\(py, "(\w+)"\)'),
        ("Thing", "error.rs", r'=> "(\w+)",'),
    ],
)
def test_the_stub_names_every_code(name: str, file: str, pattern: str) -> None:
    found = codes(file, pattern)
    assert found == literals(name)


def test_every_kind_of_refusal_has_openssls_number_and_words() -> None:
    assert literals("Kind") - {"name"} <= set(verify_errors.VERIFY_ERRORS)


def test_every_kind_of_refusal_is_explained_or_told_in_general_words() -> None:
    families = ("ocsp_", "strict_")  # explained as one
    told = {*explanation.EXPLANATIONS, *explanation.GENERAL, "other"}
    assert {kind for kind in literals("Kind") - told if not kind.startswith(families)} == set()


def test_only_what_is_damaged_or_departs_from_rfc_5280_gets_the_alert_of_an_encoding() -> None:
    source = (ENGINE / "tls/peer_verifier.rs").read_text()
    chosen = source.partition("pub fn error_of")[2].partition("\n}")[0]
    assert "_ =>" not in chosen
    last = chosen.partition("=> CertificateError::BadEncoding")[0].rpartition("=>")[2]
    kinds = set(re.findall(r"Kind::(\w+)", last.partition("}")[2]))
    irregular = codes("verify/rejection.rs", r'(Strict\w+) = "\w+",')
    assert kinds == {"Encoding"} | irregular


def test_everything_that_cannot_be_used_has_a_name() -> None:
    assert literals("Thing") == set(engine_words.THINGS)


def test_every_fault_of_a_pattern_has_words() -> None:
    assert literals("PatternFault") == set(peers._FAULTS)
    assert codes("verify/peer_policy.rs", r'(?:Err|or)\("(\w+)"\)') == set(peers._FAULTS)


def test_everything_that_two_sides_can_lack_in_common_has_a_reason() -> None:
    found = codes("tls/failure.rs", r'=> (?:\{\s+)?"(\w+)"') | codes(
        "tls/failure.rs", r'Incompatible\("(\w+)"\)'
    )
    proofs = {code for code in found if code.endswith("_proof")}
    assert found - proofs == set(failures._INCOMPATIBLE)
    assert len(proofs) == 3 and proofs <= set(engine_words._DETAILS)


def test_every_detail_of_webpkis_errors_is_one_that_an_explanation_goes_by() -> None:
    found = codes("verify/webpki_errors.rs", r'=> "(\w+)",')
    assert found == set(diagnosis._BY_DETAIL) | set(rules._LIMITS)


def test_every_failure_has_an_exception_of_its_own() -> None:
    source = (ROOT / "src/veritls/_explaining/failures.py").read_text()
    assert literals("FailureCode") - {"internal", "interrupted"} <= set(re.findall(r'case "(\w+)"', source))


def test_every_detail_of_an_ocsp_response_has_words() -> None:
    text = (ENGINE / "verify/ocsp.rs").read_text().partition("#[cfg(test)]")[0]
    told = set(re.findall(r'(?:invalid|OcspInvalid,|OcspSignature,|format!)\W+"(\w+)', text))
    told |= set(re.findall(r'= "(\w+)"\.to_owned\(\)', text))
    assert {"status", "not_authorized", "signer_revoked", "unreadable"} <= told
    for code in told:
        assert not re.fullmatch(r"\w+_\w+", engine_words.words(code)), code


def test_what_a_library_says_follows_the_words_of_the_code() -> None:
    assert engine_words.words("status: TryLater") == "the responder answered TryLater"
    assert engine_words.words("out_of_date") == "it is out of date"
    assert engine_words.words("unexpected: colon") == "unexpected: colon"
