"""How the suite drives one framework: what a backend says of itself besides computing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from polyrnn import Backend

Capability: TypeAlias = Literal["gradients", "compilation", "unknown_shapes"]

Function: TypeAlias = Callable[..., list[Any]]
"""A function of tensors, given one by one, that returns a list of tensors."""


class Harness:
    """Runs functions in the modes of a framework; the defaults fit a plain eager one.

    Args:
        backend: The backend under test.

    A subclass is named by ``BackendInfo.harness``.
    """

    limitations: ClassVar[Mapping[Capability, str]] = {
        "gradients": "The plain harness does not differentiate.",
        "compilation": "The plain harness knows no compiler.",
        "unknown_shapes": "The plain harness has no tensors of unknown shape.",
    }
    """What the backend cannot do, and why, in one sentence each."""

    dtypes: ClassVar[tuple[str, ...]] = (
        "bool",
        "int8",
        "int32",
        "int64",
        "uint8",
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    )
    """The dtypes that the framework has, among those the suite tries."""

    modes: ClassVar[tuple[str, ...]] = ("eager",)
    """The ways in which the framework runs a function; the first is the plain one."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def to_numpy(self, tensor: Any) -> np.ndarray[Any, Any]:
        """Give the values of a tensor as an array of the same dtype."""
        return np.asarray(tensor)

    def run(self, mode: str, function: Function, tensors: Sequence[Any]) -> list[Any]:
        """Call a function in one of the modes.

        Args:
            mode: One of `modes`.
            function: Takes as many tensors as are given; may be compiled anew at each call.
            tensors: Tensors of the framework.

        Returns:
            What the function returns: a list of tensors.
        """
        return function(*tensors)

    def gradients(
        self, mode: str, function: Callable[..., Any], tensors: Sequence[Any]
    ) -> list[Any]:
        """Differentiate a function in one of the modes.

        Args:
            mode: One of `modes`.
            function: Takes as many tensors as are given and returns one of shape ``()``.
            tensors: Floating-point tensors of the framework.

        Returns:
            The gradient with respect to each tensor; zeros where none flows.
        """
        raise NotImplementedError(self.limitations["gradients"])
