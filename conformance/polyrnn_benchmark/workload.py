"""The input data of the benchmark, the same for every framework."""

from typing import Any

import numpy as np

from polyrnn_benchmark.scenarios import Cell, Sizes

SEED = 20


def arrays(cell: Cell) -> list[np.ndarray[Any, Any]]:
    """Return random arguments for a program: inputs, states, weights, and a mask if masked.

    Padding is NaN, so that a loop that does not ignore padding gives different results.

    Args:
        cell: What is measured.

    Returns:
        Arrays of the shapes ``(batch, time, features)``, ``(batch, units)`` for each state,
        those of the weights, and ``(batch, time)``. The weights are a kernel and a bias,
        ``(features + units, 4 * units)`` and ``(4 * units,)``; the short step has one
        kernel, ``(units, units)``.
    """
    sizes, random = cell.sizes, np.random.default_rng(SEED)

    def draw(*shape: int, scale: float = 1.0) -> np.ndarray[Any, Any]:
        return (scale * random.standard_normal(shape)).astype(sizes.dtype)

    drawn = [
        draw(sizes.batch, sizes.time, sizes.features),
        *(draw(sizes.batch, sizes.units) for _ in range(cell.variant.states)),
    ]
    if cell.variant.short:
        drawn.append(draw(sizes.units, sizes.units, scale=sizes.units**-0.5))
    else:
        fan_in = sizes.features + sizes.units
        drawn.append(draw(fan_in, 4 * sizes.units, scale=fan_in**-0.5))
        drawn.append(draw(4 * sizes.units, scale=0.1))
    if cell.variant.masked:
        mask = padded_rows(sizes, random)
        drawn[0][~mask] = np.nan
        drawn.append(mask)
    return drawn


def padded_rows(sizes: Sizes, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Return a random mask whose rows are padded on the right, on the left or with gaps."""
    lengths = random.integers(1, sizes.time + 1, sizes.batch)
    position = np.arange(sizes.time)
    after = position < lengths[:, None]
    between = random.random((sizes.batch, sizes.time)) < 0.7
    between[:, -1] = True
    kind = np.arange(sizes.batch)[:, None] % 3
    return np.where(kind == 0, after, np.where(kind == 1, after[:, ::-1], between))
