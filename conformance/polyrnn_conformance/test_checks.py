"""Test what takes more than one call: the number of step calls, choosing a backend, imports."""

from polyrnn_conformance.cases import CHECKS
from polyrnn_conformance.rows import Check
from polyrnn_conformance.selecting import over
from polyrnn_conformance.subject import Subject


@over(CHECKS)
def test_check(subject: Subject, row: Check, mode: str) -> None:
    """Run one check in one mode."""
    row.check(subject, mode)
