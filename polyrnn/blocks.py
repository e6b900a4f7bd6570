"""Walks in blocks of steps: of most blocks, the backward pass keeps only the carry before it."""

from typing import NamedTuple

from polyrnn.backend import Backend, Body, Carry, Tensor


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
        if reverse:
            first, others = slice(-self.remainder, None), slice(None, -self.remainder)
        else:
            first, others = slice(self.remainder), slice(self.remainder, None)
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
    return None if size is None or size >= time else Blocks(time % size, size)
