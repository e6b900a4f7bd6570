"""Test that the suite rejects faults planted around `rnn`, in its arguments or results."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import optree
import pytest
from mutation import Mutant, assert_accepted, assert_rejected, calling

import polyrnn

SUITE = ("test_cases", "test_errors", "test_checks")


def lengths_as_if_the_longest_filled_the_axis(
    call: Any, *, inputs: Any, input_length: Any, go_backwards: bool, **_: Any
) -> Any:
    if not go_backwards or input_length is None:
        return call()
    return call(input_length=input_length + inputs.shape[1] - np.max(input_length))


def steps_as_many_as_samples(call: Any, *, inputs: Any, time_major: bool, **_: Any) -> Any:
    if time_major and isinstance(inputs, np.ndarray):
        return call(inputs=inputs[: inputs.shape[1]])
    return call()


def only_the_outputs_are_zeroed(call: Any, **_: Any) -> Any:
    _, outputs, states = call()
    return call(zero_output_for_mask=False)[0], outputs, states


def outputs_of_time_first(call: Any, *, time_major: bool, **_: Any) -> Any:
    last, outputs, states = call()
    if time_major:
        return last, outputs, states
    return last, optree.tree_map(lambda y: np.swapaxes(y, 0, 1), outputs), states


def last_output_of_the_other_end(call: Any, *, time_major: bool, **_: Any) -> Any:
    _, outputs, states = call()
    first = optree.tree_map(lambda y: y[0] if time_major or y.ndim == 1 else y[:, 0], outputs)
    return first, outputs, states


def last_output_for_outputs(call: Any, **_: Any) -> Any:
    last, _, states = call()
    return last, last, states


def values_under_other_keys(call: Any, **_: Any) -> Any:
    last, outputs, states = call()
    if isinstance(outputs, dict):
        outputs = dict(zip(outputs, reversed(outputs.values()), strict=True))
    return last, outputs, states


CALLS: list[tuple[str, str, Callable[..., Any]]] = [
    (
        "Constants are dropped.",
        "constants",
        lambda call, **_: call(constants=None),
    ),
    (
        "Constants are passed in reverse order.",
        "constants",
        lambda call, constants, **_: call(constants=constants and constants[::-1]),
    ),
    (
        "A bare tensor of states is unstacked along its batch axis.",
        "states-bare-tensor",
        lambda call, initial_states, **_: call(
            initial_states=[*initial_states]
            if isinstance(initial_states, np.ndarray)
            else initial_states
        ),
    ),
    (
        "A tuple of states is one state.",
        "states-tuple",
        lambda call, initial_states, **_: call(
            initial_states=[initial_states] if isinstance(initial_states, tuple) else initial_states
        ),
    ),
    (
        "Lengths are ignored when unrolled.",
        "lengths-unrolled",
        lambda call, unroll, input_length, **_: call(input_length=None if unroll else input_length),
    ),
    (
        "Lengths take precedence over a mask.",
        "lengths-beside-mask",
        lambda call, mask, input_length, **_: call(mask=mask if input_length is None else None),
    ),
    (
        "Backwards, the longest sample is assumed to fill the time axis.",
        "lengths-backwards",
        lengths_as_if_the_longest_filled_the_axis,
    ),
    (
        "zero_output_for_mask is ignored.",
        "zero-output",
        lambda call, **_: call(zero_output_for_mask=False),
    ),
    (
        "zero_output_for_mask is ignored when unrolled.",
        "zero-output-unrolled",
        lambda call, unroll, zero_output_for_mask, **_: call(
            zero_output_for_mask=zero_output_for_mask and not unroll
        ),
    ),
    (
        "zero_output_for_mask leaves the last output as it was.",
        "zero-output",
        only_the_outputs_are_zeroed,
    ),
    (
        "return_all_outputs=False is ignored.",
        "outputs-last-only",
        lambda call, **_: call(return_all_outputs=True),
    ),
    (
        "go_backwards is ignored.",
        "backwards",
        lambda call, **_: call(go_backwards=False),
    ),
    (
        "time_major is ignored.",
        "layout-time-major",
        lambda call, **_: call(time_major=False),
    ),
    (
        "With time_major the number of steps is the batch size.",
        "layout-time-major-nested",
        steps_as_many_as_samples,
    ),
    (
        "The mask is ignored.",
        "mask-bool",
        lambda call, **_: call(mask=None),
    ),
    (
        "A mask with features is accepted, and its first feature used.",
        "refuses-mask-with-features",
        lambda call, mask, **_: call(
            mask=mask[..., :1] if isinstance(mask, np.ndarray) and mask.ndim == 3 else mask
        ),
    ),
    (
        "Any value is accepted as a flag.",
        "refuses-number-for-flag",
        lambda call, go_backwards, **_: call(go_backwards=bool(go_backwards)),
    ),
    (
        "The environment takes precedence over the context.",
        "choice-by-context",
        lambda call, backend, **_: call(backend=backend or os.environ.get("POLYRNN_BACKEND")),
    ),
    ("Outputs have time first.", "inputs-tensor", outputs_of_time_first),
    (
        "The last output is that of the other end of the loop.",
        "inputs-tensor",
        last_output_of_the_other_end,
    ),
    ("Outputs are only the last one.", "inputs-tensor", last_output_for_outputs),
    ("The values of a dict are exchanged.", "outputs-nested", values_under_other_keys),
    (
        "The last output and the outputs are exchanged.",
        "inputs-tensor",
        lambda call, **_: (lambda last, outputs, states: (outputs, last, states))(*call()),
    ),
    (
        "New states are returned as a tuple.",
        "inputs-tensor",
        lambda call, **_: (*(results := call())[:2], tuple(results[2])),
    ),
    (
        "The initial states are returned as new states.",
        "inputs-tensor",
        lambda call, initial_states, **_: (*call()[:2], initial_states),
    ),
]

MUTANTS = [Mutant(fault, row, polyrnn, "rnn", calling(change)) for fault, row, change in CALLS]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault)
def test_a_fault_is_rejected(mutant: Mutant) -> None:
    assert_rejected("numpy", *SUITE, mutant=mutant)


def test_no_fault_passes() -> None:
    assert_accepted("numpy", *SUITE, mutants=MUTANTS)
