"""The loop that torch.compile compiles: few steps written out, and more of them scanned.

torch.compile would write out a Python loop step by step, and take the longer to compile
the more steps there are.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from polyrnn import python_loop
from polyrnn.backend import Body, Carry
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
    """Walk from the first step to the last while a call is traced.

    Args:
        body: As in `polyrnn.Backend.loop`.
        carry: As in `polyrnn.Backend.loop`.
        xs: As in `polyrnn.Backend.loop`.
        unroll: Scan nothing.
        steps_per_round: How many time steps a scan takes at once.
        longest_written_out: Up to how many time steps nothing is scanned.

    Returns:
        The last carry and the stacked outputs.
    """
    length = xs[0].shape[0]
    in_dynamo = torch.compiler.is_dynamo_compiling()
    can_scan = not unroll and internals.can_scan(in_dynamo)
    # A length that is not static divides by one only.
    size, longest = 1, 1
    if can_scan and internals.has_static_value(length):
        size, longest = steps_per_round, longest_written_out
    remainder = length % size
    head = remainder or 1 if can_scan and length > longest else length
    walked, first = _walk(body, copied_carry(carry), [x[:head] for x in xs])
    results = [*_leaves(walked), *first]
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
        # That step served only to resolve what starts as `None`, and to let the front
        # end write down what it may not write down within a scan.
        return _scan(body, _resolved(carry, walked), xs, size)
    return last, [torch.cat(both) for both in zip(first, following, strict=True)]


def _slices_of(xs: Sequence[Any]) -> Iterator[Any]:
    """Give the slices of each time step, first to last."""
    return zip(*[x.unbind(0) for x in xs], strict=True)


def _walk(body: Body, carry: Carry, xs: Sequence[Any]) -> tuple[Carry, list[Any]]:
    """Walk in Python over copies, which the compiler leaves out where nothing is written."""
    # For gradients torch wants to see that a write into one slice changes no other. Masks and
    # integers have none, and each copy takes time to compile.
    differentiable = torch.is_grad_enabled()
    apart = [differentiable and (x.is_floating_point() or x.is_complex()) for x in xs]

    # Quoted, because torch.compile meets this definition and cannot subscript types.
    def owning(carry: Carry, slices: "list[Any]") -> "tuple[Carry, list[Any]]":
        own = [x.clone() if one else x for x, one in zip(slices, apart, strict=True)]
        carry, outputs = body(carry, own)
        return carry, copies(outputs)

    xs = [x if one else x.clone() for x, one in zip(xs, apart, strict=True)]
    return python_loop(owning, carry, _slices_of(xs), torch.stack)


def _is_scannable(results: list[Any]) -> bool:
    """Tell by the results of the first steps whether a scan gives right values and gradients."""
    return not _is_differentiated(results) and not any(_is_sharded(type(x)) for x in results)


def _is_differentiated(leaves: list[Any]) -> bool:
    """Tell by the results of the first steps whether gradients may be asked for.

    Inductor differentiates a scan wrongly (pytorch#153679, still so in torch 2.13). What
    takes part in any step takes part in the first, weights that it closes over included.
    """
    if torch.compiler.is_exporting():
        return False
    if internals.is_transformed():
        return True
    return torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)


@constant_in_traces
def _is_sharded(kind: type) -> bool:
    """Return whether tensors of a type are sharded over devices, which no scan takes."""
    # Nobody has such a tensor who has not imported this, which takes long.
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and issubclass(kind, module.DTensor)


def _scan(body: Body, carry: Carry, xs: list[Any], size: int) -> tuple[Carry, list[Any]]:
    """Scan over rounds of `size` steps, with a carry in which nothing is left to resolve."""
    if not torch.compiler.is_exporting():
        internals.allow_scalars()
    record = None
    if torch.compiler.is_dynamo_compiling():
        record = internals.record_of_writes()
        internals.let_break(True)
    sizes = [None if entry is None else len(entry) for entry in carry]

    def one_round(leaves: Any, slices: Any) -> Any:
        # A step may write into what it is given, but a round may not.
        following, outputs = _walk(body, copied_carry(_carry(leaves, sizes)), slices)
        return _owned(_leaves(following) or leaves), _owned(outputs)

    # Of xs that are not contiguous all would be copied in each round.
    rounds = _owned([x.unflatten(0, (-1, size)) for x in xs])
    # A scan has to carry something.
    start = _leaves(carry) or [xs[0].new_zeros(())]
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
