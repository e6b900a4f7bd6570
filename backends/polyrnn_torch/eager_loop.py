"""The eager loop in Python, protected from steps that write into the tensors they are given.

Outputs are collected without a copy and stacked at the end, and they may be views of the time steps
that the step was given. So a write by the step could change an output that was returned before.
torch counts the writes into each tensor; comparing counts is a cheap way to detect such a write.
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
"""How many time steps are copied and sliced at once; memory grows with this number."""


def eager_loop(
    body: Body, carry: Carry, xs: list[Any], *, reverse: bool
) -> tuple[Carry, list[Any]]:
    """Run a loop in Python over copies of the carry and the inputs.

    Args:
        body: As in `polyrnn.Backend.loop`.
        carry: As in `polyrnn.Backend.loop`.
        xs: As in `polyrnn.Backend.loop`.
        reverse: Whether to loop from the last time step to the first.

    Returns:
        The last carry and the stacked outputs.

    Raises:
        ValueError: If the step wrote into an output of an earlier step.
    """
    carry = copied_carry(carry)
    steps = _steps(xs, reverse)
    if count_of_writes() is None:
        return python_loop(_among_copies(body), carry, steps, torch.stack)
    # One flat list for the outputs of all steps, which is faster than a list for each step.
    collected: list[Any] = []
    counts: list[int] = []
    # The slices of an input share one count of writes, so after a write into one of them torch
    # refuses to differentiate through all of them. Therefore slices are copied at the first step,
    # and at each step after one that wrote into its slices.
    copying = True
    outputs: list[Any] = []
    for slices in steps:
        if copying:
            slices = copies(slices)
        carry, outputs = body(carry, slices)
        copying = any(map(version, slices))
        try:
            counts.extend(map(version, outputs))
        except RuntimeError:  # tensors made in inference mode have no count
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
    """Return a function that returns the counts of writes into tensors, or `None`.

    `None` means that torch does not count writes: while it compiles, in inference mode, and under
    some transformations of torch.func. The function itself returns `None` if one of the tensors
    was made in inference mode.
    """
    if torch.compiler.is_compiling() or torch.is_inference_mode_enabled():
        return None
    return None if internals.is_transformed() or not internals.counts_writes else _count_writes


def apart(states: list[Any]) -> list[Any]:
    """Return states that a step may write into where torch counts no writes.

    The loop copies outputs, so a state shares memory with no output. Only a state that is the
    same tensor as another one is copied.
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
    """Return a body that is given copies of the slices and returns copies of the outputs."""

    def among_copies(carry: Carry, slices: list[Any]) -> tuple[Carry, list[Any]]:
        carry, outputs = body(carry, copies(slices))
        return carry, copies(outputs)

    return among_copies


def copies(tensors: Sequence[Any]) -> list[Any]:
    """Return copies of tensors."""
    return [x.clone() for x in tensors]


def copied_carry(carry: Carry) -> Carry:
    """Return a copy of the first carry of a loop, whose tensors belong to the caller."""
    return tuple([None if entry is None else copies(entry) for entry in carry])


def _steps(xs: list[Any], reverse: bool) -> Iterator[list[Any]]:
    """Return the slices of each time step, copying the inputs block by block.

    Slicing all time steps at once would take much memory for very long inputs.
    """
    blocks = list(zip(*[x.split(SLICED_AT_ONCE) for x in xs], strict=True))
    slices = map(_slices, blocks[::-1], [-1] * len(blocks)) if reverse else map(_slices, blocks)
    return map(list, chain.from_iterable(slices))


def _slices(block: Sequence[Any], stride: int = 1) -> Iterator[Any]:
    return zip(*[x.clone().unbind(0)[::stride] for x in block], strict=True)
