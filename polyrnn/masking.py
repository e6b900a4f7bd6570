"""What a masked step does: everything about it except how masks and lengths are read.

At a masked step the states stay, and the output is the one before it or zeros. The step function
is called all the same, with a pair of input and state that occurs in the data, so that padding
reaches neither values nor gradients.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from polyrnn.backend import Backend, Sharing, Tensor
from polyrnn.boundaries import Boundaries
from polyrnn.expanded_masks import ExpandedMask
from polyrnn.nests import Nest
from polyrnn.reading import leaf_name
from polyrnn.sizes import Sizes, sizes_agree

Give: TypeAlias = Callable[[list[Tensor], list[Tensor]], list[Tensor]]
"""``(slices, states) -> states``: what the step is given for the states of the walk."""

Hold: TypeAlias = Callable[
    [list[Tensor], list[Tensor], list[Tensor], list[Tensor], Any],
    tuple[list[Tensor], list[Tensor], Any],
]
"""``(slices, output, new_states, states, held) -> (output, states, held)``."""


class Masking(NamedTuple):
    """The mask of a walk, and what is done with it.

    Args:
        backend: The backend.
        expanded: Where steps count, with the ranks at which steps need the mask.
        stand_ins: For each state the tensor that a masked step is given in its place; `None`
            for a state that belongs to the walk, and advances at masked steps too.
        zeroes_output: Whether the output of a masked step is zeros.
        all_outputs: Whether the outputs of all steps are wanted.
        reverse: Whether the walk goes from the last step to the first.
        forward_fill: Repeats outputs in one operation after the loop; `None` where they are held
            in the loop, or masked ones are zeros.
    """

    backend: Backend
    expanded: ExpandedMask
    stand_ins: list[Tensor | None]
    zeroes_output: bool
    all_outputs: bool
    reverse: bool
    forward_fill: Callable[[Tensor, Tensor], Tensor] | None

    def slices(self) -> list[Tensor]:
        """Return what the loop slices besides the inputs: the mask, once for each rank."""
        return self.expanded.slices()

    def give(self, input_count: int, sharing: Sharing) -> Give:
        """Return a function that gives a step its states: at masked steps the stand-ins.

        Args:
            input_count: How many slices come before those of `slices`.
            sharing: How tensors that could share memory are kept apart.
        """
        select, hand_out = self.backend.select, sharing.hand_out
        parts = list(zip(self.expanded.positions(input_count), self.stand_ins, strict=True))

        # Quoted, because torch.compile meets this definition and cannot subscript types.
        def give(slices: "list[Tensor]", states: "list[Tensor]") -> "list[Tensor]":
            return [
                # A selected tensor is new, so that the step may write into it.
                select(slices[mask], state, stand_in)
                if mask is not None
                else (state if hand_out is None else hand_out([state])[0])
                for state, (mask, stand_in) in zip(states, parts)  # noqa: B905 - slower
            ]

        return give

    def hold(self, input_count: int) -> Hold:
        """Return a function that holds states, and outputs where they are held in the loop.

        `held`, what the loop carries for it, is the initial output before the first step, and
        `None` where that is zeros. Where masked steps put out zeros, or `finish` repeats the
        outputs, later steps need nothing of it.

        Args:
            input_count: How many slices come before those of `slices`.
        """
        select, masks = self.backend.select, self.expanded.positions(input_count)
        zeroes, all_outputs = self.zeroes_output, self.all_outputs
        fills_later = self.forward_fill is not None
        nothing: list[Tensor] = []

        def hold(
            slices: "list[Tensor]",
            output: "list[Tensor]",
            new_states: "list[Tensor]",
            states: "list[Tensor]",
            held: Any,
        ) -> "tuple[list[Tensor], list[Tensor], Any]":
            new_states = [
                new if mask is None else select(slices[mask], new, state)
                for new, state, mask in zip(new_states, states, masks)  # noqa: B905
            ]
            if zeroes:
                return output, new_states, None if all_outputs else output
            if held is None or not fills_later:
                before = [None] * len(output) if held is None else held
                mask = slices[input_count]
                output = [select(mask, new, old) for new, old in zip(output, before, strict=True)]
            return output, new_states, nothing if fills_later else output

        return hold

    def finish(
        self, stacked: list[Tensor], last: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the outputs of all steps and the last one, with masked ones zeroed or repeated.

        Args:
            stacked: The outputs of the walk, ``(time, batch, ...)``, in its order; or none.
            last: The leaves of the last output, where `stacked` has none.
        """
        if not self.zeroes_output and self.forward_fill is None:
            return stacked, last
        backend, mask = self.backend, self.expanded.mask
        walked = backend.flip(mask) if self.reverse else mask
        if self.forward_fill is not None:
            return [self.forward_fill(output, walked) for output in stacked], last
        stacked = [backend.select(walked, output) for output in stacked]
        last = [backend.select(walked[-1, ...], output) for output in last]
        return stacked, last

    def batch(self) -> Any:
        """Return the number of samples, `None` or symbolic where it is not static."""
        shape = self.backend.shape(self.expanded.mask)
        return None if shape is None else shape[1]


