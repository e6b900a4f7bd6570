"""Test that random calls agree with the reference, in every mode."""

from hypothesis import HealthCheck, given, seed, settings

from polyrnn_conformance.comparing import assert_agrees, expected_of
from polyrnn_conformance.plugin import RandomBatch
from polyrnn_conformance.random_calls import RandomCall, random_calls
from polyrnn_conformance.subject import Subject


def test_random_calls(subject: Subject, random_batch: RandomBatch) -> None:
    """Compare the results of some random calls; each run draws the same calls."""
    mode = random_batch.mode
    harness = subject.harness
    unrolls, borrows = mode not in harness.unknown_shape_modes, mode == harness.modes[0]

    @seed(random_batch.start)
    @settings(
        max_examples=random_batch.size,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(random_calls(harness.dtypes, unrolls=unrolls, borrows=borrows))
    def agrees(drawn: RandomCall) -> None:
        call = drawn.call()
        assert_agrees(subject.run(call, mode), expected_of(call))

    agrees()
