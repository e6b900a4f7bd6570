"""What numpy does its own way: outputs are written in place as the loop goes."""

from typing import Any, ClassVar

import numpy as np

from polyrnn import Backend
from polyrnn.backend import Body, Carry

BLOCK = 16
"""How many time steps of an output are filled at once, which takes memory for as many."""


class NumpyBackend(Backend):
    """Computes with numpy arrays; the step is called once for each time step."""

    tensor_type: ClassVar = (np.ndarray, np.generic)
    namespace: ClassVar = np

    def transpose(self, x: Any) -> Any:
        return x.swapaxes(0, 1)

    def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        if mask.ndim < on_true.ndim:
            mask = mask.reshape(mask.shape + (1,) * (on_true.ndim - mask.ndim))
        # To copy one and write the other over it is quicker than `np.where`, by a fourth where
        # the mask can stay as it is.
        if on_false is not None and on_false.shape == on_true.shape:
            selected = np.array(on_false)
            np.copyto(selected, on_true, where=mask)
        else:
            selected = np.array(on_true)
            np.copyto(selected, False if on_false is None else on_false, where=~mask)
        return selected

    def loop(
        self, body: Body, carry: Carry, xs: list[Any], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Any]]:
        length = len(xs[0])
        steps = zip(*[x[::-1] if reverse else x for x in xs], strict=True)
        stacked: list[Any] = []
        for position, slices in enumerate(steps):
            carry, outputs = body(carry, list(slices))
            if not stacked:
                stacked = [np.empty((length, *y.shape), y.dtype) for y in outputs]
            for place, y in enumerate(outputs):
                stacked[place][position] = y
        return carry, stacked

    def convert(self, value: Any, like: Any = None) -> Any:
        return np.asarray(value)

    def nonzero(self, x: Any) -> Any:
        return x != 0

    def length_mask(self, lengths: Any, like: Any) -> Any:
        return np.broadcast_to(np.arange(len(like))[:, None] < lengths, like.shape[:2])

    def first_true(self, mask: Any) -> Any:
        return mask.argmax(axis=0)

    def take(self, x: Any, steps: Any) -> Any:
        return x[steps, np.arange(x.shape[1])]

    def fills_forward(self) -> bool:
        return True

    def forward_fill(self, x: Any, mask: Any) -> Any:
        time, batch = mask.shape
        numbers = np.arange(time * batch).reshape(time, batch)
        # Of the rows of one sample, the last one that is not masked has the greatest number.
        sources = np.maximum.accumulate(np.where(mask, numbers, numbers[:1])).reshape(-1)
        rows = x.reshape(time * batch, *x.shape[2:])
        # From the last block on, in place: what a block takes from stands before its end.
        for end in range(time, 0, -BLOCK):
            block = slice(max(end - BLOCK, 0) * batch, end * batch)
            rows[block] = rows.take(sources[block], axis=0)
        return rows.reshape(x.shape)

    def devices(self) -> list[str]:
        return ["cpu"]
