"""Faults of walks in checkpointed blocks are rejected."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mutation import Mutant, assert_accepted, assert_rejected

from polyrnn import plan
from polyrnn.blocks import Blocks
from polyrnn_torch import backend, checkpointing

SUITE = ("test_cases", "test_gradients", "test_errors")


def looping(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """Make a mutation of the loop over the blocks.

    Args:
        change: Called as ``change(right, walk, carry, xs, size, reverse)``.
    """

    def mutate(right: Any) -> Any:
        return lambda walk, carry, xs, *, size, reverse: change(
            right, walk, carry, xs, size, reverse
        )

    return mutate


def walking(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """Make a mutation of the walk over each block.

    Args:
        change: Called as ``change(walk, carry, block, first)``, where `first` is the carry before
            the first block.
    """
    return looping(
        lambda right, walk, carry, xs, size, reverse: right(
            lambda before, block: change(walk, before, block, carry),
            carry,
            xs,
            size=size,
            reverse=reverse,
        )
    )


def without_remainder(right: Any) -> Any:
    def mutated(blocks: Any, backend: Any, body: Any, carry: Any, xs: Any, **options: Any) -> Any:
        whole = [x[blocks.remainder :] for x in xs]
        return right(blocks._replace(remainder=0), backend, body, carry, whole, **options)

    return mutated


def detached(carry: Any) -> Any:
    return tuple(entry and [leaf.detach() for leaf in entry] for entry in carry)


def all_valid(xs: Any) -> Any:
    return [x | True if x.dtype == torch.bool else x for x in xs]


def backwards_in_time(right: Any) -> Any:
    def mutated(again: Any, tensors: Any) -> Any:
        return right(again, [x.flip(0) if x.ndim == 3 else x for x in tensors])

    return mutated


MUTANTS = [
    Mutant(
        "Any size of a block is right.",
        "refuses-checkpoint-every-0",
        plan,
        "read_step_count",
        lambda right: lambda argument, value, sizes: value or None,
    ),
    Mutant(
        "The steps before the first whole block are left out.",
        "checkpoint-remainder",
        Blocks,
        "loop",
        without_remainder,
    ),
    Mutant(
        "Backwards the blocks come from the first to the last.",
        "checkpoint-backwards",
        backend,
        "checkpointed_loop",
        looping(
            lambda right, walk, carry, xs, size, reverse: right(
                walk, carry, xs, size=size, reverse=False
            )
        ),
    ),
    Mutant(
        "Each block begins with the carry of the first.",
        "checkpoint-blocks",
        backend,
        "checkpointed_loop",
        walking(lambda walk, carry, block, first: walk(first, block)),
    ),
    Mutant(
        "A block forgets the mask.",
        "checkpoint-masked",
        backend,
        "checkpointed_loop",
        walking(lambda walk, carry, block, first: walk(carry, all_valid(block))),
    ),
    Mutant(
        "The outputs of the blocks are put together in reverse.",
        "checkpoint-each-step",
        backend,
        "checkpointed_loop",
        looping(
            lambda right, walk, carry, xs, size, reverse: (
                (result := right(walk, carry, xs, size=size, reverse=reverse))[0],
                [y.flip(0) for y in result[1]],
            )
        ),
    ),
    Mutant(
        "No gradient flows from one block into the one before.",
        "checkpoint-blocks",
        backend,
        "checkpointed_loop",
        walking(lambda walk, carry, block, first: walk(detached(carry), block)),
    ),
    Mutant(
        "No gradient reaches the inputs of a block.",
        "checkpoint-unrolled",
        backend,
        "checkpointed_loop",
        walking(lambda walk, carry, block, first: walk(carry, [x.detach() for x in block])),
    ),
    Mutant(
        "Weights that the step closes over have no gradient.",
        "checkpoint-blocks",
        checkpointing._Outside,
        "find",
        lambda right: lambda outside, results, given: [],
    ),
    Mutant(
        "The backward pass walks over a block the other way round.",
        "checkpoint-blocks",
        checkpointing._Again,
        "repeat",
        backwards_in_time,
    ),
    Mutant(
        "Every tensor of a block has the gradient of all its uses.",
        "checkpoint-constants",
        checkpointing,
        "_on_their_own",
        lambda right: lambda tensors: list(tensors),
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault)
def test_a_fault_is_rejected(mutant: Mutant) -> None:
    assert_rejected("torch", *SUITE, mutant=mutant)


def test_no_fault_passes() -> None:
    assert_accepted("torch", *SUITE, mutants=MUTANTS)
