"""A framework for tests, whose tensors wrap NumPy arrays that NumPy cannot access."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

import polyrnn_numpy.backend
from polyrnn import Backend
from polyrnn.backend import Body, Carry


class WrappedArray(NDArrayOperatorsMixin):
    """A tensor that only ufuncs, and so operators, and its own backend compute with."""

    __hash__ = None  # type: ignore[assignment]  # == compares elements

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    def __getitem__(self, index: Any) -> Any:
        return type(self)(self.array[index])

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a wrapped array is no sequence")

    def __array__(self, *arguments: Any, **keywords: Any) -> Any:
        raise TypeError("a wrapped array is not for numpy")

    def __array_function__(self, function: Any, kinds: Any, inputs: Any, keywords: Any) -> Any:
        if function is not np.ones_like:
            return NotImplemented
        return type(self)(np.ones_like(self.array))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        plain = [x.array if isinstance(x, WrappedArray) else x for x in inputs]
        return type(self)(getattr(ufunc, method)(*plain, **keywords))


class WrappedBackend(Backend):
    """Unwraps tensors, computes with the numpy backend, and wraps the results."""

    tensor_type: ClassVar[Any] = WrappedArray
    namespace: ClassVar[Any] = np

    def __init__(self) -> None:
        self._numpy = polyrnn_numpy.backend.NumpyBackend()

    def _wrap(self, array: Any) -> Any:
        return self.tensor_type(array)

    def transpose(self, x: Any) -> Any:
        return self._wrap(self._numpy.transpose(x.array))

    def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        plain = None if on_false is None else on_false.array
        return self._wrap(self._numpy.select(mask.array, on_true.array, plain))

    def loop(
        self, body: Body, carry: Carry, xs: list[Any], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Any]]:
        steps = range(xs[0].shape[0])
        stacked: list[list[Any]] = []
        for step in reversed(steps) if reverse else steps:
            carry, outputs = body(carry, [x[step] for x in xs])
            stacked.append([output.array for output in outputs])
        return carry, [self._wrap(np.stack(leaf)) for leaf in zip(*stacked, strict=True)]

    def convert(self, value: Any, like: Any = None) -> Any:
        return value if isinstance(value, WrappedArray) else self._wrap(np.asarray(value))

    def nonzero(self, x: Any) -> Any:
        return self._wrap(x.array != 0)

    def length_mask(self, lengths: Any, like: Any) -> Any:
        return self._wrap(self._numpy.length_mask(lengths.array, like.array))

    def take_first(self, mask: Any, xs: list[Any], *, reverse: bool = False) -> list[Any]:
        arrays = [x.array for x in xs]
        return list(map(self._wrap, self._numpy.take_first(mask.array, arrays, reverse=reverse)))
