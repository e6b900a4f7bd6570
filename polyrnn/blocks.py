"""Walks in blocks of steps: of most blocks, the backward pass keeps only the carry before it."""

from collections.abc import Callable
from typing import NamedTuple

from polyrnn.backend import Backend, Body, Carry, Tensor, Walk


class Blocks(NamedTuple):
    """How the steps of a walk are divided into blocks of one size.

    Args:
        remainder: The number of steps before the first block, which are an ordinary loop.
        size: The number of steps in each block.
    """

    remainder: int
    size: int

    def loop(
        self,
        backend: Backend,
        body: Body,
        carry: Carry,
        xs: list[Tensor],
        *,
        reverse: bool,
        unroll: bool,
    ) -> tuple[Carry, list[Tensor]]:
        """Return what `Backend.loop` returns; the arguments are as there."""

        # Quoted, because torch.compile meets this definition and cannot subscript types.
        def walk(carry: Carry, xs: "list[Tensor]") -> "tuple[Carry, list[Tensor]]":
            return backend.loop(body, carry, xs, reverse=reverse, unroll=unroll)

        loop = backend.checkpointed_loop
        if loop is None:
            return walk(carry, xs)
        if not self.remainder:
            return loop(walk, carry, xs, size=self.size, reverse=reverse)
        first, rest = parted(xs, self.remainder, reverse=reverse)
        carry, outputs = walk(carry, first)
        carry, following = loop(walk, carry, rest, size=self.size, reverse=reverse)
        join = backend.namespace.concatenate
        return carry, [join(pair) for pair in zip(outputs, following, strict=True)]


def make_blocks(time: int, size: int | None) -> Blocks | None:
    """Return how to divide a walk, or `None` where all of it is one block.

    Args:
        time: The number of time steps.
        size: The number of steps in a block; `None` for all.
    """
    return None if size is None or size >= time else Blocks(time % size, size)


def parted(xs: list[Tensor], count: int, *, reverse: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs of the first steps of a walk, and those of the others.

    Args:
        xs: The inputs, with time as the first axis.
        count: How many steps come first, at least one.
        reverse: Whether the walk goes from the last time step to the first.
    """
    if reverse:
        return [x[-count:, ...] for x in xs], [x[:-count, ...] for x in xs]
    return [x[:count, ...] for x in xs], [x[count:, ...] for x in xs]


class FlatWalk(NamedTuple):
    """A walk over one block as a function of tensors alone.

    Args:
        walk: Takes and returns one list of tensors.
        leaves: The tensors of the carry, which come first in this list.
        carry_and_outputs: Return the carry and the outputs for what the function returned.
    """

    walk: Callable[[list[Tensor]], list[Tensor]]
    leaves: list[Tensor]
    carry_and_outputs: Callable[[list[Tensor]], tuple[Carry, list[Tensor]]]


def flattened(walk: Walk, carry: Carry) -> FlatWalk:
    """Return a walk as a function of tensors alone, for `Backend.checkpointed_loop`.

    Args:
        walk: The walk.
        carry: The carry before the block; entries that are `None` stay so.
    """
    sizes = [None if entry is None else len(entry) for entry in carry]
    count = sum(size or 0 for size in sizes)

    # Quoted, because torch.compile meets these definitions and cannot subscript types.
    def carry_of(tensors: "list[Tensor]") -> Carry:
        left = iter(tensors)
        return tuple(None if size is None else [next(left) for _ in range(size)] for size in sizes)

    def flat(tensors: "list[Tensor]") -> "list[Tensor]":
        after, outputs = walk(carry_of(tensors[:count]), tensors[count:])
        return [*leaves_of(after), *outputs]

    def carry_and_outputs(tensors: "list[Tensor]") -> "tuple[Carry, list[Tensor]]":
        return carry_of(tensors[:count]), list(tensors[count:])

    return FlatWalk(flat, leaves_of(carry), carry_and_outputs)


def leaves_of(carry: Carry) -> list[Tensor]:
    """Return the tensors of a carry."""
    return [leaf for entry in carry if entry is not None for leaf in entry]
