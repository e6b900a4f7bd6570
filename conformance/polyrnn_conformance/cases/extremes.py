"""Rules 11, 14, 15 and 17: extreme values of dtypes."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, array_of, wave
from polyrnn_conformance.comparing import DisagreementError, assert_agrees, expected_of
from polyrnn_conformance.rows import Case, Check, ErrorCase
from polyrnn_conformance.steps import Step, count_and_echo, running_sum
from polyrnn_conformance.subject import Subject
from polyrnn_conformance.trees import Host

X, S = wave(3, 4, 2), wave(3, 2, phase=1)
MASK = np.array(
    [[True, True, False, False], [False, True, False, True], [False, False, False, False]]
)


def _lengths(dtype: str, time: int, lengths: list[int]) -> Case:
    return Case(
        name=f"lengths-tensor-{dtype}",
        rules=(15, 17),
        title=f"Lengths of {dtype} count steps that {dtype} need not hold.",
        call=Call(
            step=count_and_echo,
            inputs=wave(2, time, 1),
            initial_states=[wave(2, 1)],
            input_length=np.array(lengths, dtype),
        ),
    )


def _mask(name: str, title: str, value: Any, dtype: str) -> Case:
    mask = np.zeros(MASK.shape, dtype)
    mask[MASK] = value
    return Case(
        name=f"mask-tensor-{name}",
        rules=(11,),
        title=title,
        call=Call(step=count_and_echo, inputs=X, initial_states=[S], mask=mask),
    )


def _counts_reciprocals(xp: Any) -> Step:
    """Add up in a counter states and reciprocals of inputs, of masked steps too."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        state, counter = states
        return state + x, [state + x, counter + xp.sum(1 / x) + xp.sum(state)]

    return step


def _all_masked(dtype: str, **changes: Any) -> Case:
    flags = "".join(f"-{flag}" for flag in changes)
    return Case(
        name=f"padding-of-all-is-ones-{dtype}{flags}".replace("_", "-"),
        rules=(13, 14),
        title=f"Where no sample has a valid step the step is given ones of {dtype}.",
        call=Call(
            step=_counts_reciprocals,
            inputs=array_of(np.full((2, 3, 2), np.nan), dtype),
            initial_states=[array_of(wave(2, 2), dtype), array_of(0.5, dtype)],
            mask=np.zeros((2, 3), bool),
            **changes,
        ),
    )


ROWS = (
    _lengths("int8", 130, [127, 100]),
    _lengths("uint8", 258, [255, 130]),
    _lengths("int32", 5, [5, 0]),
    _lengths("int64", 5, [5, 2]),
    _mask("imaginary", "An imaginary number in a mask is true.", 1j, "complex64"),
    _mask("imaginary-wide", "An imaginary number in a mask is true.", -2j, "complex128"),
    _mask("nan", "NaN in a mask is true.", np.nan, "float32"),
    _mask("infinite", "Infinity in a mask is true.", -np.inf, "float32"),
    _mask("fraction", "A fraction in a mask is true.", 0.25, "float32"),
    _mask("negative", "A negative number in a mask is true.", -1, "int8"),
    _mask("small", "The smallest numbers in a mask are true.", 1e-37, "float32"),
    _mask("small-half", "The smallest numbers in a mask are true.", 1e-4, "float16"),
    _mask("last-bits", "A multiple of 256 in a mask is true.", 256, "int32"),
    _mask("high-bits", "A number in a mask that exceeds 32 bits is true.", 2**33, "int64"),
    *map(_all_masked, ("float16", "bfloat16", "float32", "float64", "complex64")),
    _all_masked("bfloat16", go_backwards=True),
    _all_masked("complex64", unroll=True),
)


def _refuses_true(name: str, lengths: Any) -> ErrorCase:
    return ErrorCase(
        name=f"refuses-lengths-{name}",
        rules=(15,),
        title="True is not a length, even if there is only one time step.",
        error=ValueError,
        text=f"input_length: expected integers, got {'bool' if lengths is True else 'dtype bool'}",
        call=Call(
            step=running_sum,
            inputs=wave(2, 1, 3),
            initial_states=[wave(2, 3)],
            input_length=Host(lengths),
        ),
    )


ERRORS = (
    _refuses_true("true-for-one-step", True),
    _refuses_true("numpy-true-for-one-step", np.True_),
    _refuses_true("trues-for-one-step", [True, True]),
)


def _beyond_32_bits(dtype: str, lengths: list[int]) -> Check:
    clipped = [min(max(length, 0), 4) for length in lengths]
    call = Call(step=count_and_echo, inputs=X, initial_states=[S])

    def check(subject: Subject, mode: str) -> None:
        given = Call(
            step=call.step, inputs=X, initial_states=[S], input_length=np.array(lengths, dtype)
        )
        wanted = Call(step=call.step, inputs=X, initial_states=[S], input_length=np.array(clipped))
        if dtype not in subject.harness.dtypes:
            return
        try:
            result = subject.run(given, mode)
        except ValueError as error:
            # Lengths on the host are checked.
            if "expected 0 to 4, got " not in str(error):
                raise DisagreementError(f"{lengths}: {error}") from error
            return
        assert_agrees(result, expected_of(wanted))

    return Check(
        name=f"lengths-beyond-32-bits{'-negative' * (min(lengths) < 0)}",
        rules=(15, 17),
        title="Lengths that exceed 32 bits do not wrap around.",
        check=check,
        every_mode=True,
    )


def _named_by_who_said_it(subject: Subject, mode: str) -> None:
    """Check that the error names the first leaf whose batch size is known."""
    call = Call(
        step=_first_leaf,
        inputs=[wave(2, 4, 3), Host(wave(2, 4, 3)), Host(wave(3, 4, 3))],
        initial_states=[wave(2, 3)],
    )
    said_by = 1 if mode in subject.harness.unknown_shape_modes else 0
    text = f"inputs[2]: expected batch 2 as in inputs[{said_by}], got 3 in shape (3, 4, 3)"
    try:
        subject.run(call, mode)
    except Exception as error:
        if text not in str(error):
            raise DisagreementError(f"got {error}, expected {text}") from error
        return
    raise DisagreementError("leaves of different batches were taken")


def _first_leaf(xp: Any) -> Step:
    return lambda x, states: (x[0], states)


CHECKS = (
    _beyond_32_bits("int64", [2**32 + 1, 2, 2**40]),
    _beyond_32_bits("int64", [-(2**32) + 2, 2, 4]),
    Check(
        name="sizes-name-the-leaf-that-said-them",
        rules=(1, 18),
        title="The error names the leaf whose size was expected.",
        check=_named_by_who_said_it,
        every_mode=True,
    ),
)
