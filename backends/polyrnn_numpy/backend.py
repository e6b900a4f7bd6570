"""The numpy backend, whose loop writes outputs into preallocated arrays."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from polyrnn import Backend
from polyrnn.backend import Body, Carry, Sharing
from polyrnn.unsupported import check_array

BLOCK = 32
"""How many time steps are copied or filled at once; memory grows with this number."""


class NumpyBackend(Backend):
    """Computes with numpy arrays; the step is called once for each time step."""

    tensor_type: ClassVar = (np.ndarray, np.generic)
    namespace: ClassVar = np

    def transpose(self, x: Any) -> Any:
        return x.swapaxes(0, 1)

    def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        if mask.ndim < on_true.ndim:
            mask = mask.reshape(mask.shape + (1,) * (on_true.ndim - mask.ndim))
        # Copying one array and overwriting it with the other is faster than `np.where`: by a
        # fourth where the mask need not be inverted.
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
        steps = zip(*[_steps(x, reverse) for x in xs], strict=True)
        stacked: list[Any] = []
        for position, slices in enumerate(steps):
            carry, outputs = body(carry, list(slices))
            if not stacked:
                stacked = [np.empty((length, *y.shape), y.dtype) for y in outputs]
            for place, y in enumerate(outputs):
                stacked[place][position] = y
        return carry, stacked

    def convert(self, value: Any, like: Any = None) -> Any:
        x = np.asanyarray(value)
        dtype = x.dtype
        if type(x) is not np.ndarray or dtype.kind not in "fiubc":
            check_array(x)
        return x if dtype.isnative else x.astype(dtype.newbyteorder("="))

    def nonzero(self, x: Any) -> Any:
        return x != 0

    def length_mask(self, lengths: Any, like: Any) -> Any:
        return np.broadcast_to(np.arange(len(like))[:, None] < lengths, like.shape[:2])

    def take_first(self, mask: Any, xs: list[Any], *, reverse: bool = False) -> list[Any]:
        steps = len(mask) - 1 - mask[::-1].argmax(axis=0) if reverse else mask.argmax(axis=0)
        samples = np.arange(mask.shape[1])
        return [x[steps, samples] for x in xs]

    @property
    def forward_fill(self) -> Callable[[Any, Any], Any]:
        return _forward_fill

    def fill(self, x: Any, mask: Any, stand_in: Any) -> Any:
        return _Filled(x, mask, stand_in)

    @property
    def sharing(self) -> Sharing:
        return _SHARING

    def devices(self) -> list[str]:
        return ["cpu"]


def _copies(states: list[Any]) -> list[Any]:
    return [state.copy() for state in states]


def _read_only(x: Any) -> Any:
    view = x[...]
    view.setflags(write=False)
    return view


def _copy(x: Any) -> Any:
    return x.copy()


_SHARING = Sharing(copy=_copy, hand_out=_copies, read_only=_read_only)


def _forward_fill(x: Any, mask: Any) -> Any:
    time, batch = mask.shape
    rows = x.reshape(time * batch, *x.shape[2:])
    # Rows are numbered in the order of time, so the last valid row of a sample up to some step
    # is the one with the maximal number.
    latest = np.arange(batch)
    for start in range(0, time, BLOCK):
        valid = mask[start : start + BLOCK]
        first, end = start * batch, (start + len(valid)) * batch
        sources = np.where(valid, np.arange(first, end).reshape(valid.shape), latest)
        np.maximum.accumulate(sources, out=sources)
        rows[first:end] = rows.take(sources.reshape(-1), axis=0)
        latest = sources[-1]
    return rows.reshape(x.shape)


class _Filled:
    """An input whose masked entries are replaced block by block while the loop reads it.

    This avoids a copy of the whole input.

    Args:
        x: The input, of shape ``(time, batch, ...)``.
        mask: True for the entries to keep, of shape ``(time, batch)``.
        stand_in: The replacement for the other entries, of shape ``(batch, ...)``.
    """

    def __init__(self, x: Any, mask: Any, stand_in: Any) -> None:
        self._x, self._stand_in = x, stand_in
        self._masked = ~mask.reshape(mask.shape + (1,) * (x.ndim - 2))

    def __len__(self) -> int:
        return len(self._x)

    def block(self, steps: slice) -> Any:
        """Return a copy of some time steps with masked entries replaced."""
        block = np.array(self._x[steps])
        np.copyto(block, self._stand_in, where=self._masked[steps])
        return block


def _steps(x: Any, reverse: bool) -> Iterator[Any]:
    """Yield copies of the time steps of an input or a mask, which a step may write into."""
    starts = range(0, len(x), BLOCK)
    for start in reversed(starts) if reverse else starts:
        steps = slice(start, start + BLOCK)
        block = x.block(steps) if isinstance(x, _Filled) else np.array(x[steps])
        yield from block[::-1] if reverse else block
