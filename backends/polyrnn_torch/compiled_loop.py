"""The loop that torch.compile traces: short loops are unrolled, longer ones become a scan.

torch.compile unrolls a Python loop, so that the time to compile it grows with the number of steps.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from polyrnn import python_loop
from polyrnn.backend import Body, Carry
from polyrnn.blocks import leaves_of
from polyrnn.marks import constant_in_traces
from polyrnn_torch import internals
from polyrnn_torch.eager_loop import copied_carry, copies


def compiled_loop(
    body: Body,
    carry: Carry,
    xs: list[Any],
    *,
    unroll: bool,
    steps_per_round: int,
    longest_written_out: int,
) -> tuple[Carry, list[Any]]:
    """Run a loop from the first step to the last in a call that is being traced.

    Args:
        body: As in `polyrnn.Backend.loop`.
        carry: As in `polyrnn.Backend.loop`.
        xs: As in `polyrnn.Backend.loop`.
        unroll: Whether to unroll the loop whatever its length.
        steps_per_round: How many time steps one iteration of a scan runs.
        longest_written_out: The length up to which loops are unrolled.

    Returns:
        The last carry and the stacked outputs.
    """
    length = xs[0].shape[0]
    in_dynamo = torch.compiler.is_dynamo_compiling()
    can_scan = not unroll and internals.can_scan(in_dynamo)
    # A length that is not static is known to be divisible by one only.
    size, longest = 1, 1
    if can_scan and internals.has_static_value(length):
        size, longest = steps_per_round, longest_written_out
    remainder = length % size
    head = remainder or 1 if can_scan and length > longest else length
    walked, first = _walk(body, copied_carry(carry), [x[:head] for x in xs])
    results = [*leaves_of(walked), *first]
    if head == length:
        wants_scan = not unroll and not can_scan and length > longest_written_out
        if wants_scan and _is_scannable(results):
            internals.warn_of_no_scan(in_dynamo)
        return walked, first
    rest = [x[head:] for x in xs]
    if not _is_scannable(results):
        last, following = _walk(body, walked, rest)
    elif remainder:
        last, following = _scan(body, walked, rest, size)
    else:
        # The first step was traced only to find the entries that start as `None`, and for the
        # front end to record the nest of the output, which it cannot do within a scan.
        return _scan(body, _resolved(carry, walked), xs, size)
    return last, [torch.cat(both) for both in zip(first, following, strict=True)]


def _slices_of(xs: Sequence[Any]) -> Iterator[Any]:
    """Return an iterator over the slices of each time step, from the first to the last."""
    return zip(*[x.unbind(0) for x in xs], strict=True)


def _walk(body: Body, carry: Carry, xs: Sequence[Any]) -> tuple[Carry, list[Any]]:
    """Run an unrolled loop over copies, which the compiler removes where no step writes."""
    # Slices are copied one by one where torch may differentiate, so that it sees that a write into
    # one slice changes no other. Masks and integers have no gradients, so they are copied whole:
    # each copy takes time to compile.
    differentiable = torch.is_grad_enabled()
    apart = [differentiable and (x.is_floating_point() or x.is_complex()) for x in xs]

    # The annotations are quoted, because torch.compile cannot trace subscripts of types.
    def owning(carry: Carry, slices: "list[Any]") -> "tuple[Carry, list[Any]]":
        own = [x.clone() if one else x for x, one in zip(slices, apart, strict=True)]
        carry, outputs = body(carry, own)
        return carry, copies(outputs)

    xs = [x if one else x.clone() for x, one in zip(xs, apart, strict=True)]
    return python_loop(owning, carry, _slices_of(xs), torch.stack)


def _is_scannable(results: list[Any]) -> bool:
    """Return whether a scan is correct, judging by the results of the first steps."""
    return not is_differentiated(results) and not any(_is_sharded(type(x)) for x in results)


def is_differentiated(leaves: list[Any]) -> bool:
    """Return whether gradients may be computed in a trace, judging by results of the first steps.

    Inductor computes wrong gradients of a scan (pytorch#153679, still open in torch 2.13). All
    tensors that the step uses, weights that it closes over included, take part in the first step.
    """
    if torch.compiler.is_exporting():
        return False
    if internals.is_transformed():
        return True
    return torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)


@constant_in_traces
def _is_sharded(kind: type) -> bool:
    """Return whether tensors of a type are sharded over devices, which a scan does not support."""
    # The module is slow to import, and has been imported wherever there are sharded tensors.
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and issubclass(kind, module.DTensor)


def _scan(body: Body, carry: Carry, xs: list[Any], size: int) -> tuple[Carry, list[Any]]:
    """Run a loop as a scan of `size` steps per iteration; `carry` has no entry left to find."""
    if not torch.compiler.is_exporting():
        internals.allow_scalars()
    record = None
    if torch.compiler.is_dynamo_compiling():
        record = internals.record_of_writes()
        internals.let_break(True)
    sizes = [None if entry is None else len(entry) for entry in carry]

    def one_round(leaves: Any, slices: Any) -> Any:
        # The step may write into its arguments, but the body of a scan may not.
        following, outputs = _walk(body, copied_carry(_carry(leaves, sizes)), slices)
        return _owned(leaves_of(following) or leaves), _owned(outputs)

    # If xs were not contiguous, the whole of them would be copied in each iteration.
    rounds = _owned([x.unflatten(0, (-1, size)) for x in xs])
    # A scan needs a carry with at least one tensor.
    start = leaves_of(carry) or [xs[0].new_zeros(())]
    last, outputs = internals.scan(one_round, _owned(start), rounds)
    if record is not None:
        internals.let_break(False)
        internals.go_on_with(record)
    return _carry(last, sizes), [y.flatten(0, 1) for y in outputs]


def _resolved(carry: Carry, following: Carry) -> Carry:
    return tuple(
        [torch.zeros_like(x) for x in new] if old is None and new is not None else old
        for old, new in zip(carry, following, strict=True)
    )


def _owned(tensors: Sequence[Any]) -> list[Any]:
    # The arguments of a scan and the results of its body may not share memory.
    return [x.clone(memory_format=torch.contiguous_format) for x in tensors]


def _carry(leaves: Sequence[Any], sizes: list[int | None]) -> Carry:
    entries: list[list[Any] | None] = []
    for size in sizes:
        entries.append(None if size is None else list(leaves[:size]))
        leaves = leaves[size or 0 :]
    return tuple(entries)
