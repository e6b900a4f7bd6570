"""Rules 7, 10 and 19: loops that end before, at and after the block boundaries of a backend."""

from collections.abc import Callable
from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.comparing import assert_agrees, assert_slope_agrees, expected_of
from polyrnn_conformance.harness import Harness
from polyrnn_conformance.rows import Check
from polyrnn_conformance.steps import Step
from polyrnn_conformance.subject import Subject

USUAL_SIZES = (16, 32, 128, 256)
"""Block sizes that are tested in modes that call each step, if the harness names none."""


def fading_sum(xp: Any, factor: Any) -> Step:
    """Add up the inputs with decreasing weights, so that the result depends on their order.

    The second state, of rank 0, counts the inputs that are not NaN, masked or not.
    """

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] * factor + x
        numbers = xp.sum(xp.where(x == x, factor * 0 + 1, factor * 0))
        return total + x, [total, states[1] + numbers]

    return step


def lengths_of_time(harness: Harness, mode: str) -> list[int]:
    """Return numbers of time steps around the block sizes of a mode."""
    sizes = harness.block_sizes.get(mode, ())
    if harness.step_calls(mode) == "each":
        sizes = sizes or USUAL_SIZES
        return sorted({time for n in sizes for time in (n - 1, n, n + 1, 2 * n + 1) if time})
    # In a mode that traces the step, each number of time steps may take seconds.
    return sorted({2 * n + 1 for n in sizes})


def _walks(**changes: Any) -> Callable[[Subject, str], None]:
    is_masked = changes.pop("masked", "")

    def check(subject: Subject, mode: str) -> None:
        wide = "float64" if "float64" in subject.harness.dtypes else "float32"
        for time in lengths_of_time(subject.harness, mode):
            mask = _gaps(time) if is_masked == "mask" else None
            lengths = np.array([max(0, time - 2), time]) if is_masked == "lengths" else None
            x = wave(2, time, 1)
            if is_masked:
                valid = (
                    np.arange(time) < np.array([[max(0, time - 2)], [time]])
                    if mask is None
                    else mask
                )
                x[~valid] = np.nan
            call = Call(
                step=fading_sum,
                weights=(np.asarray(0.75),),
                inputs=x,
                initial_states=[wave(2, 1, phase=1), np.asarray(0.0)],
                mask=mask,
                input_length=lengths,
                **changes,
            ).in_dtype(wide)
            assert_agrees(subject.run(call, mode), expected_of(call))
            if "gradients" not in subject.harness.limitations:
                assert_slope_agrees(call, subject.gradients(call, mode))

    return check


def _gaps(time: int) -> Any:
    # Some gaps are longer than the smallest block.
    steps = np.arange(time)
    return np.stack([steps % 3 != 1, (steps % 50 < 9) | (steps % 7 == 100)])


def _row(name: str, title: str, *, every_mode: bool = True, **changes: Any) -> Check:
    return Check(
        name=f"blocks-{name}",
        rules=(7, 10, 19),
        title=title,
        check=_walks(**changes),
        every_mode=every_mode,
    )


ROWS = (
    _row("plain", "A walk may end anywhere in a block.", every_mode=False),
    _row(
        "masked",
        "Masked outputs repeat across the ends of blocks.",
        every_mode=False,
        masked="mask",
    ),
    _row(
        "masked-backwards",
        "Backwards, blocks and the steps within them are in the order of the loop.",
        masked="mask",
        go_backwards=True,
    ),
    _row(
        "last-only-backwards",
        "Backwards, with only the last output, gradients flow through every block.",
        go_backwards=True,
        return_all_outputs=False,
    ),
    _row(
        "lengths-last-only",
        "Lengths work across blocks, with only the last output.",
        masked="lengths",
        return_all_outputs=False,
        zero_output_for_mask=True,
    ),
    _row(
        "lengths-backwards",
        "Backwards, lengths stay with their time steps in every block.",
        every_mode=False,
        masked="lengths",
        go_backwards=True,
    ),
)
