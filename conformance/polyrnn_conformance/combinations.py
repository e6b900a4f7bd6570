"""Calls that cover every pair and every triple of options.

Many faults need two or three options at once: a flag with another flag, with a kind of mask,
or with a nest. A `covering array <https://en.wikipedia.org/wiki/Covering_array>`_ combines all
options in few calls, which are the same in each run.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from polyrnn_conformance.covering import Place, covering_rows
from polyrnn_conformance.random_calls import FLAGS, RandomCall, Sensors
from polyrnn_conformance.random_steps import FIRST_STATE, Leaf
from polyrnn_conformance.trees import Pair

Row = dict[str, str]
"""A level for each factor."""

DTYPES = ("float32", "float64", "float16", "bfloat16", "complex64", "int32")

_MIXED = "mixed"
"""The level of the factor ``dtype`` at which leaves are floats and integers in turn."""

FACTORS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(FLAGS, ("no", "yes")),
    "masking": ("none", "mask", "mask-rank-3", "lengths", "length", "both"),
    "pattern": ("right", "left", "gaps", "one-row", "all"),
    "held": ("tensor", "float-tensor", "int8-tensor", "numpy", "list"),
    "padding": ("nan", "inf", "0"),
    "inputs": ("tensor", "list-of-one", "dict-of-one", "nested", "namedtuple", "node"),
    "states": (
        *("bare", "list", "tuple", "ranks", "ragged", "dict-of-one", "counter"),
        *("without-batch", "none"),
    ),
    "constants": ("none", "bare", "list", "nested"),
    "outputs": ("tensor", "list-of-one", "nested", "first-state"),
    "returned": ("list", "tuple", "bare"),
    "on_host": ("nothing", "inputs", "initial_states", "constants", "all"),
    "resets": ("none", "initial", "other"),
    "initial_output": ("no", "yes"),
    "blocks": ("none", "truncated", "checkpointed", "both"),
    "batch": ("1", "2", "3"),
    "time": ("1", "2", "5", "7"),
    "dtype": (*DTYPES, _MIXED),
}
"""The factors of the covering array, that is the options of a call, each with its levels."""


def _excluded() -> Iterator[tuple[Place, Place]]:
    masked = [level for level in FACTORS["masking"] if level != "none"]
    for masking in masked:
        for states in ("without-batch", "none"):
            yield ("masking", masking), ("states", states)
    for resets in ("initial", "other"):
        for states in ("without-batch", "none"):
            yield ("resets", resets), ("states", states)
    for pattern in ("left", "gaps"):
        for masking in ("lengths", "length"):
            yield ("masking", masking), ("pattern", pattern)
    for pattern in ("one-row", "all"):
        yield ("masking", "length"), ("pattern", pattern)
    yield ("states", "none"), ("outputs", "first-state")
    for states in FACTORS["states"]:
        if states not in ("bare", "list", "dict-of-one"):
            yield ("returned", "bare"), ("states", states)


EXCLUDED = tuple(_excluded())
"""Pairs of levels that exclude each other.

