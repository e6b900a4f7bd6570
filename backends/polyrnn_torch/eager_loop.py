"""The loop in Python, safe from steps that write into the tensors that they are given.

Outputs are collected as they are and stacked in the end, and time steps are views of the
inputs, so that what a step writes could show where nobody wrote. torch counts the writes into
each tensor, which tells at little cost whether any did.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch

from polyrnn import python_loop
from polyrnn.backend import Body, Carry
from polyrnn_torch import internals
from polyrnn_torch.internals import version

SLICED_AT_ONCE = 256
"""How many time steps are copied and sliced at once."""


def eager_loop(
    body: Body, carry: Carry, xs: list[Any], *, reverse: bool
) -> tuple[Carry, list[Any]]:
    """Walk in Python over tensors that nobody else has.

    Args:
        body: As in `polyrnn.Backend.loop`.
        carry: As in `polyrnn.Backend.loop`.
        xs: As in `polyrnn.Backend.loop`.
        reverse: Walk from the last step to the first.

    Returns:
        The last carry and the stacked outputs.

    Raises:
        ValueError: If the step wrote into an output of an earlier step.
    """
    carry = copied_carry(carry)
    steps = _steps(xs, reverse)
    if count_of_writes() is None:
        return python_loop(_among_copies(body), carry, steps, torch.stack)
    # One list for the leaves of all steps, for what is done at each step takes time.
    collected: list[Any] = []
    counts: list[int] = []
    # Slices share one count of writes, so that torch refuses gradients once one of them was
    # written into. So they are copied once a step wrote into one, and at the first step, of
    # which nothing is known.
    copying = True
    outputs: list[Any] = []
    for slices in steps:
        if copying:
            slices = copies(slices)
        carry, outputs = body(carry, slices)
        copying = any(map(version, slices))
        try:
            counts.extend(map(version, outputs))
        except RuntimeError:  # of tensors that were made in inference mode
            outputs = copies(outputs)
            del counts[len(collected) :]
            counts.extend(map(version, outputs))
        collected.extend(outputs)
    if [*map(version, collected)] != counts:
        raise ValueError(
            "step_function wrote into an output that it had returned before; return a new "
            "tensor at each step"
        )
    width = len(outputs)
    return carry, [torch.stack(collected[position::width]) for position in range(width)]


def count_of_writes() -> Callable[[Sequence[Any]], list[int] | None] | None:
    """Return a function that counts the writes into tensors, `None` where torch counts none.

    It counts none while it compiles, in inference mode, and under some transformations of
    torch.func. The function returns `None` for tensors that were made in inference mode.
    """
    if torch.compiler.is_compiling() or torch.is_inference_mode_enabled():
        return None
    return None if internals.is_transformed() or not internals.counts_writes else _count_writes


def apart(states: list[Any]) -> list[Any]:
    """Return states that a step may write into where torch counts no writes.

    The loop copies what is put out, so that a state may be written into unless it is another
    state, too.
    """
    handed: list[Any] = []
    for state in states:
        handed.append(state.clone() if any(state is other for other in handed) else state)
    return handed


def _count_writes(tensors: Sequence[Any]) -> list[int] | None:
    try:
        return [*map(version, tensors)]
    except RuntimeError:
        return None


def _among_copies(body: Body) -> Body:
    """Return a body that gets copies and puts out copies."""

    def among_copies(carry: Carry, slices: list[Any]) -> tuple[Carry, list[Any]]:
        carry, outputs = body(carry, copies(slices))
        return carry, copies(outputs)

    return among_copies


def copies(tensors: Sequence[Any]) -> list[Any]:
    """Copy tensors, so that what is written into them shows nowhere else."""
    return [x.clone() for x in tensors]


def copied_carry(carry: Carry) -> Carry:
    """Copy what a loop starts with, which belongs to the caller."""
    return tuple([None if entry is None else copies(entry) for entry in carry])


def _steps(xs: list[Any], reverse: bool) -> Iterator[list[Any]]:
    """Slice copies block by block: slices are small, but not when there are very many of them."""
    blocks = list(zip(*[x.split(SLICED_AT_ONCE) for x in xs], strict=True))
    slices = map(_slices, blocks[::-1], [-1] * len(blocks)) if reverse else map(_slices, blocks)
    return map(list, chain.from_iterable(slices))


def _slices(block: Sequence[Any], stride: int = 1) -> Iterator[Any]:
    return zip(*[x.clone().unbind(0)[::stride] for x in block], strict=True)
