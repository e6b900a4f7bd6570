"""The backend for array-api-strict, with functions of the array API standard only."""

from typing import Any, ClassVar

import array_api_strict as xp

from polyrnn import Backend, python_loop
from polyrnn.backend import Body, Carry, Sharing


class StrictBackend(Backend):
    """Loops in plain Python, and calls the step once for each time step."""

    tensor_type: ClassVar = type(xp.zeros(()))
    namespace: ClassVar = xp

    def transpose(self, x: Any) -> Any:
        return xp.permute_dims(x, (1, 0, *range(2, x.ndim)))

    def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        mask = xp.reshape(mask, mask.shape + (1,) * (on_true.ndim - mask.ndim))
        return xp.where(mask, on_true, xp.zeros_like(on_true) if on_false is None else on_false)

    def loop(
        self, body: Body, carry: Carry, xs: list[Any], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Any]]:
        walk = range(xs[0].shape[0])
        steps = ([_copy(x[t, ...]) for x in xs] for t in (reversed(walk) if reverse else walk))
        return python_loop(body, carry, steps, xp.stack, _copy)

    def convert(self, value: Any, like: Any = None) -> Any:
        x = xp.asarray(value)
        return x if like is None else x.to_device(like.device)

    @property
    def sharing(self) -> Sharing:
        return Sharing(copy=_copy, hand_out=lambda states: list(map(_copy, states)))

    def nonzero(self, x: Any) -> Any:
        return x != xp.zeros_like(x)

    def length_mask(self, lengths: Any, like: Any) -> Any:
        steps = xp.arange(like.shape[0], device=like.device)
        return xp.broadcast_to(steps[:, None] < xp.astype(lengths, steps.dtype), like.shape[:2])

    def take_first(self, mask: Any, xs: list[Any], *, reverse: bool = False) -> list[Any]:
        steps = xp.argmax(xp.astype(xp.flip(mask, axis=0) if reverse else mask, xp.int8), axis=0)
        return [self._take(x, mask.shape[0] - 1 - steps if reverse else steps) for x in xs]

    def _take(self, x: Any, steps: Any) -> Any:
        steps = xp.reshape(steps, (1, -1) + (1,) * (x.ndim - 2))
        return xp.take_along_axis(x, xp.broadcast_to(steps, (1, *x.shape[1:])), axis=0)[0, ...]

    def dtype_name(self, x: Any) -> str:
        return str(x.dtype).removeprefix("array_api_strict.")

    def devices(self) -> list[str]:
        return [str(device) for device in xp.__array_namespace_info__().devices()]


def _copy(x: Any) -> Any:
    return xp.asarray(x, copy=True)
