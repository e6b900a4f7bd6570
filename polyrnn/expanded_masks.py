"""A mask that is expanded to the ranks of the states, once before the loop."""

from typing import Any, NamedTuple

from polyrnn.backend import Backend, Tensor


class ExpandedMask(NamedTuple):
    """A mask of samples and the ranks at which steps need it.

    Args:
        mask: Booleans of shape ``(time, batch)``.
        ranks: For each state the rank at which a step needs the mask.
    """

    mask: Tensor
    ranks: list[int]

    @classmethod
    def of(cls, backend: Backend, mask: Tensor, states: list[Tensor]) -> "ExpandedMask":
        """Return the mask with the ranks of states, or rank 1 where that is as fast."""
        shapes: list[Any] = list(map(backend.shape, states)) if backend.expands_masks else []
        ranks = [len(shape) if shape else 1 for shape in shapes]
        return cls(mask, ranks or [1] * len(states))

    def slices(self) -> list[Tensor]:
        """Return the mask once for each rank; at rank 1, by which outputs are selected, first."""
        masks = []
        for rank in self._distinct_ranks():
            expansion = (slice(None), slice(None), *[None] * (rank - 1))
            masks.append(self.mask[expansion] if rank > 1 else self.mask)
        return masks

    def positions(self, first: int) -> list[int]:
        """Return for each state the position of its mask among the slices of a loop.

        Args:
            first: How many slices come before those of this mask.
        """
        distinct = self._distinct_ranks()
        return [first + distinct.index(rank) for rank in self.ranks]

    def _distinct_ranks(self) -> list[int]:
        return [1, *sorted(set(self.ranks) - {1})]
