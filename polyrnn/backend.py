"""The contract between the front end and a backend: what an author of a backend writes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import ModuleType
from typing import Any, ClassVar, TypeAlias

from polyrnn import nests

Tensor: TypeAlias = Any
"""A tensor of the backend's framework.

The front end asks it for ``shape`` and ``dtype``, and indexes every axis of it or ends in ``...``
(``x[-1, ...]``, ``x[None, ...]``, ``x[..., 0]``, ``x[:, :, None]``); everything else goes through
the methods of the `Backend`.
"""

Carry: TypeAlias = tuple[list[Tensor] | None, ...]
"""What a loop hands from step to step; an entry that is `None` starts as zeros."""

Body: TypeAlias = Callable[[Carry, list[Tensor]], tuple[Carry, list[Tensor]]]
"""One step of a loop: ``(carry, slices) -> (carry, outputs)``."""


HandOut: TypeAlias = Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]
"""``(states, constants) -> (states, constants)``."""


def _as_they_are(
    states: list[Tensor], constants: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    return states, constants


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendInfo:
    """What polyrnn knows of a backend before anything of it is imported.

    Args:
        name: The name users choose it by; the entry point has the same name.
        modules: The modules in which the types of its tensors are defined, with all modules
            within: ``"torch"``, or ``"mlx.core"``. The first is the one whose absence means "not
            installed". A module that another backend has already, polyrnn's own first, is not
            given to a second: its tensors choose the first, and this one is chosen by name.
        implementation: Where the `Backend` subclass is, as ``"package.module:Class"``;
            imported when the backend is chosen for the first time.
        install: What to give to ``pip install`` to get the framework.
        distribution: The distribution that carries the framework, where its name
            is not that of the first module.
        harness: Where the conformance suite finds the ``Harness`` of the backend, as
            ``"package.module:Class"``; without one the suite uses its plain eager one.

    Raises:
        TypeError: If a field is of a wrong type or form.

    Example:
        >>> BackendInfo(
        ...     name="numpy",
        ...     modules=("numpy",),
        ...     implementation="polyrnn_numpy.backend:NumpyBackend",
        ...     install="polyrnn",
        ... ).modules
        ('numpy',)
    """

    name: str
    modules: tuple[str, ...]
    implementation: str
    install: str
    distribution: str | None = None
    harness: str | None = None

    def __post_init__(self) -> None:
        # A forgotten comma makes a string of it, whose letters would pass for modules.
        modules = self.modules if isinstance(self.modules, tuple) else ()
        if not modules or not all(map(_is_dotted_name, modules)):
            raise TypeError(f"modules: expected a tuple of names, got {self.modules!r}")
        for field in ("name", "install"):
            value = getattr(self, field)
            if not isinstance(value, str) or not value:
                raise TypeError(f"{field}: expected a string, got {value!r}")
        if not isinstance(self.distribution, str | None):
            raise TypeError(f"distribution: expected a string or None, got {self.distribution!r}")
        for field in ("implementation", "harness"):
            value = getattr(self, field)
            if field == "harness" and value is None:
                continue
            parts = value.split(":") if isinstance(value, str) else []
            if len(parts) != 2 or not all(map(_is_dotted_name, parts)):
                raise TypeError(f'{field}: expected "package.module:Class", got {value!r}')


def _is_dotted_name(value: Any) -> bool:
    return isinstance(value, str) and all(part.isidentifier() for part in value.split("."))


_SPEC = attrgetter("__class__", "dtype", "shape")


class Backend(ABC):
    """Computes for one framework; decides nothing about what `polyrnn.rnn` means.

    A subclass names the type of its tensors and the module of its functions, and
    implements the three primitives (`transpose`, `select`, `loop`) and the facts
    about tensors that cannot be asked by operators. Everything it is handed is
    already checked: leaves are tensors of the framework, time is the first axis
    and batch the second, and masks are boolean with shape ``(time, batch)``.
    """

    tensor_type: ClassVar[type[Any] | tuple[type[Any], ...]]
    """The type, or types, whose instances are tensors of the framework."""

    namespace: ClassVar[ModuleType]
    """The module in which a step finds ``tanh``, ``exp``, ``matmul`` and ``where``."""

    expands_masks: ClassVar[bool] = True
    """Whether `select` is quicker with a mask expanded once to the rank of the tensor.

    `False` where it picks whole rows as quickly by a mask that has the batch axis only.
    """

    @abstractmethod
    def transpose(self, x: Tensor) -> Tensor:
        """Swap the first two axes of a tensor of rank 2 or more."""

    @abstractmethod
    def select(self, mask: Tensor, on_true: Tensor, on_false: Tensor | None = None) -> Tensor:
        """Pick per sample: where the mask is true the first tensor, elsewhere the second.

        Args:
            mask: Boolean; its axes are the leading axes of `on_true`, its shape
                broadcasts against them, and missing trailing axes count as 1.
            on_true: The tensor to take where the mask is true.
            on_false: A tensor of the same dtype that broadcasts to `on_true`;
                `None` stands for zeros. Multiplying by the mask is no substitute:
                NaN and infinity survive it.

        Returns:
            A tensor with the shape and dtype of `on_true`.
        """

    @abstractmethod
    def loop(
        self, body: Body, carry: Carry, xs: list[Tensor], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Tensor]]:
        """Call the body once per time step and stack what it puts out.

        Args:
            body: Called as ``body(carry, slices)``, where `slices` are ``x[t]`` for
                each of `xs`; returns the next carry and a list of outputs. The list
                may be empty: then nothing is stacked.
            carry: A tuple of lists of tensors. An entry may start as `None` and be a
                list afterwards: "zeros, of whatever the body returns there". The body
                accepts `None` itself, so a Python loop need not care; a loop that is
                traced finds the shapes beforehand.
            xs: Tensors, at least one, with time as the first axis.
            reverse: Walk from the last step to the first.
            unroll: Walk in plain Python; the number of steps is then static.

        Returns:
            The last carry, and each output stacked along a new first axis, in the
            order of the walk.
        """

    @abstractmethod
    def convert(self, value: Any, like: Tensor | None = None) -> Tensor:
        """Make a tensor of a NumPy array, a Python number or the framework's own variable.

        Where that fails the error becomes part of what the user is told; for a type of the
        framework that is no dense tensor it had better say what to pass instead.

        Args:
            value: What to convert; a tensor of the framework is accepted too.
            like: A tensor of the framework, on whose device the result shall be;
                `None` for the framework's default device.

        Returns:
            A tensor with the dtype of `value`; Python numbers get the framework's default.
        """

    def converts(self, value: Any) -> bool:
        """Return whether `convert` takes a value whose type no installed backend defines.

        It does where the type follows a protocol of the framework, under which gradients
        flow. What only offers its values to NumPy is refused, which is the default.
        """
        return False

    def native(self, x: Tensor) -> Tensor:
        """Return what the framework computes with: the tensor itself, or the same in its own form.

        NumPy, whose arrays may have the byte order of another machine, makes it that of this one.

        Raises:
            TypeError: If the tensor is of a kind that loops do not take, such as a sparse one;
                the text says why, and what to pass instead.
        """
        return x

    @abstractmethod
    def nonzero(self, x: Tensor) -> Tensor:
        """Tell element by element what is not zero, as a boolean tensor."""

    @abstractmethod
    def length_mask(self, lengths: Tensor, like: Tensor) -> Tensor:
        """Tell which time steps lie before the end of each sample.

        Args:
            lengths: Integers of shape ``(batch,)`` or ``()``.
            like: A tensor of shape ``(time, batch, ...)``.

        Returns:
            ``time < lengths`` as a boolean tensor of shape ``(time, batch)``.
        """

    @abstractmethod
    def first_true(self, mask: Tensor, *, reverse: bool = False) -> Tensor:
        """Return the index of the first true element along the first axis.

        Args:
            mask: Boolean, of shape ``(time, batch)``.
            reverse: Return the index of the last true element instead.

        Returns:
            Integers of shape ``(batch,)``; any index that exists where nothing is true.
        """

    @abstractmethod
    def take(self, x: Tensor, steps: Tensor) -> Tensor:
        """Pick one time step per sample.

        Args:
            x: A tensor of shape ``(time, batch, ...)``.
            steps: Integers of shape ``(batch,)``, as `first_true` returns them.

        Returns:
            ``x[steps[b], b]`` for each sample, of shape ``(batch, ...)``.
        """

    def new_axis(self, x: Tensor) -> Tensor:
        """Insert a second axis, of size 1."""
        return x[:, None, ...]

    def fused(self, function: Callable[..., Any], *tensors: Any) -> Any:
        """Call ``function(self, *tensors)``, which does several things with small tensors.

        A framework that takes long to dispatch an operation may compile them together.
        The function is one of a few that are always the same objects; it takes and returns
        tensors and lists of tensors.
        """
        return function(self, *tensors)

    def fill(self, x: Tensor, mask: Tensor, stand_in: Tensor) -> Any:
        """Return an input whose masked entries are replaced.

        Args:
            x: A tensor of shape ``(time, batch, ...)``.
            mask: Boolean, of shape ``(time, batch)``.
            stand_in: What to put where the mask is false, of shape ``(batch, ...)``.

        Returns:
            Something that the `loop` of this backend takes as one of its `xs`: a tensor, or
            a form that replaces entries while the loop reads them, which saves a copy.
        """
        return self.select(mask, x, stand_in)

    def copy(self, x: Tensor) -> Tensor:
        """Return the values of a tensor in memory of their own.

        Results are copied where they might share memory with what the caller or the step
        holds. The default returns the tensor itself, which is right where nobody can write
        into a tensor.
        """
        return x

    @property
    def hand_out(self) -> HandOut:
        """A function ``(states, constants) -> (states, constants)``: what a step is given.

        It is called at each step with lists of tensors. A framework whose tensors can be written
        into returns copies, so that a step may write into them, or implements `writes`. Constants
        need not be copied where `read_only` protects them. The default returns what it is given.
        """
        return _as_they_are

    def read_only(self, x: Tensor) -> Tensor:
        """Return a tensor in a form that a step cannot write into, if there is one.

        Constants are given to the step in this form.
        """
        return x

    @property
    def writes(self) -> Callable[[Sequence[Tensor]], list[Any] | None] | None:
        """A function that returns for each tensor a count of the writes into it.

        Where a step wrote into its states or into constants the call is refused. The function
        is called twice at each step; it returns `None` for tensors whose writes are not
        counted. `None` in its place says that no writes are counted.
        """
        return None

    def ones_like(self, x: Tensor) -> Tensor:
        """Give ones with the shape, dtype and device of a tensor."""
        return self.namespace.ones_like(x)

    @property
    def spec(self) -> Callable[[Tensor], tuple[Any, ...]]:
        """What tells of a tensor all that has to stay the same from step to step.

        It is asked for each tensor at each step. Where it differs a closer look is taken.
        """
        return _SPEC

    def detach(self, x: Tensor) -> Tensor:
        """Give the same values with no gradient; the tensor itself where there are none."""
        return x

    def fills_forward(self) -> bool:
        """Return whether outputs that masked steps repeat are filled in after the loop.

        `forward_fill` then saves a `select` at each step. That is quicker where the loop is
        one in Python, and slower where a compiler makes one kernel of a step.
        """
        return False

    def forward_fill(self, x: Tensor, mask: Tensor) -> Tensor:
        """Give each entry that is masked the last one before it that is not.

        Args:
            x: A stacked output, of shape ``(time, batch, ...)``. Nobody else has it, so it
                may be written into.
            mask: Boolean, of shape ``(time, batch)``. The first entries count as not masked.

        Returns:
            A tensor with the shape and dtype of `x`.
        """
        raise NotImplementedError

    def flip(self, x: Tensor) -> Tensor:
        """Reverse the first axis."""
        return x[::-1, ...]

    def shape(self, x: Tensor) -> tuple[Any, ...] | None:
        """Give the static shape: integers where known, else `None` or a symbolic dimension.

        `None` instead of a tuple says that not even the rank is known.
        """
        return tuple(x.shape)

    def dtype_name(self, x: Tensor) -> str:
        """Name the dtype as NumPy does: ``float32``, ``bfloat16``, ``int64``, ``bool``."""
        return str(x.dtype)

    def reads_arrays(self) -> bool:
        """Whether it is known what a NumPy array holds, and its dtype.

        Not where a compiler traces the array. What is known of a mask and of lengths is checked.
        """
        return True

    def devices(self) -> list[str]:
        """Name the devices a tensor may be on, as the framework does; empty where it says none."""
        return []

    def flatten(self, tree: Any) -> tuple[list[Any], Any]:
        """Take a nest apart into leaves and a structure that can be compared and unflattened."""
        return nests.flatten(tree)

    def unflatten(self, structure: Any, leaves: Sequence[Any]) -> Any:
        """Put a nest together again."""
        return nests.unflatten(structure, leaves)

    def paths(self, structure: Any) -> list[str]:
        """Name every leaf of a structure by the expression that reaches it."""
        return nests.paths(structure)


def python_loop(
    body: Body,
    carry: Carry,
    steps: Iterable[list[Tensor]],
    stack: Callable[[list[Tensor]], Tensor],
) -> tuple[Carry, list[Tensor]]:
    """Walk in plain Python; what `Backend.loop` of an eager framework can call.

    Args:
        body: As in `Backend.loop`.
        carry: As in `Backend.loop`.
        steps: The slices of each time step, in the order of the walk.
        stack: Joins the outputs of all steps along a new first axis.

    Returns:
        The last carry and the stacked outputs.

    Example:
        >>> def body(carry, slices):
        ...     total = carry[0][0] + slices[0]
        ...     return ([total],), [total]
        >>> python_loop(body, ([0],), [[1], [2], [3]], list)
        (([6],), [[1, 3, 6]])
    """
    collected: list[list[Tensor]] = []
    for slices in steps:
        carry, outputs = body(carry, slices)
        collected.append(outputs)
    return carry, [stack(list(leaf)) for leaf in zip(*collected, strict=True)]
