"""Test that calls that cover all combinations of a few options agree with the reference."""

from collections.abc import Callable

from polyrnn_conformance.combinations import Row, call_of, printed
from polyrnn_conformance.comparing import (
    DisagreementError,
    assert_agrees,
    assert_slope_agrees,
    expected_of,
)
from polyrnn_conformance.plugin import CombinationBatch
from polyrnn_conformance.selecting import differentiating
from polyrnn_conformance.subject import Subject


def test_combinations(subject: Subject, combination_batch: CombinationBatch) -> None:
    """Compare the results of some combinations; the error names all that fail."""
    mode = combination_batch.mode
    borrows = mode == subject.harness.modes[0]

    def agrees(row: Row) -> None:
        call = call_of(row, borrows=borrows).call()
        assert_agrees(subject.run(call, mode), expected_of(call))

    _try_each(agrees, combination_batch)


@differentiating
def test_combinations_gradients(subject: Subject, combination_batch: CombinationBatch) -> None:
    """Compare the gradients of some combinations; the error names all that fail."""
    mode = combination_batch.mode

    def agrees(row: Row) -> None:
        call = call_of(row).call()
        assert_slope_agrees(call, subject.gradients(call, mode))

    _try_each(agrees, combination_batch)


def _try_each(agrees: Callable[[Row], None], batch: CombinationBatch) -> None:
    """Try all rows, then raise an error that lists those that failed."""
    failed: list[str] = []
    first: Exception | None = None
    for row in batch.rows:
        try:
            agrees(row)
        except Exception as error:
            failed.append(f"{printed(row)}: {type(error).__name__}: {error}")
            first = first or error
    if failed:
        report = "\n".join(failed)
        raise DisagreementError(f"{len(failed)} of {len(batch.rows)} fail:\n{report}") from first