def make_masking(
    backend: Backend,
    mask: Tensor,
    inputs: list[Tensor],
    states: list[Tensor],
    boundaries: Boundaries | None,
    *,
    zeroes_output: bool,
    all_outputs: bool,
    reverse: bool,
    starts_with_zeros: bool,
) -> tuple[Masking, list[Tensor]]:
    """Prepare a masked walk.

    Args:
        backend: The backend.
        mask: Where steps count, booleans of shape ``(time, batch)``.
        inputs: The leaves of the inputs, ``(time, batch, ...)``.
        states: The leaves of the initial states.
        boundaries: What happens between the steps.
        zeroes_output: Whether the output of a masked step is zeros.
        all_outputs: Whether the outputs of all steps are wanted.
        reverse: Whether the walk goes from the last step to the first.
        starts_with_zeros: Whether what masked steps repeat is zeros before the first step, and
            never becomes zeros again.

    Returns:
        The masking, and the inputs with their masked entries replaced, in the form that the
        loop of the backend takes.
    """
    expanded = ExpandedMask.of(backend, mask, states)
    sampled = expanded.of_samples(states)
    if boundaries is not None:
        sampled = boundaries.first_met(mask, sampled, reverse=reverse)
    filled, stand_ins = pairs(backend, mask, inputs, sampled, reverse=reverse)
    remaining = iter(stand_ins)
    fills_later = starts_with_zeros and all_outputs and not zeroes_output
    masking = Masking(
        backend=backend,
        expanded=expanded,
        stand_ins=[None if rank is None else next(remaining) for rank in expanded.ranks],
        zeroes_output=zeroes_output,
        all_outputs=all_outputs,
        reverse=reverse,
        forward_fill=backend.forward_fill if fills_later else None,
    )
    return masking, filled


def pairs(
    backend: Backend, mask: Tensor, xs: list[Tensor], states: list[Tensor], *, reverse: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and states that the step is given where it is masked.

    A masked step is given a pair that occurs in the data: the first valid input of the
    sample, in the order of the walk, and the state that the sample meets it with, which is
    the initial one. A sample without a valid step is given the pair of another sample. Where
    no sample has a valid step, the inputs are ones (integers: zeros) and the states are those
    of the sample itself.

    Selecting among the results of the step would clean the values only: a gradient of zero
    times the infinite slope of what was not selected is NaN. A valid input beside the state
    of the moment does not help either: the step may divide by their difference.

    Args:
        backend: The backend.
        mask: Where steps count, ``(time, batch)``.
        xs: The leaves of the inputs, ``(time, batch, ...)``.
        states: The states that samples meet their first valid inputs with, ``(batch, ...)``.
        reverse: Whether the walk goes from the last step to the first.

    Returns:
        The inputs with their masked entries replaced, in the form that the loop of the backend
        takes, and for each state the tensor to give the step in its place.
    """
    if backend.shape(mask)[1] == 0:  # type: ignore[index]  # the rank is known: it was checked
        return xs, states
    # The results for these pairs are not used, so that their gradient is zero.
    detached = list(map(backend.detach, states))
    is_valid, *own = backend.take_first(mask, [mask, *map(backend.detach, xs)], reverse=reverse)
    # Seen as the time steps of a single sample, the samples have a first valid one, too.
    validity, *as_steps = [x[:, None, ...] for x in (is_valid, *own, *detached)]
    any_valid, *shared = backend.take_first(validity, [validity, *as_steps])

    filled = []
    for x, entry, other in zip(xs, own, shared, strict=False):
        is_float = backend.dtype_name(x).startswith(("float", "bfloat", "complex"))
        neutral = backend.namespace.ones_like(other) if is_float else None
        stand_in = backend.select(is_valid, entry, backend.select(any_valid, other, neutral))
        filled.append(backend.fill(x, mask, stand_in))

    stand_ins = []
    for state, other in zip(detached, shared[len(xs) :], strict=True):
        own_or_other = backend.select(is_valid, state, other)
        stand_ins.append(backend.select(any_valid, own_or_other, state))
    return filled, stand_ins


def check_masked_states(backend: Backend, named: str, states: Nest, sizes: Sizes) -> None:
    """Check that masked steps can hold the states.

    Args:
        backend: The backend.
        named: The argument that masks, ``"mask"``, ``"input_length"`` or ``"reset"``.
        states: The initial states.
        sizes: The sizes of the inputs.

    Raises:
        ValueError: If there are no states, or if a leaf of rank 1 or more does not have the
            batch as its first axis.
    """
    if not backend.nests.unflatten(states.structure, states.leaves):
        what = "a reset replaces" if named == "reset" else "masked steps leave as they are"
        raise ValueError(f"{named}: expected initial_states, which {what}; got none")
    for position, state in enumerate(states.leaves):
        shape = backend.shape(state)
        if shape and not sizes_agree(shape[0], sizes.batch):
            place = leaf_name(backend, "initial_states", states.structure, position)
            raise ValueError(
                f"{place}: expected the batch ({sizes.batch}) as the first axis, because {named} "
                f"is given; got shape {shape}"
            )


def check_masked_output(masking: Masking, leaves: list[Tensor], structure: Any) -> None:
    """Check that masked steps can hold the output of a step.

    Args:
        masking: The masking of the walk.
        leaves: The leaves of the output of the first step.
        structure: Their structure.

    Raises:
        ValueError: If a leaf does not have the batch as its first axis.
    """
    backend, batch = masking.backend, masking.batch()
    for position, leaf in enumerate(leaves):
        shape = backend.shape(leaf)
        if shape is not None and (not shape or not sizes_agree(shape[0], batch)):
            place = leaf_name(backend, "output ", structure, position).rstrip()
            raise ValueError(
                f"{place}: expected the batch ({batch}) as the first axis, because steps are "
                f"masked; step returned shape {shape}"
            )
