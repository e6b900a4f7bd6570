"""What happens between two steps: gradients are cut off, or a new sequence begins."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from polyrnn.backend import Backend, Tensor
from polyrnn.expanded_masks import ExpandedMask
from polyrnn.sizes import Sizes

Cross: TypeAlias = Callable[[list[Tensor], list[Tensor], Any], tuple[list[Tensor], Any]]
"""``(slices, states, held) -> (states, held)``."""


class Boundaries(NamedTuple):
    """Where gradients are cut off and where new sequences begin.

    Args:
        backend: The backend.
        cuts: Before which steps gradients are cut off, booleans of shape ``(time,)``; or `None`.
        continues: Where no new sequence begins, with the ranks at which steps need that; or
            `None`.
        reset_states: For each state the one with which a new sequence begins; one of rank 0
            belongs to the walk and is not reset.
    """

    backend: Backend
    cuts: Tensor | None
    continues: ExpandedMask | None
    reset_states: list[Tensor]

    def slices(self) -> list[Tensor]:
        """Return what the loop slices besides the inputs and the masks."""
        cuts = [] if self.cuts is None else [self.cuts]
        return cuts if self.continues is None else [*cuts, *self.continues.slices()]

    def cross(self, first: int) -> Cross:
        """Return a function that is called before each step, with the outputs that are held.

        Args:
            first: How many slices come before those of `slices`.
        """
        cut = self._cut(first)
        begin = self._begin(first + (self.cuts is not None))
        if cut is None:
            assert begin is not None, "nothing happens at these boundaries"
            return begin
        if begin is None:
            return cut

        # Quoted, because torch.compile meets this definition and cannot subscript types.
        def cross(
            slices: "list[Tensor]", states: "list[Tensor]", held: Any
        ) -> "tuple[list[Tensor], Any]":
            states, held = cut(slices, states, held)
            return begin(slices, states, held)

        return cross

    def _cut(self, position: int) -> Cross | None:
        if self.cuts is None:
            return None
        detach, select = self.backend.detach, self.backend.select

        def cut(
            slices: "list[Tensor]", states: "list[Tensor]", held: Any
        ) -> "tuple[list[Tensor], Any]":
            is_cut = slices[position]
            states, held = (
                each and [select(is_cut, detach(x), x) for x in each] for each in (states, held)
            )
            return states, held

        return cut

    def _begin(self, first: int) -> Cross | None:
        if self.continues is None:
            return None
        select = self.backend.select
        parts = list(zip(self.continues.positions(first), self.reset_states, strict=True))

        def begin(
            slices: "list[Tensor]", states: "list[Tensor]", held: Any
        ) -> "tuple[list[Tensor], Any]":
            states = [
                state if mask is None else select(slices[mask], state, reset)
                for state, (mask, reset) in zip(states, parts)  # noqa: B905 - slower
            ]
            if held:
                held = [select(slices[first], x) for x in held]
            return states, held

        return begin

    def first_met(self, mask: Tensor, states: list[Tensor], *, reverse: bool) -> list[Tensor]:
        """Return for each state what each sample meets its first valid input with.

        That is the state with which a sequence begins, if one begins before or at that step, and
        else the initial state.

        Args:
            mask: Where steps count, ``(time, batch)``.
            states: The initial states, with the batch as first axis.
            reverse: Whether the walk goes from the last step to the first.
        """
        if self.continues is None:
            return states
        backend, continues = self.backend, self.continues.mask
        counts_or_begins = backend.select(continues, mask, backend.namespace.ones_like(mask))
        (goes_on,) = backend.take_first(counts_or_begins, [continues], reverse=reverse)
        resets = self.continues.of_samples(self.reset_states)
        return [
            backend.select(goes_on, state, new) for new, state in zip(resets, states, strict=True)
        ]


def make_boundaries(
    backend: Backend,
    x: Tensor,
    *,
    time: Any,
    reset: Tensor | None,
    reset_states: list[Tensor],
    truncate_every: int | None,
    reverse: bool,
) -> Boundaries | None:
    """Return what happens between the steps of a walk, or `None` where nothing does.

    Args:
        backend: The backend.
        x: A leaf of the inputs, whose device the flags follow.
        time: The number of time steps, an integer if `truncate_every` is given.
        reset: Where new sequences begin, booleans of shape ``(time, batch)``.
        reset_states: The leaves of the states with which they begin.
        truncate_every: How many steps gradients flow back through.
        reverse: Whether the walk goes from the last step to the first.
    """
    cuts = None
    if truncate_every is not None and truncate_every < time:
        import numpy

        walked = numpy.arange(time)[::-1] if reverse else numpy.arange(time)
        cuts = backend.convert((walked > 0) & (walked % truncate_every == 0), x)
    if reset is None and cuts is None:
        return None
    continues = None
    if reset is not None:
        no_reset = backend.namespace.logical_not(reset)
        continues = ExpandedMask.of(backend, no_reset, reset_states)
    return Boundaries(
        backend=backend,
        cuts=cuts,
        continues=continues,
        reset_states=reset_states,
    )


def read_step_count(argument: str, value: Any, sizes: Sizes) -> int | None:
    """Check a number of time steps.

    Args:
        argument: What it was passed as.
        value: The number, or `None`.
        sizes: The sizes of the inputs.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is less than 1, or the number of time steps is not static.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{argument}: expected an integer, got {type(value).__qualname__}")
    count = int(value)
    if count < 1:
        raise ValueError(f"{argument}: expected an integer from 1, got {count}")
    if not isinstance(sizes.time, int):
        raise ValueError(
            f"{argument}: expected a time axis of static length, got inputs of "
            f"{sizes.time or 'an unknown number of'} time steps"
        )
    return count
