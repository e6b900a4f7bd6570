"""The step function of random calls, in which every argument affects every result."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from polyrnn_conformance.calls import StepMaker, array_of
from polyrnn_conformance.trees import DisagreementError, filled, leaves_of, skeleton

FIRST_STATE = "the first new state"
"""In place of the nest of outputs: the step returns its first new state itself as the output."""


@dataclass(frozen=True)
class Leaf:
    """The dtype and shape of one tensor in a nest.

    Args:
        dtype: The dtype.
        axes: The sizes of the axes, without batch and time.
        batched: Whether the tensor has a batch axis.
    """

    dtype: str
    axes: tuple[int, ...]
    batched: bool = True

    def shape_for(self, batch: int) -> tuple[int, ...]:
        """Return the shape of the tensor at one time step."""
        return (batch, *self.axes) if self.batched else self.axes


def values_of(shape: tuple[int, ...], dtype: str, phase: int) -> Any:
    """Return an array of small floats or, for integers and bool, of small whole numbers.

    Args:
        shape: The shape.
        dtype: Any dtype.
        phase: Each value gives a different array.
    """
    count = int(np.prod(shape))
    steps = (np.arange(count) * 5 + np.arange(count) // 3 + phase * 3) % 7
    if _is_exact(dtype):
        values: Any = steps % (2 if dtype == "bool" else 3)
    else:
        values = (steps - 3.25) / 4
        values = values + 0.5j * values if dtype.startswith("complex") else values
    return array_of(values.reshape(shape), dtype)


def mixing_weights(states: Any, outputs: Any) -> tuple[Any, ...]:
    """Return the weights of the step: two base arrays and a factor for each leaf it returns."""
    return tuple(
        array
        for position, leaf in enumerate(_made_by_step(states, outputs))
        for array in (
            values_of(leaf.axes, leaf.dtype, position),
            values_of(leaf.axes, leaf.dtype, position + 1),
            array_of(1 if _is_exact(leaf.dtype) else 0.125, leaf.dtype),
        )
    )


def mixing_step(
    inputs: Any, states: tuple[Any, ...], constants: Any, outputs: Any, returned_as: str
) -> StepMaker:
    """Return the `StepMaker` of a random call.

    Args:
        inputs: The nest of inputs, with a `Leaf` for each tensor.
        states: The states.
        constants: The constants.
        outputs: The nest of outputs, or `FIRST_STATE`.
        returned_as: The container of the new states: ``"list"``, ``"tuple"`` or ``"bare"``.
    """
    entries = [] if constants is None else constants
    entries = list(entries) if isinstance(entries, list | tuple) else [entries]
    given = [*leaves_of(inputs), *leaves_of(entries)]
    held = leaves_of(list(states))
    wanted = _made_by_step(states, outputs)
    forms = skeleton([inputs, [*states, *entries]])

    def make(xp: Any, *weights: Any) -> Any:
        def step(x: Any, handed: list[Any]) -> tuple[Any, Any]:
            if type(handed) is not list or skeleton([x, handed]) != forms:
                raise DisagreementError(f"the step was given {skeleton([x, handed])}")
            old, fixed = handed[: len(states)], handed[len(states) :]
            sources = [
                _Source(*source, position, position < len(given))
                for position, source in enumerate(
                    zip(
                        [*given, *held],
                        [*leaves_of(x), *leaves_of(fixed), *leaves_of(old)],
                        strict=True,
                    )
                )
            ]
            results = iter(
                [
                    _mixed(xp, leaf, sources, *weights[3 * position : 3 * position + 3])
                    for position, leaf in enumerate(wanted)
                ]
            )
            new = filled(list(states), results)
            output = new[0] if outputs is FIRST_STATE else filled(outputs, results)
            return output, held_by(returned_as, new)

        return step

    return make


def _made_by_step(states: Any, outputs: Any) -> list[Leaf]:
    made: list[Leaf] = leaves_of([list(states), [] if outputs is FIRST_STATE else outputs])
    return made


def held_by(holder: str, states: list[Any]) -> Any:
    """Return states as a ``"list"``, as a ``"tuple"``, or a single state ``"bare"``."""
    if holder == "bare":
        return states[0]
    return tuple(states) if holder == "tuple" else states


class _Source(NamedTuple):
    """A tensor that the step is given, and whether it is drawn data and not a computed state."""

    leaf: Leaf
    tensor: Any
    position: int
    is_drawn: bool

    def one_of_each_sample(self, target: Leaf) -> Any:
        """Return one element of each sample, in a shape that broadcasts with the target."""
        leaf, offset = self.leaf, self.position
        places = tuple((offset + axis) % size for axis, size in enumerate(leaf.axes))
        if leaf.batched:
            return self.tensor[(slice(None), *places)][(slice(None), *[None] * len(target.axes))]
        return self.tensor[places] if places else self.tensor


def _mixed(xp: Any, leaf: Leaf, sources: list[_Source], base: Any, other: Any, factor: Any) -> Any:
    """Return the value of a leaf, which depends on all sources.

    Sources of the same dtype are added; the signs of others select between two base arrays.
    """
    mixed = base
    for source in sources:
        if source.leaf.batched and not leaf.batched:
            continue
        picked = source.one_of_each_sample(leaf)
        kind = source.leaf.dtype
        if kind != leaf.dtype:
            # States are rounded differently than in the reference, so their sign may differ.
            if not source.is_drawn or kind.startswith("complex"):
                continue
            picked = xp.where(picked if kind == "bool" else picked > 0, base, other)
        mixed = mixed ^ picked if _is_exact(leaf.dtype) else mixed + picked * factor
    if leaf.batched:
        # If no source had a batch axis, this broadcasts the value to the batch.
        picked = sources[0].one_of_each_sample(leaf)
        mixed = xp.where(picked == picked, mixed, mixed)
    return mixed


def _is_exact(dtype: str) -> bool:
    return not dtype.startswith(("float", "bfloat", "complex"))