A mask or a reset needs states that have a batch axis. Lengths cannot express gaps, and one length
for all samples cannot mask a sample at all steps. Only a single state can be returned bare.
"""


WALKS = {
    f"{'backwards' if backwards == 'yes' else 'forward'}-{'all' if every == 'yes' else 'last'}": {
        "go_backwards": backwards,
        "return_all_outputs": every,
    }
    for backwards in ("no", "yes")
    for every in ("no", "yes")
}
"""Two flags as one factor, whose pairs with another are triples."""

FEWER: dict[str, tuple[str, ...]] = {
    # Unrolled, or of one step, a loop is none to trace.
    "unroll": ("no",),
    "time": ("5",),
    "masking": ("none", "mask-rank-3", "lengths", "both"),
    "pattern": ("gaps", "all"),
    "held": ("float-tensor", "numpy"),
    "inputs": ("tensor", "node"),
    "states": ("ragged", "counter", "none"),
    "constants": ("none", "nested"),
    "outputs": ("tensor", "nested", "first-state"),
    "returned": ("list", "tuple"),
    "padding": ("nan",),
    "resets": ("none", "other"),
    "batch": ("2",),
    "dtype": ("bfloat16", _MIXED),
}
"""The reduced levels for modes that trace the step, where each call is slow."""

FEWER_DIFFERENTIATED: dict[str, tuple[str, ...]] = {
    **FEWER,
    "masking": ("none", "mask", "lengths"),
    "pattern": ("right", "gaps"),
    "held": ("tensor", "numpy"),
    "states": ("ragged", "counter"),
}
"""The reduced levels for gradients in modes that trace the step, where calls are slowest."""


@cache
def rows_of(
    dtypes: tuple[str, ...],
    strength: int,
    *,
    unrolls: bool,
    differentiated: bool = False,
    fewer: bool = False,
) -> tuple[Row, ...]:
    """Return rows that cover all combinations of `strength` levels.

    Args:
        dtypes: The dtypes that the framework has.
        strength: The number of levels in a combination.
        unrolls: Whether calls may be unrolled.
        differentiated: Whether the calls will be differentiated; then all use floats.
        fewer: Whether to use the reduced levels, for modes that trace the step.
    """
    factors = factors_for(dtypes, unrolls=unrolls, differentiated=differentiated)
    if not fewer:
        return tuple(covering_rows(factors, strength, EXCLUDED))
    few = FEWER_DIFFERENTIATED if differentiated else FEWER
    factors = {
        name: tuple(level for level in levels if level in few.get(name, levels)) or levels
        for name, levels in factors.items()
        if name not in ("go_backwards", "return_all_outputs")
    }
    rows = covering_rows({"walk": tuple(WALKS), **factors}, strength, EXCLUDED)
    return tuple(WALKS[row.pop("walk")] | row for row in rows)


def factors_for(
    dtypes: tuple[str, ...], *, unrolls: bool = True, differentiated: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return the factors with the levels that a framework supports; see `rows_of`."""
    factors = dict(FACTORS)
    known = [dtype for dtype in DTYPES if dtype in dtypes]
    if differentiated:
        known = ["float64" if "float64" in dtypes else "float32"]
    elif {"float32", "int32"} <= set(dtypes):
        known.append(_MIXED)
    factors["dtype"] = tuple(known)
    if differentiated:
        # Values on the host have no gradients, and finite differences would change a float mask.
        del factors["on_host"]
        factors["held"] = tuple(held for held in FACTORS["held"] if held != "float-tensor")
        # Finite differences know nothing of truncation.
        factors["blocks"] = ("none", "checkpointed")
    if not unrolls:
        # Both need a static number of time steps.
        factors["unroll"] = ("no",)
        factors["blocks"] = ("none",)
    return factors


def call_of(row: Row, *, borrows: bool = True) -> RandomCall:
    """Return the call that a row describes.

    Args:
        row: A level for each factor.
        borrows: Whether NumPy arrays may have the dtype bfloat16.
    """
    batch, time = int(row["batch"]), int(row["time"])
    leaf = _leaves(row["dtype"])
    states, states_as = _STATES[row["states"]](leaf)
    masking, pattern = row["masking"], _valid(row["pattern"], batch, time)
    mask_dtype, lengths_dtype, holder = _HELD[row["held"]]
    hosted = row.get("on_host", "nothing")
    lengths: dict[str, tuple[int, ...] | int] = {
        "lengths": tuple(map(sum, pattern)),
        "length": max(1, time - 1),
        # A mask overrides the lengths; they differ from it, so that using them shows.
        "both": tuple((b + 1) % (time + 1) for b in range(batch)),
    }
    return RandomCall(
        batch=batch,
        time=time,
        inputs=_INPUTS[row["inputs"]](leaf),
        states=states,
        states_as=states_as,
        constants=_CONSTANTS[row["constants"]](leaf),
        outputs=_OUTPUTS[row["outputs"]](leaf),
        returned_as=row["returned"],
        mask=pattern if masking in ("mask", "mask-rank-3", "both") else None,
        mask_as=(mask_dtype, 3 if masking == "mask-rank-3" else 2, holder),
        lengths=lengths.get(masking),
        lengths_as="int" if masking == "length" else holder,
        lengths_dtype=lengths_dtype,
        on_host=frozenset(
            ("inputs", "initial_states", "constants") if hosted == "all" else {hosted} - {"nothing"}
        ),
        borrows=borrows,
        padding=float(row["padding"]),
        flags=frozenset(flag for flag in FLAGS if row[flag] == "yes"),
        reset=None if row["resets"] == "none" else _resets(batch, time),
        has_reset_states=row["resets"] == "other",
        has_initial_output=row["initial_output"] == "yes",
        truncate_every=2 if row["blocks"] in ("truncated", "both") else None,
        checkpoint_every=2 if row["blocks"] in ("checkpointed", "both") else None,
    )


