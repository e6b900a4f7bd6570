"""Makes the rows of calls that raise an error, or may."""

from collections.abc import Callable
from typing import Any

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.comparing import DisagreementError, assert_agrees, expected_of
from polyrnn_conformance.rows import ErrorCase
from polyrnn_conformance.steps import running_sum
from polyrnn_conformance.subject import Subject

X, S = wave(2, 4, 3), wave(2, 3)


def refused(
    name: str,
    rules: tuple[int, ...],
    title: str,
    text: str,
    error: type[Exception] = ValueError,
    *,
    drift: str = "",
    by_the_step: bool = False,
    by_values: bool = False,
    every_mode: bool = True,
    **changes: Any,
) -> ErrorCase:
    """Return the row of a call that raises an error.

    Args:
        name: The name of the row, without its prefix.
        rules: As for `ErrorCase`, like all that follow but `changes`.
        title: The title.
        text: The text of the error.
        error: The type of the error.
        drift: The departure of another implementation.
        by_the_step: Whether the fault is what the step returns.
        by_values: Whether the fault is what a NumPy array holds.
        every_mode: Whether the row runs in every mode.
        **changes: The arguments of the call that are not those of a plain running sum.
    """
    arguments = {"step": running_sum, "inputs": X, "initial_states": [S], **changes}
    return ErrorCase(
        name=f"refuses-{name}",
        rules=rules,
        title=title,
        text=text,
        error=error,
        drift=drift,
        by_the_step=by_the_step,
        by_values=by_values,
        every_mode=every_mode,
        call=Call(**arguments),
    )


def right_or_refused(
    call: Call, text: str, compare_gradients: Callable[[Call, Any], None]
) -> Callable[[Subject, str], None]:
    """Return a check that a call gives the right result, or an error with a text.

    Args:
        call: The call.
        text: A part of the text of the error; empty if the call may not raise one.
        compare_gradients: Compares the gradients of the call with those of the reference.
    """

    def check(subject: Subject, mode: str) -> None:
        if call.unroll and mode in subject.harness.unknown_shape_modes:
            return  # unrolling raises an error if the time is unknown
        try:
            result = subject.run(call, mode)
        except Exception as error:
            if not text or text not in str(error):
                raise DisagreementError(f"got {error}, expected {text or 'no error'}") from error
            return
        assert_agrees(result, expected_of(call))
        if "gradients" not in subject.harness.limitations:
            widest = "float64" if "float64" in subject.harness.dtypes else "float32"
            wide = call.in_dtype(widest)
            compare_gradients(wide, subject.gradients(wide, mode))

    return check
