"""A mask that is expanded to the ranks of the states, once before the loop."""

from typing import Any, NamedTuple

from polyrnn.backend import Backend, Tensor


class ExpandedMask(NamedTuple):
    """A mask of samples and the ranks at which steps need it.

    Args:
        mask: Booleans of shape ``(time, batch)``.
        ranks: For each state the rank at which a step needs the mask; `None` for a state of
            rank 0, such as a counter, which belongs to the walk and not to a sample.
    """

    mask: Tensor
    ranks: list[int | None]

    @classmethod
    def of(cls, backend: Backend, mask: Tensor, states: list[Tensor]) -> "ExpandedMask":
        """Return the mask with the ranks of states, or rank 1 where that is as fast."""

        def rank(shape: tuple[Any, ...] | None) -> int | None:
            if shape == ():
                return None
            return 1 if shape is None or not backend.expands_masks else len(shape)

        return cls(mask, [rank(backend.shape(state)) for state in states])

    def of_samples(self, states: list[Tensor]) -> list[Tensor]:
        """Return those of the states that belong to samples."""
        return [state for state, rank in zip(states, self.ranks, strict=True) if rank is not None]

    def slices(self) -> list[Tensor]:
        """Return the mask once for each rank; at rank 1, by which outputs are selected, first."""
        masks = []
        for rank in self._distinct_ranks():
            expansion = (slice(None), slice(None), *[None] * (rank - 1))
            masks.append(self.mask[expansion] if rank > 1 else self.mask)
        return masks

    def positions(self, first: int) -> list[int | None]:
        """Return for each state the position of its mask among the slices, or `None` for no mask.

        Args:
            first: How many slices come before those of this mask.
        """
        distinct = self._distinct_ranks()
        return [None if rank is None else first + distinct.index(rank) for rank in self.ranks]

    def _distinct_ranks(self) -> list[int]:
        return [1, *sorted({rank for rank in self.ranks if rank is not None} - {1})]
