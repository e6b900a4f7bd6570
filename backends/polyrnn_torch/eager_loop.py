"""The loop in Python, safe from steps that write into the tensors that they are given.

Outputs are collected as they are and stacked in the end, and time steps are views of the
inputs, so that what a step writes could show where nobody wrote. torch counts the writes into
each tensor, which tells at little cost whether any did.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch

from polyrnn.backend import Body, Carry


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
    collected: list[list[Any]] = []
    counts: list[list[int] | None] = []
    carry = copied_carry(carry)
    # Only a slice of which a copy was made has a count of its own, without which torch refuses
    # gradients once another slice is written into. At the first step nothing is known yet.
    copying = True
    for slices in _steps(xs, reverse):
        given = copies(slices) if copying else slices
        carry, outputs = body(carry, given)
        before = writes(given)
        copying = before is None or any(before)
        count = writes(outputs)
        collected.append(copies(outputs) if count is None else outputs)
        counts.append(count)
    for outputs, count in zip(collected, counts, strict=True):
        if count is not None and count != writes(outputs):
            raise ValueError(
                "step_function wrote into an output that it had returned before; return a new "
                "tensor at each step"
            )
    return carry, [torch.stack(leaf) for leaf in zip(*collected, strict=True)]


def writes(tensors: Sequence[Any]) -> list[int] | None:
    """Count how often each tensor, or one that shares its memory, has been written into.

    Returns:
        A count for each tensor; `None` where torch does not count: while it compiles, in
        inference mode, and under transformations of torch.func that map.
    """
    if torch.compiler.is_compiling():
        return None
    if _current_level() is not None and any(map(_counts_nothing, tensors)):
        return None
    try:
        return [x._version for x in tensors]
    except RuntimeError:
        return None


_current_level = torch._C._functorch.maybe_current_level


def _counts_nothing(x: Any) -> bool:
    functorch = torch._C._functorch
    return bool(functorch.is_batchedtensor(x) or functorch.is_functionaltensor(x))


def copies(tensors: Sequence[Any]) -> list[Any]:
    """Copy tensors, so that what is written into them shows nowhere else."""
    return [x.clone() for x in tensors]


def copied_carry(carry: Carry) -> Carry:
    """Copy what a loop starts with, which belongs to the caller."""
    return tuple([None if entry is None else copies(entry) for entry in carry])


def _steps(xs: list[Any], reverse: bool) -> Iterator[list[Any]]:
    """Slice copies block by block: slices are small, but not when there are very many of them."""
    blocks = list(zip(*[x.split(256) for x in xs], strict=True))
    slices = map(_slices, blocks[::-1], [-1] * len(blocks)) if reverse else map(_slices, blocks)
    return map(list, chain.from_iterable(slices))


def _slices(block: Sequence[Any], stride: int = 1) -> Iterator[Any]:
    return zip(*[x.clone().unbind(0)[::stride] for x in block], strict=True)
