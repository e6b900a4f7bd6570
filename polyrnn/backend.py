"""The contract between the front end and a backend: what an author of a backend writes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias

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


_TENSOR_KEY = attrgetter("__class__", "dtype", "shape")


class Nests(Protocol):
    """How nests of tensors are taken apart; the module `polyrnn.nests` is one."""

    def flatten(self, tree: Any, /) -> tuple[list[Any], Any]:
        """Return the leaves of a nest and its structure, which can be compared."""

    def unflatten(self, structure: Any, leaves: Sequence[Any], /) -> Any:
        """Return the nest of a structure with other leaves."""

    def paths(self, structure: Any, /) -> list[str]:
        """Return for each leaf the expression that reaches it, such as ``['a'][0]``."""


def _itself(x: Tensor) -> Tensor:
    return x


class Sharing(NamedTuple):
    """How tensors that could share memory are kept apart.

    The defaults fit a framework whose tensors nobody can write into. Elsewhere a step that writes
    into what it is given either gets tensors of its own, or the call is refused with an error that
    names what was written into; and results share no memory with each other or with arguments.

    Args:
        copy: Returns the values of a tensor in memory of their own. Results are copied where they
            might share memory with what the caller or the step holds.
        hand_out: Returns for the states what a step is given in their place, at each step:
            copies, where the step may write into them. `None` hands out the states themselves.
        read_only: Returns a constant in a form that cannot be written into, once for each call.
            `None` where there is no such form; each step is then given copies of the constants,
            unless writes are counted.
        counts: Returns for each of some tensors a count of the writes into it, or `None` for
            tensors whose writes are not counted. Called twice at each step.
    """

    copy: Callable[[Tensor], Tensor] = _itself
    hand_out: Callable[[list[Tensor]], list[Tensor]] | None = None
    read_only: Callable[[Tensor], Tensor] | None = None
    counts: Callable[[Sequence[Tensor]], list[Any] | None] | None = None

    @property
    def copies_constants(self) -> bool:
        """Whether each step is given copies of the constants."""
        is_written = self.hand_out is not None
        return is_written and self.read_only is None and self.counts is None


_NO_WRITES = Sharing()


class Backend(ABC):
    """Computes for one framework; decides nothing about what `polyrnn.rnn` means.

    A subclass must name the type of its tensors and a namespace, and implement the methods
    that are abstract: the three primitives `transpose`, `select` and `loop`, and what else a
    masked call needs. All other methods have defaults. Some are facts about tensors, to be
    changed where a framework differs from NumPy. The rest is optional, for speed or memory;
    each says when it pays.

    Everything that a backend is handed is checked already: leaves are tensors of the
    framework, time is the first axis and batch the second, and masks are boolean with shape
    ``(time, batch)``.
    """

    tensor_type: ClassVar[type[Any] | tuple[type[Any], ...]]
    """The type, or types, whose instances are tensors of the framework."""

    namespace: ClassVar[ModuleType]
    """The module in which a step finds ``tanh``, ``exp``, ``matmul``, ``where``, ``ones_like``."""

    # The three primitives.

    @abstractmethod
    def transpose(self, x: Tensor) -> Tensor:
        """Swap the first two axes of a tensor of rank 2 or more."""

    @abstractmethod
    def select(self, mask: Tensor, on_true: Tensor, on_false: Tensor | None = None) -> Tensor:
        """Return the first tensor where the mask is true, and the second elsewhere.

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

    # What else has to be written: making tensors, and what masked calls need.

    @abstractmethod
    def convert(self, value: Any, like: Tensor | None = None) -> Tensor:
        """Return a tensor made of a NumPy array, a Python number or the framework's variable.

        Args:
            value: What to convert; a tensor of the framework is accepted too.
            like: A tensor of the framework, on whose device the result shall be;
                `None` for the framework's default device, and for that of a tensor.

        Returns:
            A tensor with the dtype of `value`; Python numbers get the framework's default.

        Raises:
            TypeError: If the value cannot be converted, or is a tensor that loops do not take,
                such as a sparse one. The text becomes part of the error that the user sees; it
                says what to pass instead.
        """

    @abstractmethod
    def nonzero(self, x: Tensor) -> Tensor:
        """Return element by element whether it is not zero, as a boolean tensor."""

    @abstractmethod
    def length_mask(self, lengths: Tensor, like: Tensor) -> Tensor:
        """Return which time steps lie before the end of each sample.

        Args:
            lengths: Integers of shape ``(batch,)`` or ``()``.
            like: A tensor of shape ``(time, batch, ...)``.

        Returns:
            ``time < lengths`` as a boolean tensor of shape ``(time, batch)``.
        """

    @abstractmethod
    def take_first(self, mask: Tensor, xs: list[Tensor], *, reverse: bool = False) -> list[Tensor]:
        """Return the entries of tensors at the first time step at which a mask is true.

        Args:
            mask: Boolean, of shape ``(time, batch)``; `batch` is at least 1.
            xs: Tensors of shape ``(time, batch, ...)``.
            reverse: Take the last time step at which the mask is true instead.

        Returns:
            ``x[steps[b], b]`` for each sample `b` of each tensor, of shape ``(batch, ...)``.
            Where the mask of a sample is never true, any time step will do, the same for
            all tensors.
        """

    # Facts about tensors. The defaults fit a framework that is like NumPy.

    nests: Nests = nests
    """How nests are taken apart; a framework may bring its own, so that what its users
    registered with it is a nest."""

    def shape(self, x: Tensor) -> tuple[Any, ...] | None:
        """Return the static shape: integers where known, else `None` or a symbolic dimension.

        `None` instead of a tuple says that not even the rank is known.
        """
        return tuple(x.shape)

    def dtype_name(self, x: Tensor) -> str:
        """Return the name of the dtype as NumPy has it: ``float32``, ``bfloat16``, ``bool``."""
        return str(x.dtype)

    def flip(self, x: Tensor) -> Tensor:
        """Reverse the first axis."""
        return x[::-1, ...]

    def detach(self, x: Tensor) -> Tensor:
        """Return the same values with no gradient; the tensor itself where there are none."""
        return x

    def converts(self, value: Any) -> bool:
        """Return whether `convert` takes a value whose type no installed backend defines.

        It does where the type follows a protocol of the framework that passes gradients on. A
        value that only offers its values to NumPy is refused, which is the default.
        """
        return False

    def devices(self) -> list[str]:
        """Return the devices that a tensor may be on, by the framework's names, if it has any."""
        return []

    def reads_arrays(self) -> bool:
        """Whether it is known what a NumPy array holds, and its dtype.

        Not where a compiler traces the array. What is known of a mask and of lengths is checked.
        """
        return True

    @property
    def sharing(self) -> Sharing:
        """How tensors that could share memory are kept apart.

        The default is right where nobody can write into a tensor.
        """
        return _NO_WRITES

    # Optional, for speed or memory.

    expands_masks: ClassVar[bool] = True
    """Whether `select` is quicker with a mask expanded once to the rank of the tensor.

    `False` pays where it picks whole rows as quickly by a mask that has the batch axis only.
    """

    @property
    def tensor_key(self) -> Callable[[Tensor], tuple[Any, ...]]:
        """A function that returns a cheap key (type, dtype, shape) that every step must preserve.

        It is called for each tensor at each step; where the key differs from that of the
        first step, the tensor is checked in full. Another function pays where the default,
        which reads the three attributes, is slow or cannot be traced.
        """
        return _TENSOR_KEY

    @property
    def forward_fill(self) -> Callable[[Tensor, Tensor], Tensor] | None:
        """A function that repeats outputs at masked steps after the loop, or `None`.

        It is called with a stacked output of shape ``(time, batch, ...)``, which nobody else
        has, and the mask ``(time, batch)``, whose first row counts as true. It returns each
        entry that is masked as the last one before it that is not. It pays where the loop is
        one in Python, for it saves a `select` at each step; where a compiler makes one kernel
        of a step, `None` is faster.
        """
        return None

    def fill(self, x: Tensor, mask: Tensor, stand_in: Tensor) -> Any:
        """Return an input whose masked entries are replaced.

        Another form than a tensor pays where the loop can replace entries while it reads
        them, which saves a copy of the input (NumPy: 500 MB for 10^6 steps of 128 floats).

        Args:
            x: A tensor of shape ``(time, batch, ...)``.
            mask: Boolean, of shape ``(time, batch)``.
            stand_in: What to put where the mask is false, of shape ``(batch, ...)``.

        Returns:
            Something that the `loop` of this backend takes as one of its `xs`.
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

    `Backend.loop` of an eager framework can consist of it.

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
