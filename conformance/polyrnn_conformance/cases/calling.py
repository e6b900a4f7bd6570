"""Rule 10: how often the step is called."""

from collections.abc import Callable
from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.comparing import DisagreementError
from polyrnn_conformance.rows import Check
from polyrnn_conformance.steps import running_sum
from polyrnn_conformance.subject import Subject

T_PLUS_ONE = "Keras 3 on tensorflow and torch, and tf_keras, call the step once more than T times."


def _call(time: int, **changes: Any) -> Call:
    return Call(step=running_sum, inputs=wave(2, time, 3), initial_states=[wave(2, 3)], **changes)


def _step_calls(subject: Subject, mode: str, time: int, **changes: Any) -> int:
    calls: list[int] = []
    subject.run(_call(time, **changes), mode, calls)
    return len(calls)


def _counts_steps(**changes: Any) -> Callable[[Subject, str], None]:
    """Return a check of the number of calls of the step, at two numbers of time steps."""

    def check(subject: Subject, mode: str) -> None:
        how = subject.harness.step_calls(mode)
        if how == "unrolled":
            return
        short, long = (_step_calls(subject, mode, time, **changes) for time in (4, 7))
        if how == "each" and (short, long) != (4, 7):
            raise DisagreementError(
                f"step calls: got {short} for 4 time steps and {long} for 7, expected 4 and 7"
            )
        if short != long and how == "traced":
            raise DisagreementError(
                f"step traces: got {short} for 4 time steps and {long} for 7, expected as many"
            )

    return check


def _unrolled_calls(subject: Subject, mode: str) -> None:
    if subject.harness.step_calls(mode) != "each":
        return
    count = _step_calls(subject, mode, 5, unroll=True)
    if count != 5:
        raise DisagreementError(f"step calls: got {count} for 5 unrolled time steps")


ROWS = (
    Check(
        name="step-calls",
        rules=(10,),
        title="An eager mode calls the step T times; a traced mode equally often for every T.",
        check=_counts_steps(),
        every_mode=True,
        drift=T_PLUS_ONE,
    ),
    Check(
        name="step-calls-masked",
        rules=(10, 18),
        title="A mask adds no calls of the step, and no value of a tensor is read.",
        check=_counts_steps(input_length=np.array([1, 2], "int32")),
        every_mode=True,
        drift=T_PLUS_ONE,
    ),
    Check(
        name="step-calls-last-only",
        rules=(6, 10),
        title="With return_all_outputs=False the step is called no more often than without.",
        check=_counts_steps(return_all_outputs=False, go_backwards=True),
        every_mode=True,
        drift=T_PLUS_ONE,
    ),
    Check(
        name="step-calls-unrolled",
        rules=(9, 10),
        title="An eager mode calls the step T times unrolled, too.",
        check=_unrolled_calls,
        every_mode=True,
    ),
)
