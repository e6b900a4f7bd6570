"""The `Subject`: runs calls on the backend under test and returns their results as arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import polyrnn
from polyrnn import Backend, registry
from polyrnn_conformance.calls import Call, on_host
from polyrnn_conformance.comparing import DisagreementError, Result, cotangents_of
from polyrnn_conformance.harness import Harness
from polyrnn_conformance.trees import filled, leaves_of, map_leaves, skeleton


@dataclass(frozen=True)
class Subject:
    """The backend under test, with its harness.

    Args:
        backend: The backend.
        harness: Its harness.
        name: The name under which it is installed; `None` if it was given as a class.
    """

    backend: Backend
    harness: Harness
    name: str | None

    @property
    def choice(self) -> str | Backend:
        """The value of the argument ``backend`` that chooses it."""
        return self.name if self.name is not None else self.backend

    @property
    def called(self) -> str:
        """Its name in errors: that of the backend, else of its framework, else of its class."""
        return self.name or self.framework or type(self.backend).__name__

    @property
    def framework(self) -> str | None:
        """The name of the installed backend whose framework has tensors of this type, if any."""
        kinds = self.backend.tensor_type
        found = map(
            registry.installed().framework_of, kinds if isinstance(kinds, tuple) else (kinds,)
        )
        return next((name for name in found if name is not None), None)

    @property
    def has_own_tensors(self) -> bool:
        """Whether the tensors of the framework are not NumPy arrays."""
        return not issubclass(np.ndarray, self.backend.tensor_type)

    @cached_property
    def writes_in_place(self) -> bool:
        """Whether tensors of the framework can be written into."""
        try:
            self.backend.convert(np.zeros(2))[0] = 1
        except Exception:  # each framework refuses in its own way
            return False
        return True

    def tensor(self, array: Any) -> Any:
        """Return a tensor with the values of an array."""
        tensor = self.backend.convert(array)
        made = self.backend.dtype_name(tensor)
        if made != array.dtype.name:
            raise DisagreementError(f"convert: made {made} of an array of {array.dtype.name}")
        return tensor

    def run(
        self,
        call: Call,
        mode: str,
        counter: list[int] | None = None,
        shapes: list[Any] | None = None,
    ) -> Result:
        """Run a call in one of the modes.

        Args:
            call: The call.
            mode: One of the modes of the harness.
            counter: If given, one entry is appended for each call of the step.
            shapes: If given, the static shapes of the results are appended, as they are
                known within the function that calls `polyrnn.rnn`.
        """
        tree, arrays = _taken_apart(call)
        skeletons: list[Any] = []

        def function(*tensors: Any) -> list[Any]:
            result = self._rnn(call, filled(tree, _given(tree, tensors)), counter)
            skeletons.append(skeleton(result))
            if shapes is not None:
                shapes.append(tuple([self.backend.shape(leaf) for leaf in leaves_of(result)]))
            return leaves_of(result)

        before = [array.copy() for array in arrays]
        tensors = [self.tensor(array) for array in arrays]
        leaves = self.harness.run(mode, function, tensors)
        results = [self.harness.to_numpy(leaf) for leaf in leaves]
        if mode == self.harness.modes[0] and self.writes_in_place:
            given = [self.harness.to_numpy(tensor) for tensor in tensors]
            _assert_apart(results, given, before)
        return Result(
            skeleton=skeletons[-1],
            leaves=results,
            dtypes=[self.backend.dtype_name(leaf) for leaf in leaves],
        )

    def gradients(self, call: Call, mode: str) -> list[np.ndarray[Any, Any]]:
        """Differentiate a weighted sum of the results with respect to all real arrays.

        Args:
            call: The call.
            mode: One of the modes of the harness.
        """
        # Converted outside the function: compilers may not support the dtypes of NumPy arrays.
        cotangents = [None if c is None else self.tensor(c) for c in cotangents_of(call)]
        tree, arrays = _taken_apart(call)
        is_real = [array.dtype.kind == "f" for array in arrays]
        fixed = [None if real else self.tensor(a) for a, real in zip(arrays, is_real, strict=True)]

        def function(*reals: Any) -> Any:
            moving = iter(reals)
            tensors = [next(moving) if old is None else old for old in fixed]
            result = self._rnn(call, filled(tree, _given(tree, tensors)), None)
            weighted = [
                self.backend.namespace.sum(leaf * weights)
                for leaf, weights in zip(leaves_of(result), cotangents, strict=True)
                if weights is not None
            ]
            return sum(weighted[1:], start=weighted[0])

        reals = [self.tensor(a) for a, real in zip(arrays, is_real, strict=True) if real]
        return [
            self.harness.to_numpy(gradient)
            for gradient in self.harness.gradients(mode, function, reals)
        ]

    def _rnn(self, call: Call, given: Any, counter: list[int] | None) -> Any:
        weights, arguments = given
        step = call.step(self.backend.namespace, *weights)
        if counter is not None and callable(step):
            step = _counted(step, counter)
        return polyrnn.rnn(step, backend=self.choice, **arguments)


def _counted(step: Callable[..., Any], counter: list[int]) -> Callable[..., Any]:
    def counted(x: Any, states: list[Any]) -> Any:
        counter.append(1)
        return step(x, states)

    return counted


def _assert_apart(results: list[Any], given: list[Any], before: list[Any]) -> None:
    """Check that no result shares memory with another or with an argument, which is as it was."""
    for position, result in enumerate(results):
        for other in [*results[:position], *given]:
            if np.may_share_memory(result, other) and np.shares_memory(result, other):
                raise DisagreementError(f"result {position} shares memory with another tensor")
    for tensor, array in zip(given, before, strict=True):
        if tensor.tobytes() != array.tobytes():
            raise DisagreementError(f"an argument was written into: {tensor}, was {array}")


class _Place:
    """Marks the place of an array that `_taken_apart` took out of a call."""


def _taken_apart(call: Call) -> tuple[Any, list[np.ndarray[Any, Any]]]:
    """Return a call as a nest with `_Place` instead of its arrays, and the list of arrays."""
    tree = (call.weights, call.arguments())
    arrays = [leaf for leaf in leaves_of(tree) if isinstance(leaf, np.ndarray)]
    # A compiler that finds an array would convert it to a tensor, which may fail.
    return map_leaves(lambda leaf: _Place if isinstance(leaf, np.ndarray) else leaf, tree), arrays


def _given(tree: Any, tensors: Any) -> Iterator[Any]:
    """Yield the leaves of a call in order, with a tensor for each place and host values bare."""
    remaining = iter(tensors)
    for leaf in leaves_of(tree):
        yield next(remaining) if leaf is _Place else on_host(leaf)
