"""Test that gradients agree with those of the reference, in every mode."""

from polyrnn_conformance.cases import CASES
from polyrnn_conformance.comparing import assert_gradients_agree
from polyrnn_conformance.rows import Case
from polyrnn_conformance.selecting import over
from polyrnn_conformance.subject import Subject


@over((row for row in CASES if row.gradients), differentiates=True)
def test_gradients(subject: Subject, row: Case, mode: str) -> None:
    """Compare the gradients of one case in one mode with the reference."""
    widest = "float64" if "float64" in subject.harness.dtypes else "float32"
    call = row.call.in_dtype(widest)
    assert_gradients_agree(call, subject.gradients(call, mode))
