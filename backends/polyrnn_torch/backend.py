"""What torch does its own way: a Python loop as it is, and a scan where it compiles.

The scan is why this is longer than a hundred lines: torch.compile would write out a
Python loop step by step, and take the longer to compile the more steps there are.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from torch._higher_order_ops.scan import scan
from torch.fx.experimental.symbolic_shapes import has_static_value

from polyrnn import Backend, python_loop
from polyrnn.backend import Body, Carry
from polyrnn.registry import constant_in_traces

_CONVERTED = (np.ndarray, np.generic, bool, int, float, complex)


class TorchBackend(Backend):
    """Computes with torch tensors.

    The step is called once for each time step, and traced as often where torch.compile
    traces a training step. Where it traces for inference, the step is traced at most
    `longest_written_out` times, however many time steps there are.
    """

    tensor_type: ClassVar = torch.Tensor
    namespace: ClassVar = torch

    steps_per_round: ClassVar[int] = 8
    """How many time steps a compiled loop takes at once, for each round has its price."""

    longest_written_out: ClassVar[int] = 32
    """Up to how many time steps a compiled loop is none: so few run faster written out.

    At least ``2 * steps_per_round - 1``, which is what a scan may have written out.
    """

    @property
    def spec(self) -> Callable[[Any], tuple[Any, ...]]:
        return _spec if torch.compiler.is_compiling() else super().spec

    def transpose(self, x: Any) -> Any:
        return x.transpose(0, 1)

    def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        if mask.ndim < on_true.ndim:
            mask = mask.reshape(mask.shape + (1,) * (on_true.ndim - mask.ndim))
        # False is the zero that widens no dtype.
        return torch.where(mask, on_true, False if on_false is None else on_false)

    def loop(
        self, body: Body, carry: Carry, xs: list[Any], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Any]]:
        if not torch.compiler.is_compiling():
            return python_loop(body, carry, _steps(xs, reverse), torch.stack)
        if reverse:
            xs = [x.flip(0) for x in xs]
        length = xs[0].shape[0]
        # A length that is not static divides by one only.
        size, longest = 1, 1
        if has_static_value(length):
            size, longest = self.steps_per_round, self.longest_written_out
        remainder = length % size
        head = length if unroll or length <= longest else remainder or 1
        walked, first = _walk(body, carry, [x[:head] for x in xs])
        if head == length:
            return walked, first
        rest = [x[head:] for x in xs]
        if _is_differentiated([*_leaves(walked), *first]):
            last, following = _walk(body, walked, rest)
        elif remainder:
            last, following = _scan(body, walked, rest, size)
        else:
            # That step served only to resolve what starts as `None`, and to let the front
            # end write down what it may not write down within a scan.
            return _scan(body, _resolved(carry, walked), xs, size)
        return last, [torch.cat(both) for both in zip(first, following, strict=True)]

    def convert(self, value: Any, like: Any = None) -> Any:
        device = None if like is None else like.device
        if isinstance(value, torch.Tensor):
            return value.to(device)
        if torch.compiler.is_compiling():
            # What torch itself refuses there cannot be caught where it is traced.
            if not isinstance(value, _CONVERTED):
                raise TypeError(f"expected numbers, got {type(value).__name__}")
        elif isinstance(value, (np.ndarray, np.generic)):
            value = _from_numpy(value)
        return torch.as_tensor(value, device=device)

    def nonzero(self, x: Any) -> Any:
        return x if x.dtype == torch.bool else x != 0

    def length_mask(self, lengths: Any, like: Any) -> Any:
        time, batch = like.shape[:2]
        steps = torch.arange(time, device=like.device)
        return (steps[:, None] < lengths.long()).expand(time, batch)

    def first_true(self, mask: Any) -> Any:
        return mask.to(torch.uint8).argmax(0)

    def take(self, x: Any, steps: Any) -> Any:
        return x[steps, torch.arange(x.shape[1], device=x.device)]

    def detach(self, x: Any) -> Any:
        return x.detach()

    def fills_forward(self) -> bool:
        return not torch.compiler.is_compiling()

    def forward_fill(self, x: Any, mask: Any) -> Any:
        time, batch = mask.shape
        steps = torch.arange(time, device=x.device)[:, None]
        steps = torch.where(mask, steps, 0).cummax(0).values
        # One index for whole rows is quicker than two, and so is its gradient.
        rows = (steps * batch + torch.arange(batch, device=x.device)).flatten()
        return x.flatten(0, 1).index_select(0, rows).unflatten(0, (time, batch))

    def flip(self, x: Any) -> Any:
        return x.flip(0)

    def dtype_name(self, x: Any) -> str:
        return str(x.dtype).removeprefix("torch.")

    def devices(self) -> list[str]:
        accelerator = torch.accelerator.current_accelerator()
        count = torch.accelerator.device_count()
        return ["cpu", *(f"{accelerator.type}:{number}" for number in range(count))]

    def integers(self, array: Any) -> list[int]:
        return [] if torch.compiler.is_compiling() else super().integers(array)

    def flatten(self, tree: Any) -> tuple[list[Any], Any]:
        leaves, structure = super().flatten(tree)
        return leaves, _Structure(structure)

    def unflatten(self, structure: Any, leaves: Sequence[Any]) -> Any:
        return super().unflatten(structure.known, leaves)

    def paths(self, structure: Any) -> list[str]:
        return super().paths(structure.known)


def _spec(x: Any) -> tuple[Any, ...]:
    # What tells it elsewhere torch.compile cannot trace.
    return type(x), x.dtype, x.shape


class _Structure:
    """A structure that optree made, or torch.compile in its place.

    Both meet where a step cannot be compiled: what lies before it was, what lies after
    it was not. Neither finds the other equal.
    """

    def __init__(self, known: Any) -> None:
        self.known = known

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Structure) and _are_alike(self.known, other.known)


def _are_alike(one: Any, other: Any) -> bool:
    if type(one) is type(other):
        return bool(one == other)
    return (
        one.type is other.type
        and one.entries() == other.entries()
        and all(map(_are_alike, one.children(), other.children()))
    )


def _from_numpy(value: Any) -> torch.Tensor:
    # torch reads neither negative strides nor foreign byte orders, warns of what it
    # cannot write to, and does not know bfloat16 in the form that numpy has of it.
    array = np.require(value, value.dtype.newbyteorder("="), ["C", "W"])
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _steps(xs: list[Any], reverse: bool) -> Iterator[list[Any]]:
    """Slice block by block: slices are small, but not when there are very many of them."""
    blocks = list(zip(*[x.split(256) for x in xs], strict=True))
    slices = map(_reversed_slices if reverse else _slices, blocks[:: -1 if reverse else 1])
    return map(list, chain.from_iterable(slices))


def _slices(block: Sequence[Any]) -> Iterator[Any]:
    return zip(*[x.unbind(0) for x in block], strict=True)


def _reversed_slices(block: Sequence[Any]) -> Iterator[Any]:
    return zip(*[x.unbind(0)[::-1] for x in block], strict=True)


def _walk(body: Body, carry: Carry, xs: Sequence[Any]) -> tuple[Carry, list[Any]]:
    return python_loop(body, carry, map(list, _slices(xs)), torch.stack)


def _is_differentiated(leaves: list[Any]) -> bool:
    """Tell by the results of the first steps whether gradients may be asked for.

    Inductor differentiates a scan wrongly (pytorch#153679, still so in torch 2.13). What
    takes part in any step takes part in the first, weights that it closes over included.
    """
    if torch.compiler.is_exporting():
        return False
    if _is_transformed():
        return True
    return torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)


@constant_in_traces
def _is_transformed() -> bool:
    """Tell whether a transformation of torch.func is being traced, which may differentiate."""
    return torch._C._functorch.maybe_current_level() is not None


def _scan(body: Body, carry: Carry, xs: list[Any], size: int) -> tuple[Carry, list[Any]]:
    """Scan over rounds of `size` steps, with a carry in which nothing is left to resolve."""
    if not torch.compiler.is_exporting():
        _allow_scalars()
    sizes = [None if entry is None else len(entry) for entry in carry]

    def one_round(leaves: Any, slices: Any) -> Any:
        following, outputs = _walk(body, _carry(leaves, sizes), slices)
        return _owned(_leaves(following) or leaves), _owned(outputs)

    # Of xs that are not contiguous all would be copied in each round.
    rounds = _owned([x.reshape(-1, size, *x.shape[1:]) for x in xs])
    # A scan has to carry something.
    start = _leaves(carry) or [xs[0].new_zeros(())]
    last, outputs = scan(one_round, _owned(start), rounds)
    return _carry(last, sizes), [y.flatten(0, 1) for y in outputs]


@constant_in_traces
def _allow_scalars() -> None:
    """Let Inductor read the number of the round, by which it takes the slices of a scan.

    Unless told ``fullgraph=True``, torch.compile lets no scalar be read in what it traces,
    and Inductor fails on every scan for it. Where user code reads a scalar the graph still
    breaks, for the tracer itself does not go by this setting.
    """
    symbols = torch._guards.TracingContext.get().fake_mode.shape_env
    symbols.settings = dataclasses.replace(symbols.settings, allow_scalar_outputs=True)


def _resolved(carry: Carry, following: Carry) -> Carry:
    return tuple(
        [torch.zeros_like(x) for x in new] if old is None and new is not None else old
        for old, new in zip(carry, following, strict=True)
    )


def _owned(tensors: Sequence[Any]) -> list[Any]:
    # What goes into a scan and what comes out of a round may share no memory.
    return [x.clone(memory_format=torch.contiguous_format) for x in tensors]


def _leaves(carry: Carry) -> list[Any]:
    return [leaf for entry in carry if entry is not None for leaf in entry]


def _carry(leaves: Sequence[Any], sizes: list[int | None]) -> Carry:
    entries: list[list[Any] | None] = []
    for size in sizes:
        entries.append(None if size is None else list(leaves[:size]))
        leaves = leaves[size or 0 :]
    return tuple(entries)
