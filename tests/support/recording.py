"""A backend that records its calls, with tensors that allow only what the contract promises."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

import polyrnn_numpy.backend
from polyrnn import Backend, nests
from polyrnn.backend import Body, Carry


class OutsideTheContractError(BaseException):
    """Raised if the front end uses more of a tensor than the contract promises.

    It is not an `Exception`, so that no code catches it before the test fails.
    """


class Dtype:
    """A dtype that can only be compared; only the backend knows its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dtype) and self._name == other._name

    __hash__ = None  # type: ignore[assignment]  # some frameworks' dtypes have none

    def __str__(self) -> str:
        raise OutsideTheContractError("str(dtype)")

    __repr__ = __str__


class Tensor:
    """A tensor with only the attributes and operators that the contract names."""

    def __init__(self, backend: "RecordingBackend", array: Any) -> None:
        self._backend = backend
        self._array = np.asarray(array)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> Dtype:
        return Dtype(self._array.dtype.name)

    def __getitem__(self, index: Any) -> "Tensor":
        entries = index if isinstance(index, tuple) else (index,)
        axes = sum(entry is not None for entry in entries)
        if axes != self._array.ndim and Ellipsis not in entries:
            raise OutsideTheContractError(f"{index} leaves axes of {self.shape} unsaid")
        if any(
            entry is not None and entry is not Ellipsis and not isinstance(entry, int | slice)
            for entry in entries
        ):
            raise OutsideTheContractError(f"indexed by {index}")
        self._backend.record("index", self, index)
        return Tensor(self._backend, self._array[index])

    def _refuse(self, *arguments: Any) -> Any:
        raise OutsideTheContractError(f"asked a tensor more than the contract grants: {arguments}")

    __array__ = __bool__ = __complex__ = __float__ = __index__ = __int__ = _refuse
    __contains__ = __eq__ = __iter__ = __len__ = __ne__ = __repr__ = __str__ = _refuse
    __add__ = __and__ = __invert__ = __getattr__ = __setitem__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class Namespace:
    """A namespace with the only function that the front end calls."""

    @staticmethod
    def ones_like(x: Tensor) -> Tensor:
        x._backend.record("ones_like", x)
        return x._backend.tensor(np.ones_like(x._array))


class Recorded(NamedTuple):
    """One call: the method, and its arguments with shapes instead of tensors."""

    method: str
    arguments: tuple[Any, ...]


class RecordingNests:
    """Nests of optree that record each call."""

    def __init__(self, backend: "RecordingBackend") -> None:
        self._backend = backend

    def flatten(self, tree: Any) -> tuple[list[Any], Any]:
        self._backend.record("flatten")
        return nests.flatten(tree)

    def unflatten(self, structure: Any, leaves: Any) -> Any:
        return nests.unflatten(structure, leaves)

    def paths(self, structure: Any) -> list[str]:
        return nests.paths(structure)


class RecordingBackend(Backend):
    """Computes with numpy, and records its calls in `calls`.

    Args:
        fills: Whether it overrides `forward_fill`.
    """

    tensor_type: ClassVar[Any] = Tensor
    namespace: ClassVar[Any] = Namespace

    def __init__(self, fills: bool = False) -> None:
        self.fills = fills
        self.calls: list[Recorded] = []
        self._numpy = polyrnn_numpy.backend.NumpyBackend()
        self.nests = RecordingNests(self)

    def record(self, method: str, *arguments: Any) -> None:
        self.calls.append(Recorded(method, tuple(map(_shapes, arguments))))

    def tensor(self, array: Any) -> Tensor:
        return Tensor(self, array)

    def called(self, *methods: str) -> list[Recorded]:
        """Return the calls of the named methods."""
        return [call for call in self.calls if call.method in methods]

    def transpose(self, x: Any) -> Any:
        self.record("transpose", x)
        return self.tensor(self._numpy.transpose(x._array))

    def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        self.record("select", mask, on_true, on_false)
        plain = None if on_false is None else on_false._array
        return self.tensor(self._numpy.select(mask._array, on_true._array, plain))

    def loop(
        self, body: Body, carry: Carry, xs: list[Any], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Any]]:
        self.record("loop", carry, xs, reverse, unroll)
        steps = range(xs[0].shape[0])
        collected = []
        for step in reversed(steps) if reverse else steps:
            slices = [self.tensor(x._array[step]) for x in xs]
            self.record("body", carry, slices)
            carry, outputs = body(carry, slices)
            self.record("returned", carry, outputs)
            collected.append([output._array for output in outputs])
        return carry, [self.tensor(np.stack(leaf)) for leaf in zip(*collected, strict=True)]

    def convert(self, value: Any, like: Any = None) -> Any:
        if isinstance(value, Tensor) and like is None:
            return value  # It is only checked.
        self.record("convert", value, like)
        return value if isinstance(value, Tensor) else self.tensor(value)

    def nonzero(self, x: Any) -> Any:
        self.record("nonzero", x)
        return self.tensor(x._array != 0)

    def length_mask(self, lengths: Any, like: Any) -> Any:
        self.record("length_mask", lengths, like)
        return self.tensor(self._numpy.length_mask(lengths._array, like._array))

    def take_first(self, mask: Any, xs: list[Any], *, reverse: bool = False) -> list[Any]:
        self.record("take_first", mask, xs)
        arrays = [x._array for x in xs]
        return list(map(self.tensor, self._numpy.take_first(mask._array, arrays, reverse=reverse)))

    def detach(self, x: Any) -> Any:
        self.record("detach", x)
        return x

    @property
    def forward_fill(self) -> Callable[[Any, Any], Any] | None:
        return self._forward_fill if self.fills else None

    def _forward_fill(self, x: Any, mask: Any) -> Any:
        self.record("forward_fill", x, mask)
        return self.tensor(self._numpy.forward_fill(x._array.copy(), mask._array))

    def flip(self, x: Any) -> Any:
        self.record("flip", x)
        return self.tensor(x._array[::-1])

    def dtype_name(self, x: Any) -> str:
        return str(x._array.dtype)


def to_numpy(tensor: Tensor) -> Any:
    """Return the values of a tensor."""
    return tensor._array


def add(*tensors: Tensor) -> Tensor:
    """Add tensors, which have no operator for it, in step functions."""
    return tensors[0]._backend.tensor(sum(tensor._array for tensor in tensors))


def _shapes(value: Any) -> Any:
    if isinstance(value, Tensor | np.ndarray):
        return value.shape
    if isinstance(value, list | tuple):
        return type(value)(map(_shapes, value))
    return value
