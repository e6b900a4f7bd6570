"""How the suite drives one framework: what a backend says of itself besides computing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import optree

from polyrnn import Backend
from polyrnn.nests import NAMESPACE

Capability: TypeAlias = Literal["gradients", "compilation", "unknown_shapes"]

StepCalls: TypeAlias = Literal["each", "traced", "unrolled"]
"""How often a mode calls the step: at each time step, a number of times that does not
depend on the time axis, or as the framework's own unrolling of Python loops has it."""

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

    unknown_shape_modes: ClassVar[tuple[str, ...]] = ()
    """Those of `modes` in which the sizes of the axes are not known while the function runs."""

    traced_array_modes: ClassVar[tuple[str, ...]] = ()
    """Those of `modes` in which NumPy arrays are traced, so that nobody knows what they hold."""

    handwritten: ClassVar[str | None] = None
    """Where ``polyrnn bench`` finds the loops that an expert writes by hand for the framework.

    That is a subclass of ``polyrnn_benchmark.framework.Framework``, as
    ``"package.module:Class"``. Without one polyrnn is measured against `polyrnn.python_loop`.
    """

    devices: tuple[str, ...] = ()
    """Two devices, or more, for the suite to put tensors on, where the framework has them.

    One that holds no values, such as torch's ``meta``, is one too.
    """

    follows_devices: ClassVar[bool] = True
    """Whether the framework computes where the tensors are, and not where it is told to."""

    block_sizes: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    """For each mode the numbers of time steps at which the backend changes how it loops.

    The suite walks over one step less, as many, one more, and twice as many and one. Modes that
    call each step are tried at 16, 32, 128 and 256 besides.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def step_calls(self, mode: str) -> StepCalls:
        """Tell how often a mode calls the step of one `polyrnn.rnn`.

        Args:
            mode: One of `modes`.

        Returns:
            ``"each"``: exactly once for each time step; the default for the first mode.
            ``"traced"``: a number of times that the time axis does not change; the
            default for the others. ``"unrolled"``: the framework unrolls Python loops
            by itself, and the suite does not count.
        """
        return "each" if mode == self.modes[0] else "traced"

    def register_node(
        self, kind: type, take_apart: Callable[[Any], Sequence[Any]], rebuild: Callable[..., Any]
    ) -> None:
        """Make a class a node of nests, in the way that the users of the framework would.

        Args:
            kind: The class; it is registered once.
            take_apart: Lists the children of an instance.
            rebuild: Makes an instance of its children, given one by one.
        """
        optree.register_pytree_node(
            kind,
            lambda node: (tuple(take_apart(node)), None),
            lambda _, children: rebuild(*children),
            namespace=NAMESPACE,
        )

    def to_numpy(self, tensor: Any) -> np.ndarray[Any, Any]:
        """Give the values of a tensor as an array of the same dtype."""
        return np.asarray(tensor)

    def on_device(self, tensor: Any, device: str) -> Any:
        """Return a tensor on one of `devices`."""
        raise NotImplementedError

    def device_of(self, tensor: Any) -> str:
        """Name the device of a tensor as in `devices`."""
        raise NotImplementedError

    def has_values(self, device: str) -> bool:
        """Return whether tensors on one of `devices` hold values that can be compared."""
        return True

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
