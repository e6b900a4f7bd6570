"""The interface between the front end and a backend, which authors of backends implement."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias

from polyrnn import nests

Tensor: TypeAlias = Any
"""A tensor of the backend's framework.

The front end reads ``shape`` and ``dtype`` of a tensor and indexes it, either along every axis or
with an ``...`` (``x[-1, ...]``, ``x[None, ...]``, ``x[..., 0]``, ``x[:, :, None]``). For everything
else it calls the methods of the `Backend`.
"""

Carry: TypeAlias = tuple[list[Tensor] | None, ...]
"""The values that a loop passes from step to step; an entry that is `None` starts as zeros."""

Body: TypeAlias = Callable[[Carry, list[Tensor]], tuple[Carry, list[Tensor]]]
"""One step of a loop: ``(carry, slices) -> (carry, outputs)``."""

Walk: TypeAlias = Callable[[Carry, list[Tensor]], tuple[Carry, list[Tensor]]]
"""A loop over some time steps: ``(carry, xs) -> (carry, stacked outputs)``."""

_TENSOR_KEY = attrgetter("__class__", "dtype", "shape")


class CheckpointedLoop(Protocol):
    """The type of `Backend.checkpointed_loop`."""

    def __call__(
        self, walk: Walk, carry: Carry, xs: list[Tensor], /, *, size: int, reverse: bool
    ) -> tuple[Carry, list[Tensor]]:
        """Walk block by block."""


class Nests(Protocol):
    """The protocol for flattening nests of tensors; the module `polyrnn.nests` implements it."""

    def flatten(self, tree: Any, /) -> tuple[list[Any], Any]:
        """Return the leaves of a nest and its structure; structures can be compared by ``==``."""

    def unflatten(self, structure: Any, leaves: Sequence[Any], /) -> Any:
        """Return a nest of the given structure with the given leaves."""

    def paths(self, structure: Any, /) -> list[str]:
        """Return, for each leaf, the Python expression that reaches it, such as ``['a'][0]``."""


def _itself(x: Tensor) -> Tensor:
    return x


class Sharing(NamedTuple):
    """How a backend protects tensors that could share memory from steps that write into them.

    The defaults fit a framework whose tensors are immutable. In other frameworks, a step that
    writes into a tensor that it was given either works on a copy, or the call raises an error that
    names the tensor. Results share memory neither with each other nor with the arguments.

    Args:
        copy: Return a copy of a tensor in memory of its own. Results are copied where they might
            share memory with tensors that the caller or the step holds.
        hand_out: Return the states to pass to the step in place of the given ones, at each step:
            copies, where the step may write into them. `None` passes the states themselves.
        read_only: Return a read-only view of a constant; called once per call. `None` where the
            framework has no such views: then each step is given copies of the constants, unless
            writes are counted.
        counts: Return, for each of the given tensors, how often it was written into, or `None` if
            the writes into these tensors are not counted. Called twice at each step.
    """

    copy: Callable[[Tensor], Tensor] = _itself
    hand_out: Callable[[list[Tensor]], list[Tensor]] | None = None
    read_only: Callable[[Tensor], Tensor] | None = None
    counts: Callable[[Sequence[Tensor]], list[Any] | None] | None = None

    @property
    def copies_constants(self) -> bool:
        """Whether each step is given copies of the constants rather than the constants."""
        is_written = self.hand_out is not None
        return is_written and self.read_only is None and self.counts is None


_NO_WRITES = Sharing()


class Backend(ABC):
    """The base class of backends. A backend computes the loop with the tensors of one framework.

    What `polyrnn.rnn` means is decided by the front end alone, and is the same on every backend.

    A subclass must set `tensor_type` and `namespace` and implement the abstract methods: the
    three primitives `transpose`, `select` and `loop`, and the methods that masked calls need.
    All other methods have defaults. Some of them describe the tensors of the framework; override
    these where the framework differs from NumPy. The others are optimizations of speed or memory,
    and the docstring of each says when it is worth overriding.

    The front end checks all arguments before it calls a backend: leaves are tensors of the
    framework, time is the first axis and batch the second, and masks are boolean with shape
    ``(time, batch)``.
    """

    tensor_type: ClassVar[type[Any] | tuple[type[Any], ...]]
    """The type, or tuple of types, whose instances are tensors of the framework."""

    namespace: ClassVar[ModuleType]
    """The module that `polyrnn.namespace` returns for tensors of the framework.

    It has at least the functions ``tanh``, ``exp``, ``matmul``, ``where``, ``ones_like`` and
    ``logical_not``.
    """

    # The three primitives.

    @abstractmethod
    def transpose(self, x: Tensor) -> Tensor:
        """Swap the first two axes of a tensor of rank 2 or more."""

    @abstractmethod
    def select(self, mask: Tensor, on_true: Tensor, on_false: Tensor | None = None) -> Tensor:
        """Return `on_true` where the mask is true, and `on_false` elsewhere.

        Args:
            mask: A boolean tensor. Its axes correspond to the leading axes of `on_true` and
                broadcast against them; missing trailing axes count as axes of size 1.
            on_true: The tensor to select from where the mask is true.
            on_false: A tensor of the same dtype that broadcasts to the shape of `on_true`; `None`
                stands for zeros. Do not multiply by the mask instead: NaN times zero is NaN.

        Returns:
            A tensor with the shape and dtype of `on_true`.
        """

    @abstractmethod
    def loop(
        self, body: Body, carry: Carry, xs: list[Tensor], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Tensor]]:
        """Call the body once per time step and stack its outputs.

        Args:
            body: The function to call as ``body(carry, slices)``, where `slices` is the list of
                ``x[t]`` for each of `xs`. It returns the next carry and a list of outputs. If the
                list is empty, nothing is stacked.
            carry: A tuple of lists of tensors, the carry of the first step. An entry may be
                `None` there and a list in the carries that the body returns; `None` then stands
                for zeros of the same shapes and dtypes as that list. The body accepts `None`, so
                a Python loop can pass it on; a loop that is traced has to find the shapes first.
            xs: A list of at least one tensor, each with time as its first axis.
            reverse: Whether to loop from the last time step to the first.
            unroll: Whether to loop in plain Python; the number of steps is then static.

        Returns:
            The last carry, and each output stacked along a new first axis, in the order in which
            the steps were called.
        """

    # The other abstract methods: making tensors, and what masked calls need.

    @abstractmethod
    def convert(self, value: Any, like: Tensor | None = None) -> Tensor:
        """Convert a NumPy array, a Python number or a variable of the framework to a tensor.

        Args:
            value: The value to convert; a tensor of the framework is accepted as well.
            like: A tensor of the framework, to whose device the result is brought. With `None` a
                tensor stays on its device, and anything else goes to the default device.

        Returns:
            A tensor with the dtype of `value`; Python numbers get the default dtype of the
            framework.

        Raises:
            TypeError: If the value cannot be converted, or is a tensor that loops do not support,
                such as a sparse one. Its text becomes part of the error that the user sees, so it
                should say what to pass instead.
        """

    @abstractmethod
    def nonzero(self, x: Tensor) -> Tensor:
        """Return a boolean tensor that is true where an element of `x` is not zero."""

    @abstractmethod
    def length_mask(self, lengths: Tensor, like: Tensor) -> Tensor:
        """Return the mask that is true at the time steps before the end of each sample.

        Args:
            lengths: An integer tensor of shape ``(batch,)`` or ``()``.
            like: A tensor of shape ``(time, batch, ...)``, which gives the sizes of the mask.

        Returns:
            ``time < lengths`` as a boolean tensor of shape ``(time, batch)``.
        """

    @abstractmethod
    def take_first(self, mask: Tensor, xs: list[Tensor], *, reverse: bool = False) -> list[Tensor]:
        """Return the entries of tensors at the first time step at which the mask is true.

        Args:
            mask: A boolean tensor of shape ``(time, batch)``; `batch` is at least 1.
            xs: Tensors of shape ``(time, batch, ...)``.
            reverse: Whether to use the last time step at which the mask is true instead.

        Returns:
            For each tensor `x`, a tensor of shape ``(batch, ...)`` with the entries
            ``x[steps[b], b]``. Where the mask of a sample is never true, its step may be any,
            but has to be the same for all tensors.
        """

    # Methods that describe the tensors. The defaults fit a framework that is like NumPy.

    nests: Nests = nests
    """How nests are flattened. A backend may set another object or module, so that types which
    users registered with the framework count as nests."""

    def shape(self, x: Tensor) -> tuple[Any, ...] | None:
        """Return the static shape of a tensor, or `None` if not even its rank is known.

        A size in the tuple is an integer if it is known, else `None` or a symbolic dimension.
        """
        return tuple(x.shape)

    def dtype_name(self, x: Tensor) -> str:
        """Return the name that NumPy has for the dtype: ``float32``, ``bfloat16``, ``bool``."""
        return str(x.dtype)

    def flip(self, x: Tensor) -> Tensor:
        """Return a tensor with its first axis reversed."""
        return x[::-1, ...]

    def detach(self, x: Tensor) -> Tensor:
        """Return a tensor with the same values, through which no gradient flows.

        The default returns the tensor itself, for frameworks that do not differentiate.
        """
        return x

    def converts(self, value: Any) -> bool:
        """Return whether `convert` accepts a value whose type no installed backend defines.

        Return true where the type implements a conversion protocol of the framework that passes
        gradients on. A value that can only be converted to a NumPy array is not accepted. The
        default is false.
        """
        return False

    def devices(self) -> list[str]:
        """Return the framework's names of the available devices; empty if it has no devices."""
        return []

    def reads_arrays(self) -> bool:
        """Return whether the values and the dtype of a NumPy array can be read.

        They cannot while a compiler traces the array. Where they can be read, the front end checks
        the values of masks and lengths.
        """
        return True

    @property
    def sharing(self) -> Sharing:
        """How tensors that could share memory are protected from writes.

        The default is right for frameworks whose tensors are immutable.
        """
        return _NO_WRITES

    # Optional methods, for speed or memory.

    expands_masks: ClassVar[bool] = True
    """Whether the front end expands masks once to the rank of the tensors they are applied to.

    Set it to `False` where `select` is as fast with a mask that has the batch axis only.
    """

    @property
    def tensor_key(self) -> Callable[[Tensor], tuple[Any, ...]]:
        """A function that returns a cheap key (type, dtype, shape) that every step must preserve.

        It is called for each tensor at each step. Where the key differs from the key at the first
        step, the tensor is checked in full. Override it where reading the three attributes, as
        the default does, is slow or cannot be traced.
        """
        return _TENSOR_KEY

    @property
    def forward_fill(self) -> Callable[[Tensor, Tensor], Tensor] | None:
        """A function that fills in the outputs at masked steps after the loop, or `None`.

        It is called with a stacked output of shape ``(time, batch, ...)``, which it may overwrite,
        and a mask of shape ``(time, batch)``, whose first row counts as true. It returns the
        output with each masked entry replaced by the last entry before it that is not masked.
        Return a function where the loop runs in Python, because it saves a `select` at each
        step. Where a compiler fuses a step into one kernel, `None` is faster.
        """
        return None

    @property
    def checkpointed_loop(self) -> CheckpointedLoop | None:
        """A function that walks in blocks and saves memory in training, or `None`.

        It is called as ``checkpointed_loop(walk, carry, xs, size=size, reverse=reverse)``, and
        calls ``walk(carry, block)`` for each block of `size` time steps of `xs`, in the order of
        the walk. Of each block the backward pass keeps the carry that the block was given, and
        calls `walk` again for everything else, with the same random numbers. Gradients flow to
        everything that the step uses. The number of time steps is static and a multiple of
        `size`. The function returns what one `loop` over all of `xs` returns.

        Return `None` where the framework does not differentiate, or where the call is not
        differentiated; then the argument `checkpoint_every` of `rnn` changes nothing. A backend
        with this function needs ``concatenate`` in its `namespace`.
        """
        return None

    def fill(self, x: Tensor, mask: Tensor, stand_in: Tensor) -> Any:
        """Return an input whose masked entries are replaced.

        Override it where the loop can replace entries while it reads them. The result then need
        not be a tensor, and the input is not copied (NumPy: 500 MB for 10^6 steps of 128 floats).

        Args:
            x: A tensor of shape ``(time, batch, ...)``.
            mask: A boolean tensor of shape ``(time, batch)``.
            stand_in: The replacement where the mask is false, of shape ``(batch, ...)``.

        Returns:
            An object that the `loop` of this backend accepts as one of its `xs`.
        """
        return self.select(mask, x, stand_in)


def python_loop(
    body: Body,
    carry: Carry,
    steps: Iterable[list[Tensor]],
    stack: Callable[[list[Tensor]], Tensor],
    copy: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Carry, list[Tensor]]:
    """Call the body for each time step in plain Python.

    The `Backend.loop` of an eager framework can be a call of this function.

    Args:
        body: As in `Backend.loop`.
        carry: As in `Backend.loop`.
        steps: The slices of each time step, in the order of the walk.
        stack: Joins the outputs of all steps along a new first axis.
        copy: Copies each output before the next step is called; needed where a step could write
            into an output that it returned before.

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
        collected.append(outputs if copy is None else list(map(copy, outputs)))
    return carry, [stack(list(leaf)) for leaf in zip(*collected, strict=True)]
