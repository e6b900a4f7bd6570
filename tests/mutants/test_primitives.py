"""Test that the suite rejects a backend with one wrong primitive."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mutation import Mutant, assert_accepted, assert_rejected
from wrong_loops import (
    forget_the_held_output,
    forget_to_turn_the_mask,
    go_on_too_long,
    hold_the_first_states,
    ignore_direction,
    ignore_direction_unrolled,
    looping,
    mask_nothing_unrolled,
    order_by_time,
    probe,
    probe_unrolled,
    return_the_first_states,
    stack_along_the_batch,
    start_anew_each_step,
    stop_early,
    swallow_errors,
    write_all_outputs_to_one_place,
)

from polyrnn_numpy.backend import NumpyBackend


def of_rank(rank: int, mutation: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a mutation of `select` that affects only tensors of one rank."""

    def mutate(select: Any) -> Any:
        def mutated(self: Any, mask: Any, on_true: Any, on_false: Any = None) -> Any:
            chosen = mutation if on_true.ndim == rank else select
            return chosen(self, mask, on_true, on_false)

        return mutated

    return mutate


def swapped(self: Any, mask: Any, on_true: Any, on_false: Any = None) -> Any:
    return RIGHT_SELECT(self, ~mask, on_true, on_false)


def multiplied(self: Any, mask: Any, on_true: Any, on_false: Any = None) -> Any:
    mask = mask.reshape(mask.shape + (1,) * (on_true.ndim - mask.ndim))
    other = 0 if on_false is None else on_false
    return (mask * on_true + ~mask * other).astype(on_true.dtype)


def broadcast(self: Any, mask: Any, on_true: Any, on_false: Any = None) -> Any:
    return np.where(mask[..., None], on_true, 0 if on_false is None else on_false)


