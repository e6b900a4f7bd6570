"""Covering arrays: few rows in which every pair, or every triple, of levels occurs.

This is written here instead of taken from a library, so that the rows do not depend on
installed versions, and so that the suite needs no further dependency. Only pairs of levels
can exclude each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

Levels = Mapping[str, Sequence[str]]
"""The names of the levels of each factor."""

Place = tuple[str, str]
"""A factor and one of its levels."""

SWEEPS = 2
"""The number of passes over the factors of a row that look for better levels."""

_Array = np.ndarray[Any, Any]


def covering_rows(
    factors: Levels, strength: int, excluded: Iterable[tuple[Place, Place]] = ()
) -> list[dict[str, str]]:
    """Return rows in which every allowed combination of `strength` levels occurs.

    Args:
        factors: The names of the levels of each factor.
        strength: The number of levels in a combination, each of another factor.
        excluded: Pairs of levels that no row may have together.

    Returns:
        The rows, each with a level for each factor; equal arguments give equal rows.
    """
    array = _CoveringArray(factors, strength, list(excluded))
    names = list(factors)
    return [
        {name: factors[name][level] for name, level in zip(names, row, strict=True)}
        for row in array.rows()
    ]


class _CoveringArray:
    """Adds rows greedily, each the best it finds, until every combination is covered."""

    def __init__(self, factors: Levels, strength: int, excluded: list[tuple[Place, Place]]) -> None:
        self._sizes = [len(levels) for levels in factors.values()]
        self._forbidden = self._table_of(factors, excluded)
        self._groups = np.array(list(combinations(range(len(factors)), strength)))
        strides = [
            [prod(self._sizes[f] for f in group[at + 1 :]) for at in range(strength)]
            for group in self._groups
        ]
        self._strides = np.array(strides)
        totals = [prod(self._sizes[f] for f in group) for group in self._groups]
        self._starts = np.concatenate([[0], np.cumsum(totals)])
        self._open = np.concatenate(list(map(self._allowed, self._groups)))
        self._groups_of = [
            np.flatnonzero((self._groups == factor).any(axis=1)) for factor in range(len(factors))
        ]

    def rows(self) -> list[_Array]:
        """Return the rows."""
        rows = []
        while self._open.any():
            row = self._improved(self._started_at(int(self._open.argmax())))
            self._open[self._places(row[None], np.arange(len(self._groups)))] = False
            rows.append(row)
        return rows

    def _table_of(self, factors: Levels, excluded: list[tuple[Place, Place]]) -> _Array:
        names = list(factors)
        most = max(self._sizes)
        table = np.zeros((len(names), most, len(names), most), bool)
        for (one, level), (other, beside) in excluded:
            if level in factors.get(one, ()) and beside in factors.get(other, ()):
                f, g = names.index(one), names.index(other)
                i, j = factors[one].index(level), factors[other].index(beside)
                table[f, i, g, j] = table[g, j, f, i] = True
        return table

    def _allowed(self, group: _Array) -> _Array:
        """Return which combinations of a group of factors contain no excluded pair."""
        levels = np.indices([self._sizes[f] for f in group]).reshape(len(group), -1)
        allowed = np.ones(levels.shape[1], bool)
        for (f, one), (g, other) in combinations(list(zip(group, levels, strict=True)), 2):
            allowed &= ~self._forbidden[f, one, g, other]
        return allowed

    def _started_at(self, place: int) -> _Array:
        """Return a row with one combination, completed by the best levels of other factors."""
        at = int(np.searchsorted(self._starts, place, side="right")) - 1
        group = self._groups[at]
        levels = np.unravel_index(place - self._starts[at], [self._sizes[f] for f in group])
        row = np.full(len(self._sizes), -1)
        row[group] = levels
        self._fixed = set(group.tolist())
        # Factors with many excluded pairs come first, while there is still a choice.
        order = sorted(
            set(range(len(row))) - self._fixed, key=lambda f: -int(self._forbidden[f].sum())
        )
        for factor in order:
            row[factor] = self._best_level(row, factor)
        return row

    def _improved(self, row: _Array) -> _Array:
        for _ in range(SWEEPS):
            for factor in sorted(set(range(len(row))) - self._fixed):
                row[factor] = self._best_level(row, factor)
        return row

    def _best_level(self, row: _Array, factor: int) -> int:
        """Return the level that covers the most combinations with the levels already set."""
        others = [f for f in range(len(row)) if f != factor and row[f] >= 0]
        free = [
            level
            for level in range(self._sizes[factor])
            if not self._forbidden[factor, level, others, row[others]].any()
        ]
        if not free:
            raise ValueError(f"no level of factor {factor} goes with the levels {row}")
        tries = np.repeat(row[None], len(free), axis=0)
        tries[:, factor] = free
        groups = self._groups_of[factor]
        settled = groups[(tries[0][self._groups[groups]] >= 0).all(axis=1)]
        gains = self._open[self._places(tries, settled)].sum(axis=1)
        # Ties are broken differently in each row, which covers the rest sooner.
        gains = gains * len(free) + (np.arange(len(free)) + int(row[others].sum())) % len(free)
        return int(free[int(gains.argmax())])

    def _places(self, rows: _Array, groups: _Array) -> _Array:
        levels = rows[:, self._groups[groups]]
        places: _Array = self._starts[groups] + (levels * self._strides[groups]).sum(axis=2)
        return places