def printed(row: Row) -> str:
    """Return a row as one line, without the flags that are false."""
    return " ".join(f"{factor}={level}" for factor, level in row.items() if level != "no")


_HELD = {
    "tensor": ("bool", "int32", "tensor"),
    "float-tensor": ("float32", "int64", "tensor"),
    "int8-tensor": ("int8", "int8", "tensor"),
    "numpy": ("bool", "uint8", "numpy"),
    "list": ("bool", "int64", "list"),
}
"""The dtype of a mask, the dtype of lengths, and the type of value that holds them."""

Make = Callable[..., Leaf]

_INPUTS: dict[str, Callable[[Make], Any]] = {
    "tensor": lambda leaf: leaf(2),
    "list-of-one": lambda leaf: [leaf(2)],
    "dict-of-one": lambda leaf: {"a": leaf(3)},
    "nested": lambda leaf: (leaf(2), [leaf(1), None, leaf(2, 1)]),
    "namedtuple": lambda leaf: Sensors(leaf(2), leaf(1, 2)),
    "node": lambda leaf: Pair(leaf(2), {"b": leaf(1), "a": leaf(3)}),
}

_STATES: dict[str, Callable[[Make], tuple[tuple[Any, ...], str]]] = {
    "bare": lambda leaf: ((leaf(3),), "bare"),
    "list": lambda leaf: ((leaf(2),), "list"),
    "tuple": lambda leaf: ((leaf(3), leaf(1)), "tuple"),
    "ranks": lambda leaf: ((leaf(2, 1), leaf(), leaf(1, 2, 2)), "list"),
    "ragged": lambda leaf: (([leaf(2), [leaf(1)]], (), (leaf(),)), "list"),
    "dict-of-one": lambda leaf: (({"h": leaf(3)},), "list"),
    "counter": lambda leaf: ((leaf(2), leaf(batched=False)), "list"),
    "without-batch": lambda leaf: ((leaf(1, 2, batched=False), leaf(2)), "list"),
    "none": lambda leaf: ((), "list"),
}

_CONSTANTS: dict[str, Callable[[Make], Any]] = {
    "none": lambda leaf: None,
    "bare": lambda leaf: leaf(2),
    "list": lambda leaf: [leaf(2, batched=False)],
    "nested": lambda leaf: ({"k": leaf(3)}, leaf(), [leaf(1), leaf(batched=False)]),
}

_OUTPUTS: dict[str, Callable[[Make], Any]] = {
    "tensor": lambda leaf: leaf(2),
    "list-of-one": lambda leaf: [leaf(1)],
    "nested": lambda leaf: {"y": leaf(), "z": (leaf(2, 1), Pair(leaf(3), None))},
    "first-state": lambda leaf: FIRST_STATE,
}


def _leaves(dtype: str) -> Make:
    """Return a function that makes the leaves of a call, of one dtype or of two in turn."""
    made: list[Leaf] = []

    def leaf(*axes: int, batched: bool = True) -> Leaf:
        of_it = ("float32", "int32")[len(made) % 2] if dtype == _MIXED else dtype
        made.append(Leaf(of_it, axes, batched))
        return made[-1]

    return leaf


def _resets(batch: int, time: int) -> tuple[tuple[bool, ...], ...]:
    """Return at which steps of each sample a new sequence begins."""
    begins = (np.arange(time) + np.arange(batch)[:, None]) % 3 == 1
    return tuple(tuple(bool(one) for one in row) for row in begins)


def _valid(pattern: str, batch: int, time: int) -> tuple[tuple[bool, ...], ...]:
    """Return which steps of each sample are valid."""
    samples, steps = np.arange(batch)[:, None], np.arange(time)
    kept = np.maximum(1, time - samples - (time > 2))
    if pattern == "left":
        valid = steps >= time - kept
    elif pattern == "gaps":
        valid = (steps * 2 + samples + steps * steps // 3) % 3 != 1
    elif pattern == "all":
        valid = np.zeros((batch, time), bool)
    else:
        valid = steps < kept
        if pattern == "one-row":
            valid = valid & (samples > 0)
    return tuple(tuple(bool(one) for one in row) for row in valid)