def zeros_where_nothing_is_held(select: Any) -> Any:
    def mutated(self: Any, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        return on_true if on_false is None else select(self, mask, on_true, on_false)

    return mutated


def widening(select: Any) -> Any:
    def mutated(self: Any, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        return np.where(
            mask.reshape(mask.shape + (1,) * (on_true.ndim - mask.ndim)),
            on_true,
            0.0 * np.ones(1) if on_false is None else on_false,
        )

    return mutated


RIGHT_SELECT = NumpyBackend.select


def changed(nests: Any, **functions: Callable[..., Any]) -> Any:
    """Return nests with some functions replaced."""
    right = {name: getattr(nests, name) for name in ("flatten", "unflatten", "paths")}
    return SimpleNamespace(**right | functions)


def filling(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a mutation of `forward_fill` from a function whose first argument is the right one."""

    def mutate(right: Any) -> Any:
        return property(lambda self: lambda x, mask: change(right.fget(self), x, mask))

    return mutate


PRIMITIVES = {
    "transpose": [
        ("It swaps nothing.", "inputs-tensor", lambda _: lambda self, x: x),
        (
            "It reverses all axes.",
            "inputs-rank-4",
            lambda _: lambda self, x: x.transpose(1, 0, *range(2, x.ndim)[::-1]),
        ),
    ],
    "loop": [
        ("It always loops forwards.", "backwards", looping(ignore_direction)),
        (
            "It loops forwards when unrolled.",
            "backwards-unrolled",
            looping(ignore_direction_unrolled),
        ),
        ("It stacks in the order of time, not of the loop.", "backwards", looping(order_by_time)),
        ("It does not reverse the mask.", "backwards-masked", looping(forget_to_turn_the_mask)),
        (
            "It masks nothing when unrolled.",
            "masked-output-repeats-unrolled",
            looping(mask_nothing_unrolled),
        ),
        ("It is a step too short.", "inputs-tensor", looping(stop_early)),
        ("It is a step too long.", "inputs-tensor", looping(go_on_too_long)),
        ("It calls the step once to probe it.", "step-calls", looping(probe)),
        ("It probes when unrolled.", "step-calls-unrolled", looping(probe_unrolled)),
        (
            "It passes the first states to every step.",
            "inputs-tensor",
            looping(start_anew_each_step),
        ),
        ("It returns the first states.", "inputs-tensor", looping(return_the_first_states)),
        (
            "The held output starts as the initial state.",
            "masked-output-starts-at-zeros",
            looping(hold_the_first_states),
        ),
        ("It holds no output.", "masked-output-last-only", looping(forget_the_held_output)),
        (
            "All its outputs are the last one.",
            "inputs-tensor",
            looping(write_all_outputs_to_one_place),
        ),
        ("It stacks along the second axis.", "inputs-tensor", looping(stack_along_the_batch)),
        ("It swallows errors.", "refuses-step-other-shape", looping(swallow_errors)),
    ],
    "select": [
        ("It exchanges the two alternatives.", "masked-states-stay", lambda _: swapped),
        ("It swaps in rank 3.", "masked-every-rank", of_rank(3, swapped)),
        ("It multiplies by the mask.", "masked-infinite", lambda _: multiplied),
        (
            "It broadcasts (batch,) to (batch, batch).",
            "masked-every-rank",
            of_rank(1, broadcast),
        ),
        ("It keeps values that should be zero.", "zero-output", zeros_where_nothing_is_held),
        ("Its zeros are float64.", "dtype-float32-zero-output", widening),
    ],
    "convert": [
        (
            "It converts everything to float64.",
            "dtype-float32",
            lambda _: lambda self, value, like=None: np.asarray(value, "float64"),
        ),
        (
            "It converts float64 to float32.",
            "dtype-float64",
            lambda _: lambda self, value, like=None: _narrowed(np.asarray(value)),
        ),
        (
            "It drops an axis of size 1.",
            "time-one-sample",
            lambda _: lambda self, value, like=None: np.squeeze(value),
        ),
    ],
    "nonzero": [
        ("Negative numbers are false.", "mask-float", lambda _: lambda self, x: x > 0),
        ("Only 1 is true.", "mask-int-rank-3", lambda _: lambda self, x: x == 1),
        ("Everything is true.", "mask-bool", lambda _: lambda self, x: np.ones_like(x, bool)),
    ],
    "length_mask": [
        (
            "Lengths are off by one.",
            "lengths-tensor",
            lambda right: lambda self, lengths, like: right(self, lengths + 1, like),
        ),
        (
            "Lengths count from the end.",
            "lengths-tensor",
            lambda right: lambda self, lengths, like: right(self, lengths, like)[::-1],
        ),
        (
            "Lengths mask nothing.",
            "lengths-tensor",
            lambda right: lambda self, lengths, like: right(self, lengths + len(like), like),
        ),
    ],
    "flip": [("It leaves the order.", "backwards-zero-output", lambda _: lambda self, x: x)],
    "nests": [
        (
            "It swaps leaves.",
            "outputs-nested",
            lambda right: changed(
                right, unflatten=lambda structure, leaves: right.unflatten(structure, leaves[::-1])
            ),
        ),
        (
            "It names the wrong leaf.",
            "refuses-inputs-leaf-rank-2",
            lambda right: changed(right, paths=lambda structure: right.paths(structure)[::-1]),
        ),
    ],
    "shape": [
        (
            "It knows no sizes.",
            "refuses-mask-of-other-batch",
            lambda right: lambda self, x: tuple(None for _ in right(self, x)),
        ),
    ],
    "forward_fill": [
        ("It fills nothing.", "masked-output-repeats", filling(lambda right, x, mask: x)),
        (
            "It fills with the previous step, valid or not.",
            "masked-output-repeats",
            filling(lambda right, x, mask: np.where(_like(mask, x), x, np.roll(x, 1, 0))),
        ),
        (
            "It fills with zeros.",
            "masked-output-repeats",
            filling(lambda right, x, mask: np.where(_like(mask, x), x, x.dtype.type(0))),
        ),
        (
            "It fills each block independently.",
            "masked-output-repeats-long",
            filling(
                lambda right, x, mask: np.concatenate(
                    [right(x[at : at + 16], mask[at : at + 16]) for at in range(0, len(x), 16)]
                )
            ),
        ),
    ],
    "dtype_name": [
        (
            "It returns the framework's own name of the dtype.",
            "refuses-step-wider-dtype",
            lambda _: lambda self, x: x.dtype.str,
        ),
    ],
    "reads_arrays": [
        (
            "It reads no lengths on the host.",
            "refuses-lengths-numpy-too-long",
            lambda _: lambda self: False,
        ),
    ],
}


def _like(mask: Any, x: Any) -> Any:
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))


def _narrowed(array: Any) -> Any:
    return array.astype("float32") if array.dtype == "float64" else array


MUTANTS = [
    Mutant(fault, row, NumpyBackend, primitive, mutate)
    for primitive, faults in PRIMITIVES.items()
    for fault, row, mutate in faults
]
SUITE = ("test_cases", "test_errors", "test_checks")


@pytest.mark.parametrize(
    "mutant", MUTANTS, ids=lambda mutant: f"{mutant.attribute}: {mutant.fault}"
)
def test_a_wrong_primitive_is_rejected(mutant: Mutant) -> None:
    assert_rejected("numpy", *SUITE, mutant=mutant)


def test_the_right_primitives_pass() -> None:
    assert_accepted("numpy", *SUITE, mutants=MUTANTS)
