"""Test that invalid calls raise the same error, with the same text, on every backend."""

import pytest

from polyrnn import registry
from polyrnn_conformance.cases import ERROR_CASES
from polyrnn_conformance.rows import ErrorCase
from polyrnn_conformance.selecting import over
from polyrnn_conformance.subject import Subject


@over(ERROR_CASES)
def test_error(subject: Subject, row: ErrorCase, mode: str) -> None:
    """Check the error of one invalid call in one mode."""
    step_calls: list[int] = []
    with pytest.raises(row.error) as caught:
        subject.run(row.call, mode, step_calls)
    backends = ", ".join(registry.installed().names())
    text = row.text.replace("<backend>", subject.called).replace("<backends>", backends)
    if mode == subject.harness.modes[0]:
        assert type(caught.value) is row.error
        assert str(caught.value) == text
    else:
        # A compiler may wrap the error and add text to it.
        assert text in str(caught.value)
    if not row.by_the_step:
        assert step_calls == [], "the step was called before the arguments were refused"
