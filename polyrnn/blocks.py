"""Walks in blocks of steps: of most blocks, the backward pass keeps only the carry before it."""

from typing import NamedTuple

from polyrnn.backend import Backend, Body, Carry, Tensor


class Blocks(NamedTuple):
    """How the steps of a walk are divided into blocks.

    The first block is an ordinary loop. It is as short as it has to be for all others to be of one
    size; and it finds what the carry is where an entry starts as zeros, and what steps return.

    Args:
        first: The number of steps in the first block.
        size: The number of steps in each of the others.
    """

    first: int
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
        if reverse:
            first, others = slice(-self.first, None), slice(None, -self.first)
        else:
            first, others = slice(self.first), slice(self.first, None)
        carry, outputs = walk(carry, [x[first, ...] for x in xs])
        rest = [x[others, ...] for x in xs]
        carry, following = loop(walk, carry, rest, size=self.size, reverse=reverse)
        join = backend.namespace.concatenate
        return carry, [join(pair) for pair in zip(outputs, following, strict=True)]


def make_blocks(time: int, size: int | None) -> Blocks | None:
    """Return how to divide a walk, or `None` where all of it is one block.

    Args:
        time: The number of time steps.
        size: The number of steps in a block; `None` for all.
    """
    if size is None:
        return None
    first = time % size or size
    return None if first >= time else Blocks(first, size)
