"""A loop in blocks that keeps only the carry of each block for the backward pass.

Where torch.compile traces, this is `torch.utils.checkpoint`. Eagerly, its form with
``use_reentrant=False`` keeps every node of the graph, 12 kB for each step of an LSTM, which is two
thirds of what an ordinary loop keeps; and its form with ``use_reentrant=True`` refuses
`torch.autograd.grad`. So eagerly a block is an `autograd.Function` of its arguments and of every
tensor that it uses from outside, and the graph of the block is freed when the block has been
walked. Gradients of gradients are refused there, by torch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint, get_device_states, set_device_states

from polyrnn.backend import Carry, Walk
from polyrnn.blocks import flattened, leaves_of
from polyrnn_torch import internals
from polyrnn_torch.compiled_loop import is_differentiated

Flat = Callable[[list[Any]], list[Any]]
"""A walk over one block: takes and returns tensors alone."""


def checkpointed_loop(
    walk: Walk, carry: Carry, xs: list[Any], *, size: int, reverse: bool
) -> tuple[Carry, list[Any]]:
    """Walk block by block; see `polyrnn.Backend.checkpointed_loop`."""
    blocks = list(zip(*(x.split(size) for x in xs), strict=True))
    if reverse:
        blocks.reverse()
    collected = []
    is_traced = torch.compiler.is_compiling()
    if is_traced or any(entry is None for entry in carry):
        # The first block finds what the carry is where an entry starts as zeros.
        carry, outputs = walk(carry, list(blocks.pop(0)))
        collected.append(outputs)
    if is_traced and blocks and not is_differentiated(leaves_of(carry)):
        # The walk may be a scan, which torch.utils.checkpoint does not support.
        rest = slice(None, -size) if reverse else slice(size, None)
        carry, outputs = walk(carry, [x[rest] for x in xs])
        return carry, [torch.cat(pair) for pair in zip(collected[0], outputs, strict=True)]
    outside = _Outside() if internals.numbers_nodes and not is_traced else None
    for block in blocks:
        flat = flattened(walk, carry)
        given = [*flat.leaves, *block]
        if outside is None:
            results = checkpoint(flat.walk, given, use_reentrant=False)
        else:
            results = _checkpointed(flat.walk, given, outside)
        carry, outputs = flat.carry_and_outputs(results)
        collected.append(outputs)
    return carry, [torch.cat(parts) for parts in zip(*collected, strict=True)]


class _Outside(TorchFunctionMode):  # type: ignore[misc]
    """The tensors that blocks use without being given them, such as weights.

    While it is active, it notes those that functions of torch are given and that other functions
    have computed; tensors that nothing has computed are found without.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = 0
        """The number of the first node that the present block could have made."""
        self._tensors: dict[tuple[Any, int], Any] = {}

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        options = options or {}
        for value in _tensors_in([*arguments, *options.values()]):
            node = value.grad_fn
            if node is not None and internals.number(node) < self.first:
                self._tensors[node, value.output_nr] = value
        return function(*arguments, **options)

    def find(self, results: Sequence[Any], given: Sequence[Any]) -> list[Any] | None:
        """Return the tensors from outside that the results of the present block depend on.

        Args:
            results: What the block returned, with the graph that it made.
            given: The arguments of the block.

        Returns:
            The tensors; `None` if one of them is not known.
        """
        own = {id(x) for x in given}
        found: dict[int, Any] = {}
        seen = set()
        left = [(x.grad_fn, x.output_nr) for x in results if x.grad_fn is not None]
        while left:
            node, number = left.pop()
            variable = getattr(node, "variable", None)
            if variable is not None or internals.number(node) < self.first:
                tensor = self._tensors.get((node, number)) if variable is None else variable
                if tensor is None:
                    return None
                if id(tensor) not in own:
                    found[id(tensor)] = tensor
            elif node not in seen:
                seen.add(node)
                left.extend(edge for edge in node.next_functions if edge[0] is not None)
        return list(found.values())


def _tensors_in(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors_in(value)


def _checkpointed(flat: Flat, given: list[Any], outside: _Outside) -> list[Any]:
    """Walk a block, and keep for the backward pass only what it was given and uses."""
    again = _Again(flat, given)
    own = _on_their_own(given)
    outside.first = _next_node()
    results = again(own)
    if not any(x.requires_grad for x in results):
        return results
    used = outside.find(results, own)
    if used is None:
        # The block is the first that uses some tensor which was computed outside.
        own = _on_their_own(given)
        outside.first = _next_node()
        with outside:
            results = again.repeat(own)
        used = outside.find(results, own)
    if used is None:
        # A tensor that only a custom operation uses is not found. Then the block keeps its graph.
        return again.repeat(given)
    again.differentiated = [x.requires_grad for x in results]
    again.results = [x.detach() for x in results]
    return list(_Block.apply(again, len(given), *given, *used))


def _on_their_own(tensors: Sequence[Any]) -> list[Any]:
    """Return tensors of the same values without history, each of which gets its own gradient."""
    return [x.detach().requires_grad_(x.requires_grad) for x in tensors]


def _next_node() -> int:
    """Return the number of the next node of a graph; nodes are numbered as they are made."""
    mark: Any = torch.zeros((), requires_grad=True).view(())
    return internals.number(mark.grad_fn)


class _Again:
    """A block that can be walked repeatedly, with the same random numbers and precision.

    Args:
        flat: The walk over the block.
        given: Its arguments, whose devices matter.
    """

    def __init__(self, flat: Flat, given: Sequence[Any]) -> None:
        self.results: list[Any] | None = None
        """The results of the first time."""
        self.differentiated: list[bool] = []
        """Which of the results have a gradient."""
        self._flat = flat
        self._random = torch.get_rng_state()
        self._devices, self._states = get_device_states(*given)
        kinds = {x.device.type for x in given}
        self._precisions = [
            (kind, torch.get_autocast_dtype(kind))
            for kind in sorted(kinds)
            if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        ]

    def __call__(self, tensors: list[Any]) -> list[Any]:
        """Walk the block, for the first time."""
        with torch.enable_grad(), ExitStack() as stack:
            for kind, dtype in self._precisions:
                # The cache holds weights in a lower precision, whose graph belongs to one block.
                stack.enter_context(torch.autocast(kind, dtype=dtype, cache_enabled=False))
            return self._flat(tensors)

    def repeat(self, tensors: list[Any]) -> list[Any]:
        """Walk the block once more, with the random numbers of the first time."""
        with torch.random.fork_rng(devices=self._devices):
            torch.set_rng_state(self._random)
            set_device_states(self._devices, self._states)
            return self(tensors)


class _Block(torch.autograd.Function):  # type: ignore[misc]
    """A block as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, again: _Again, count: int, *tensors: Any) -> Any:
        results, again.results = again.results, None
        assert results is not None
        ctx.again, ctx.count = again, count
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(
            *(x for x, has in zip(results, again.differentiated, strict=True) if not has)
        )
        return tuple(results)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *slopes: Any) -> Any:
        tensors = ctx.saved_tensors
        own = _on_their_own(tensors[: ctx.count])
        results = ctx.again.repeat(own)
        used = tensors[ctx.count :]
        wanted = [x for x in (*own, *used) if x.requires_grad]
        ends = [
            (x, slope)
            for x, slope in zip(results, slopes, strict=True)
            if slope is not None and x.requires_grad
        ]
        found = iter(
            torch.autograd.grad(
                [x for x, _ in ends], wanted, [slope for _, slope in ends], allow_unused=True
            )
            if ends
            else [None] * len(wanted)
        )
        return None, None, *(next(found) if x.requires_grad else None for x in (*own, *used))
