"""Computes with array-api-strict, and by the array standard alone."""

from typing import Any, ClassVar

import array_api_strict as xp

from polyrnn import Backend, python_loop
from polyrnn.backend import Body, Carry, HandOut


class StrictBackend(Backend):
    """Walks in plain Python: the step is called once for each time step."""

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
        steps = ([self.copy(x[t, ...]) for x in xs] for t in (reversed(walk) if reverse else walk))

        def copying(carry: Carry, slices: list[Any]) -> tuple[Carry, list[Any]]:
            carry, outputs = body(carry, slices)
            return carry, [self.copy(output) for output in outputs]

        return python_loop(copying, carry, steps, xp.stack)

    def convert(self, value: Any, like: Any = None) -> Any:
        x = xp.asarray(value)
        return x if like is None else x.to_device(like.device)

    def copy(self, x: Any) -> Any:
        return xp.asarray(x, copy=True)

    @property
    def hand_out(self) -> HandOut:
        return lambda *tensors: tuple(list(map(self.copy, each)) for each in tensors)

    def nonzero(self, x: Any) -> Any:
        return x != xp.zeros_like(x)

    def length_mask(self, lengths: Any, like: Any) -> Any:
        steps = xp.arange(like.shape[0], device=like.device)
        return xp.broadcast_to(steps[:, None] < xp.astype(lengths, steps.dtype), like.shape[:2])

    def first_true(self, mask: Any, *, reverse: bool = False) -> Any:
        steps = xp.argmax(xp.astype(xp.flip(mask, axis=0) if reverse else mask, xp.int8), axis=0)
        return mask.shape[0] - 1 - steps if reverse else steps

    def take(self, x: Any, steps: Any) -> Any:
        steps = xp.reshape(steps, (1, -1) + (1,) * (x.ndim - 2))
        return xp.take_along_axis(x, xp.broadcast_to(steps, (1, *x.shape[1:])), axis=0)[0, ...]

    def dtype_name(self, x: Any) -> str:
        return str(x.dtype).removeprefix("array_api_strict.")

    def devices(self) -> list[str]:
        return [str(device) for device in xp.__array_namespace_info__().devices()]
