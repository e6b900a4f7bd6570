"""The departures of ``tf_keras.backend.rnn`` from the semantics that change results.

Each entry has a predicate for the calls that it affects, which are left out of the comparison,
and an example that shows it. ``tests/tf_keras/test_departures.py`` has all other departures.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from polyrnn_conformance.comparing import DisagreementError
from polyrnn_conformance.random_calls import RandomCall
from polyrnn_conformance.random_steps import Leaf
from polyrnn_conformance.trees import children, is_node, leaves_of

FLOAT, FLAT = Leaf("float32", (3,)), Leaf("float32", ())

PLAIN = RandomCall(
    batch=2,
    time=4,
    inputs=FLOAT,
    states=(FLOAT,),
    states_as="list",
    constants=None,
    outputs=FLOAT,
    returned_as="list",
    mask=None,
    mask_as=("bool", 2, "tensor"),
    lengths=None,
    lengths_as="tensor",
    on_host=frozenset(),
    borrows=True,
    padding=0.0,
    flags=frozenset({"return_all_outputs"}),
)
MASKED = replace(PLAIN, mask=((True, True, False, False), (False, True, False, True)))


class Departure(NamedTuple):
    """One departure of tf_keras.

    Args:
        rule: The rule of the semantics that it breaks.
        reason: What tf_keras does, in one sentence.
        meets: Returns whether a call is affected.
        example: A call that is affected by this departure only.
        fails_with: The error of tf_keras in the example; `None` if it gives another result.
    """

    rule: int
    reason: str
    meets: Callable[[RandomCall], bool]
    example: RandomCall
    fails_with: type[Exception] = DisagreementError


def flagged(call: RandomCall, *flags: str) -> RandomCall:
    """Return a call with more flags set."""
    return replace(call, flags=call.flags | set(flags))


def last_only(call: RandomCall) -> RandomCall:
    """Return a call with ``return_all_outputs=False``."""
    return replace(call, flags=call.flags - {"return_all_outputs"})


def _unrolled(call: RandomCall) -> bool:
    return "unroll" in call.flags


def _by_length(call: RandomCall) -> bool:
    """Return whether lengths are used and mask a step."""
    if call.mask is not None or call.lengths is None:
        return False
    each = (call.lengths,) if isinstance(call.lengths, int) else call.lengths
    return min(each) < call.time


def _is_flat(tree: Any) -> bool:
    if isinstance(tree, dict):
        return False
    return isinstance(tree, Leaf) or all(isinstance(child, Leaf) for child in children(tree))


def _has_none(tree: Any) -> bool:
    return tree is None or (is_node(tree) and any(map(_has_none, children(tree))))


DEPARTURES = {
    "zeroed by the mask unturned": Departure(
        7,
        "Unrolled and backwards, it zeroes outputs by the mask in the order of time.",
        lambda call: (
            {"unroll", "go_backwards", "zero_output_for_mask", "return_all_outputs"} <= call.flags
            and call.mask is not None
            and any(row != row[::-1] for row in call.mask)
        ),
        flagged(MASKED, "unroll", "go_backwards", "zero_output_for_mask"),
    ),
    "zeroed last output": Departure(
        12,
        "Unrolled, it zeroes the last output alone by the mask of all time steps.",
        lambda call: (
            {"unroll", "zero_output_for_mask"} <= call.flags
            and "return_all_outputs" not in call.flags
            and call.mask is not None
            and call.time > 1
        ),
        last_only(flagged(MASKED, "unroll", "zero_output_for_mask")),
        ValueError,
    ),
    "unrolled nest of outputs": Departure(
        9,
        "Unrolled, it stacks a nest of outputs as if it were one tensor.",
        lambda call: _unrolled(call) and not isinstance(call.outputs, Leaf),
        flagged(replace(PLAIN, outputs=[FLOAT, FLOAT]), "unroll"),
    ),
    "unrolled nest of inputs": Departure(
        9,
        "Unrolled, it takes inputs for a tensor or a flat sequence of tensors.",
        lambda call: _unrolled(call) and not _is_flat(call.inputs),
        flagged(replace(PLAIN, inputs={"a": FLOAT}), "unroll"),
        TypeError,
    ),
    "masked rank 1": Departure(
        12,
        "Masked states and outputs of shape (batch,) become (batch, batch) or fail.",
        lambda call: (
            call.mask is not None
            and any(
                leaf.axes == () and leaf.batched
                for leaf in leaves_of([list(call.states), call.outputs])
            )
        ),
        replace(MASKED, states=(FLAT,)),
        tf.errors.InvalidArgumentError,
    ),
    "masked state without batch": Departure(
        13,
        "A state of rank 0 becomes one of shape (batch, 1) or fails where steps are masked.",
        lambda call: (
            call.is_masked and any(not leaf.batched for leaf in leaves_of(list(call.states)))
        ),
        replace(MASKED, states=(FLOAT, Leaf("float32", (), batched=False))),
    ),
    "output without batch": Departure(
        3,
        "It wants the batch as the first axis of every output.",
        lambda call: any(not leaf.batched for leaf in leaves_of(call.outputs)),
        replace(PLAIN, outputs=Leaf("float32", (3,), batched=False)),
        ValueError,
    ),
    "none in a nest": Departure(
        4,
        "It takes None inside a nest for a tensor.",
        lambda call: _has_none([call.inputs, list(call.states), call.outputs]),
        replace(PLAIN, inputs=[FLOAT, None]),
        AttributeError,
    ),
    "lengths unrolled": Departure(
        15,
        "Unrolled, it ignores lengths.",
        lambda call: _unrolled(call) and _by_length(call) and not isinstance(call.lengths, int),
        flagged(replace(PLAIN, lengths=(2, 3)), "unroll"),
    ),
    "lengths backwards": Departure(
        15,
        "Backwards, it assumes that the longest sample fills the time axis.",
        lambda call: (
            "go_backwards" in call.flags
            and not _unrolled(call)
            and _by_length(call)
            and not isinstance(call.lengths, int)
            and max(call.lengths or ()) < call.time
        ),
        flagged(replace(PLAIN, lengths=(2, 3)), "go_backwards"),
    ),
    "one length": Departure(
        15,
        "It ignores a length that is an integer.",
        lambda call: _by_length(call) and isinstance(call.lengths, int),
        replace(PLAIN, lengths=2, lengths_as="int"),
    ),
}
