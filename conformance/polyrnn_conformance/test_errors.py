"""What is refused is refused in the same words on every backend."""

import pytest

from polyrnn import registry
from polyrnn_conformance.cases import ERROR_CASES
from polyrnn_conformance.rows import ErrorCase
from polyrnn_conformance.selecting import over
from polyrnn_conformance.subject import Subject


@over(ERROR_CASES)
def test_error(subject: Subject, row: ErrorCase, mode: str) -> None:
    """Run one call that is refused in one mode."""
    step_calls: list[int] = []
    with pytest.raises(row.error) as caught:
        subject.run(row.call, mode, step_calls)
    backends = ", ".join(registry.installed().names())
    text = row.text.replace("<backend>", subject.called).replace("<backends>", backends)
    if mode == subject.harness.modes[0]:
        assert type(caught.value) is row.error
        assert str(caught.value) == text
    else:
        # A compiler may put its own words round those of the error.
        assert text in str(caught.value)
    if not row.by_the_step:
        assert step_calls == [], "the step was called before the arguments were refused"
