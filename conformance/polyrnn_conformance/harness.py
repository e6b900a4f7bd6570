"""The `Harness`: how the suite runs, compiles and differentiates functions of a framework."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import optree

from polyrnn import Backend
from polyrnn.nests import NAMESPACE

Capability: TypeAlias = Literal["gradients", "compilation", "unknown_shapes"]

StepCalls: TypeAlias = Literal["each", "traced", "unrolled"]
"""How often a mode calls the step: once for each time step; a number of times that does not
depend on the time axis; or depending on how the framework unrolls Python loops."""

Function: TypeAlias = Callable[..., list[Any]]
"""A function of tensors, given one by one, that returns a list of tensors."""


class Harness:
    """Runs functions in the modes of a framework.

    The defaults fit a framework that is eager, without a compiler and without gradients.
    ``BackendInfo.harness`` names a subclass.

    Args:
        backend: The backend under test.
    """

    limitations: ClassVar[Mapping[Capability, str]] = {
        "gradients": "The plain harness does not differentiate.",
        "compilation": "The plain harness knows no compiler.",
        "unknown_shapes": "The plain harness has no tensors of unknown shape.",
    }
    """The capabilities that the backend lacks, each with one sentence that says why."""

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
    """The dtypes that the framework supports, among those that the suite tests."""

    modes: ClassVar[tuple[str, ...]] = ("eager",)
    """The ways in which the framework runs a function, such as eager and compiled.

    The first is the plain one, in which all rows run.
    """

    unknown_shape_modes: ClassVar[tuple[str, ...]] = ()
    """Those of `modes` in which sizes of axes are unknown while the function is traced."""

    traced_array_modes: ClassVar[tuple[str, ...]] = ()
    """Those of `modes` that trace NumPy arrays too, so that their values cannot be checked."""

    handwritten: ClassVar[str | None] = None
    """The class with the hand-written loops that ``polyrnn bench`` compares with.

    A subclass of ``polyrnn_benchmark.framework.Framework``, as ``"package.module:Class"``. If it
    is `None`, polyrnn is measured against `polyrnn.python_loop`.
    """

    devices: tuple[str, ...] = ()
    """The names of two or more devices for the tests of devices, if the framework has them.

    A device without values, such as torch's ``meta``, may be one of them.
    """

    follows_devices: ClassVar[bool] = True
    """Whether the framework computes on the device of the operands.

    `False` if it computes on a default device instead, wherever the operands are.
    """

    block_sizes: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    """For each mode, the numbers of time steps at which the backend changes how it loops.

    For each number n the suite tests n - 1, n, n + 1 and 2 n + 1 time steps; for a mode that calls
    each step and is not listed, around 16, 32, 128 and 256. In modes that trace the step, which is
    slow, it tests 2 n + 1 only.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def step_calls(self, mode: str) -> StepCalls:
        """Return how often one call of `polyrnn.rnn` calls the step in a mode.

        Args:
            mode: One of `modes`.

        Returns:
            ``"each"``: exactly once for each time step; the default for the first mode.
            ``"traced"``: a number of times that does not depend on the time axis; the
            default for the other modes. ``"unrolled"``: the framework unrolls Python
            loops itself, and the suite does not count calls.
        """
        return "each" if mode == self.modes[0] else "traced"

    def register_node(
        self, kind: type, take_apart: Callable[[Any], Sequence[Any]], rebuild: Callable[..., Any]
    ) -> None:
        """Register a class as a node of nests, as users of the framework do.

        Args:
            kind: The class; it is registered once in a process.
            take_apart: Returns the children of an instance.
            rebuild: Makes an instance from its children, which are its arguments.
        """
        optree.register_pytree_node(
            kind,
            lambda node: (tuple(take_apart(node)), None),
            lambda _, children: rebuild(*children),
            namespace=NAMESPACE,
        )

    def to_numpy(self, tensor: Any) -> np.ndarray[Any, Any]:
        """Return the values of a tensor as an array of the same dtype."""
        return np.asarray(tensor)

    def on_device(self, tensor: Any, device: str) -> Any:
        """Return a copy of a tensor on one of `devices`."""
        raise NotImplementedError

    def device_of(self, tensor: Any) -> str:
        """Return the name of the device of a tensor, as in `devices`."""
        raise NotImplementedError

    def has_values(self, device: str) -> bool:
        """Return whether tensors on a device have values that can be compared."""
        return True

    def run(self, mode: str, function: Function, tensors: Sequence[Any]) -> list[Any]:
        """Call a function in one of the modes.

        Args:
            mode: One of `modes`.
            function: A function of the tensors; it may be compiled anew at each call.
            tensors: Tensors of the framework.

        Returns:
            The list of tensors that the function returns.
        """
        return function(*tensors)

    def gradients(
        self, mode: str, function: Callable[..., Any], tensors: Sequence[Any]
    ) -> list[Any]:
        """Differentiate a function in one of the modes.

        Args:
            mode: One of `modes`.
            function: A function of the tensors that returns one tensor of shape ``()``.
            tensors: Floating-point tensors of the framework.

        Returns:
            The gradient with respect to each tensor; zeros for tensors without influence.
        """
        raise NotImplementedError(self.limitations["gradients"])
