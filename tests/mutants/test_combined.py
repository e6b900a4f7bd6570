"""Test that the suite rejects faults that need several options, many steps or extreme values."""

import os
from collections.abc import Iterator
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mutation import Mutant, assert_accepted, assert_rejected, calling

import polyrnn
import polyrnn_numpy.backend
from polyrnn_numpy.backend import BLOCK, NumpyBackend

COMBINATIONS = "test_combinations"
SUITE = ("test_cases", "test_errors", "test_checks")

EAGER = "eager"
"""The name that `mutation` uses for the row of a batch of combinations in eager mode."""


def zeroed_by_the_mask_of_the_other_end(
    call: Any, *, mask: Any, go_backwards: bool, return_all_outputs: bool, **given: Any
) -> Any:
    zeroes = given["zero_output_for_mask"] and not given["time_major"]
    if not zeroes or not go_backwards or return_all_outputs or not isinstance(mask, np.ndarray):
        return call()
    return _zeroed(call, mask)


def _zeroed(call: Any, mask: Any) -> Any:
    last, outputs, states = call(zero_output_for_mask=False)
    if isinstance(last, np.ndarray):
        valid = (mask.reshape(mask.shape[:2]) != 0)[:, -1]
        last = np.where(valid.reshape(-1, *[1] * (last.ndim - 1)), last, 0).astype(last.dtype)
    return last, outputs, states


def one_leaf_bare(call: Any, *, step_function: Any, inputs: Any, **_: Any) -> Any:
    if not (isinstance(inputs, list) and len(inputs) == 1):
        return call()
    return call(step_function=lambda x, states: step_function(x[0], states))


def constants_for_all_steps(call: Any, *, step_function: Any, constants: Any, **_: Any) -> Any:
    if not isinstance(constants, list):
        return call()

    def step(x: Any, states: list[Any]) -> Any:
        return step_function(x, [*states[: len(states) - len(constants)], *constants])

    return call(step_function=step)


def true_for_one_step(call: Any, *, inputs: Any, input_length: Any, **_: Any) -> Any:
    return call(input_length=None if input_length is True else input_length)


def any_spelling_of_a_name(call: Any, *, backend: Any, **_: Any) -> Any:
    return call(backend=backend or os.environ.get("POLYRNN_BACKEND", "").strip().lower() or None)


def zeros_for_what_numpy_does_not_call_a_float(right: Any) -> Any:
    def ones_like(x: Any) -> Any:
        return np.ones_like(x) if x.dtype.kind == "f" else np.zeros_like(x)

    return SimpleNamespace(**vars(right) | {"ones_like": ones_like})


def in_the_dtype_of_the_lengths(right: Any) -> Any:
    def length_mask(backend: Any, lengths: Any, like: Any) -> Any:
        steps = np.arange(len(like)).astype(np.asarray(lengths).dtype)
        return np.broadcast_to(steps[:, None] < lengths, like.shape[:2])

    return length_mask


def references_kept(right: Any) -> Any:
    def loop(backend: Any, body: Any, carry: Any, xs: Any, *, reverse: bool, unroll: bool) -> Any:
        collected: list[Any] = []

        def keeping(carry: Any, slices: Any) -> Any:
            carry, outputs = body(carry, slices)
            collected.append(outputs)
            return carry, outputs

        carry, _ = right(backend, keeping, carry, xs, reverse=reverse, unroll=unroll)
        return carry, [np.stack(leaf) for leaf in zip(*collected, strict=True)]

    return loop


def blocks_forward(right: Any) -> Any:
    def steps(x: Any, reverse: bool) -> Iterator[Any]:
        for start in range(0, len(x), BLOCK):
            if isinstance(x, np.ndarray):
                yield from right(x[start : start + BLOCK], reverse)
        if not isinstance(x, np.ndarray):
            yield from right(x, reverse)

    return steps


FAULTS: list[tuple[str, str, Any, str, Any]] = [
    (
        "Backwards, a single last output is zeroed by the mask of the other end.",
        "zero-output-last-only-backwards",
        polyrnn,
        "rnn",
        calling(zeroed_by_the_mask_of_the_other_end),
    ),
    (
        "A list of one input is passed to the step as its tensor.",
        EAGER,
        polyrnn,
        "rnn",
        calling(one_leaf_bare),
    ),
    (
        "All steps share the containers of the constants.",
        "containers-emptied-constants-nested",
        polyrnn,
        "rnn",
        calling(constants_for_all_steps),
    ),
    (
        "True is accepted as a length if there is one step.",
        "refuses-lengths-true-for-one-step",
        polyrnn,
        "rnn",
        calling(true_for_one_step),
    ),
    (
        "A name in the environment is matched inexactly.",
        "refuses-inexact-name",
        polyrnn,
        "rnn",
        calling(any_spelling_of_a_name),
    ),
    (
        "Padding of bfloat16 becomes zeros if everything is masked.",
        "padding-of-all-is-ones-bfloat16",
        NumpyBackend,
        "namespace",
        zeros_for_what_numpy_does_not_call_a_float,
    ),
    (
        "Steps are counted in the dtype of the lengths.",
        "contract-length-mask",
        NumpyBackend,
        "length_mask",
        in_the_dtype_of_the_lengths,
    ),
    (
        "An imaginary mask is false.",
        "mask-tensor-imaginary",
        NumpyBackend,
        "nonzero",
        lambda right: lambda backend, x: x.real != 0,
    ),
    (
        "Outputs are not copied.",
        "late-output-buffer",
        NumpyBackend,
        "loop",
        references_kept,
    ),
    (
        "Backwards, blocks are in forward order.",
        "blocks-last-only-backwards",
        polyrnn_numpy.backend,
        "_steps",
        blocks_forward,
    ),
    (
        "Dtypes are checked at the first step only.",
        "late-state-of-other-dtype",
        NumpyBackend,
        "tensor_key",
        lambda right: property(lambda backend: attrgetter("__class__", "shape")),
    ),
    (
        "Backwards, a masked step is given the first valid input in time order.",
        "pairs-occur-right",
        NumpyBackend,
        "take_first",
        lambda right: lambda backend, mask, xs, reverse=False: right(backend, mask, xs),
    ),
]

MUTANTS = [Mutant(*fault) for fault in FAULTS]


def modules_for(mutant: Mutant) -> tuple[str, ...]:
    return (COMBINATIONS,) if mutant.rejected_by == EAGER else SUITE


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault)
def test_a_fault_is_rejected(mutant: Mutant) -> None:
    assert_rejected("numpy", *modules_for(mutant), mutant=mutant)


def test_no_fault_passes() -> None:
    assert_accepted("numpy", *SUITE, COMBINATIONS, mutants=MUTANTS)
