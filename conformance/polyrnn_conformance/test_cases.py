"""Test that every case agrees with the reference in every mode."""

import re

import pytest

from polyrnn_conformance.cases import CASES
from polyrnn_conformance.comparing import assert_agrees, expected_of
from polyrnn_conformance.rows import Case
from polyrnn_conformance.selecting import over
from polyrnn_conformance.subject import Subject

NOT_STATIC = re.compile("^unroll: expected a time axis of static length to unroll, got ")


@over(CASES)
def test_case(subject: Subject, row: Case, mode: str) -> None:
    """Compare the results of one case in one mode with the reference."""
    if row.call.unroll and mode in subject.harness.unknown_shape_modes:
        with pytest.raises(ValueError, match=NOT_STATIC):
            subject.run(row.call, mode)
    else:
        assert_agrees(subject.run(row.call, mode), expected_of(row.call))
