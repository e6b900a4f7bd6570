"""Test that a call with any values either works or raises a documented error."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import polyrnn

DOCUMENTED = (ValueError, TypeError, polyrnn.BackendNotInstalledError, polyrnn.BackendBrokenError)

SIZES = st.integers(0, 3)
DTYPES = st.sampled_from(["?", "i1", "u8", "f2", "f4", "f8", "c8", "O", "U2", "M8[s]", "i4,f4"])


def filled(dtype: str, shape: tuple[int, ...]) -> Any:
    return np.ones(shape).astype(dtype)


ARRAYS = st.builds(filled, DTYPES, st.lists(SIZES, max_size=4).map(tuple))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.just(object()),
    st.sampled_from([int, len, Ellipsis, NotImplemented, range(3), np.float32, np.dtype("f4")]),
    arrays.from_dtype(np.dtype("f4")),
)
KEYS = st.one_of(st.text(max_size=2), st.integers(), st.booleans(), st.none())
GARBAGE = st.recursive(
    st.one_of(ARRAYS, SCALARS),
    lambda parts: st.one_of(
        st.lists(parts, max_size=3),
        st.lists(parts, max_size=3).map(tuple),
        st.dictionaries(KEYS, parts, max_size=3),
        st.frozensets(st.integers(), max_size=2),
    ),
    max_leaves=6,
)

X = np.ones((2, 3, 4), np.float32)
H = np.zeros((2, 4), np.float32)
GOOD: dict[str, Any] = {"inputs": X, "initial_states": [H], "backend": "numpy"}

quietly = pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # overflows are expected
thoroughly = settings(max_examples=100, derandomize=True, deadline=None)


def call(step: Any, **arguments: Any) -> None:
    """Call `rnn`; allow only documented errors, and only with a text."""
    error = failure(lambda: polyrnn.rnn(step, **(GOOD | arguments)))
    assert error is None or str(error)


def failure(call: Callable[[], Any]) -> Exception | None:
    """Return the documented error that a call raises, or `None`."""
    try:
        call()
    except DOCUMENTED as error:
        return error
    return None


def keep(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    return x, states[: len(states)]


@quietly
@pytest.mark.parametrize(
    "argument",
    [
        "inputs",
        "initial_states",
        "constants",
        "mask",
        "input_length",
        "go_backwards",
        "unroll",
        "time_major",
        "zero_output_for_mask",
        "return_all_outputs",
        "backend",
    ],
)
@thoroughly
@given(value=GARBAGE)
def test_one_argument(argument: str, value: Any) -> None:
    call(keep, **{argument: value})


@quietly
@thoroughly
@given(value=GARBAGE)
def test_the_step_function(value: Any) -> None:
    error = failure(lambda: polyrnn.rnn(value, **GOOD))
    # A callable may raise its own errors for its arguments.
    assert callable(value) or str(error).startswith("step_function: expected a callable, got ")


@quietly
@thoroughly
@given(
    inputs=GARBAGE,
    initial_states=GARBAGE,
    constants=GARBAGE,
    mask=st.one_of(st.none(), GARBAGE),
    lengths=GARBAGE,
    flags=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_all_arguments(
    inputs: Any, initial_states: Any, constants: Any, mask: Any, lengths: Any, flags: list[bool]
) -> None:
    backwards, unroll, time_major, zeroed, everything = flags
    call(
        keep,
        inputs=inputs,
        initial_states=initial_states,
        constants=constants,
        mask=mask,
        input_length=lengths,
        go_backwards=backwards,
        unroll=unroll,
        time_major=time_major,
        zero_output_for_mask=zeroed,
        return_all_outputs=everything,
    )


@quietly
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("everything", [False, True])
@thoroughly
@given(outputs=st.lists(GARBAGE, min_size=3, max_size=3), state=GARBAGE)
def test_what_the_step_returns(
    masked: bool, everything: bool, outputs: list[Any], state: Any
) -> None:
    mask = np.ones((2, 3)) if masked else None
    for new in (state, [state], [H]):
        results = iter(outputs)
        call(
            lambda x, states, new=new, results=results: (next(results), new),
            mask=mask,
            return_all_outputs=everything,
        )


@quietly
@thoroughly
@given(result=GARBAGE)
def test_what_the_step_returns_instead_of_a_pair(result: Any) -> None:
    call(lambda x, states: result)


@thoroughly
@given(value=GARBAGE)
def test_namespace(value: Any) -> None:
    error = failure(lambda: polyrnn.namespace(value))
    assert error is None or str(error).startswith("x: expected a tensor of one of ")
