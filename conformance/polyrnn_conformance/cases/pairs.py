"""Rule 14: a masked step is given a pair of input and state that occurs in the data."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.cases.padding import MASKS
from polyrnn_conformance.rows import Case
from polyrnn_conformance.steps import Step


def elapsed(xp: Any, kernel: Any) -> Step:
    """Use the square root of the growth of the input since the previous step."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        before, total = states
        total = total + xp.matmul((x - before) ** 0.5, kernel)
        return total, [x, total]

    return step


def bounded_growth(xp: Any, kernel: Any) -> Step:
    """Use a root that is real only if the input grew by less than 2 since the previous step."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        before, total = states
        total = total + xp.matmul((before - x + 2.0) ** 0.5, kernel)
        return total, [x, total]

    return step


def log_of_change(xp: Any, kernel: Any) -> Step:
    """Use the logarithm of the growth of the input since the previous step."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        before, total = states
        total = total + xp.log(xp.matmul(x - before, kernel))
        return total + total, [x, total]

    return step


def relative_change(xp: Any) -> Step:
    """Divide by the difference between input and state."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        before, total = states
        total = total + before / (x - before)
        return total, [x, total]

    return step


def integer_ratio(xp: Any) -> Step:
    """Divide an integer by its growth since the previous step."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        before, total = states
        total = total + x // (x - before)
        return total, [x, total]

    return step


def looked_up(xp: Any, table: Any) -> Step:
    """Look up a row by the growth of an integer input, in a table of four rows."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        before, total = states
        total = total + _rows_of(xp, table, (x - before)[:, 0])
        return total, [x, total]

    return step


def _rows_of(xp: Any, table: Any, indices: Any) -> Any:
    try:
        return table[indices]
    except (IndexError, TypeError):  # some frameworks cannot index by tensors
        return xp.take(table, indices, axis=0)


def _growing(kind: str, dtype: str = "float32") -> Any:
    """Return inputs that grow from each valid step to the next, and are smaller at masked steps."""
    mask = np.array(MASKS[kind], dtype=bool)
    steps = np.cumsum(mask, axis=1)[..., None] * np.array([2, 1]) + np.arange(3)[:, None, None] % 2
    return np.where(mask[..., None], steps, 0).astype(dtype)


def _shrinking(kind: str) -> Any:
    """Return inputs that grow from each valid step to the next, backwards."""
    mask = np.array(MASKS[kind], dtype=bool)
    steps = np.cumsum(mask[:, ::-1], axis=1)[:, ::-1, None] * np.array([2.0, 1.0])
    return np.where(mask[..., None], steps, 0.0).astype("float32")


def _counting(kind: str, *, backwards: bool) -> Any:
    """Return the number of each valid step of a sample, in the order of the loop."""
    mask = np.array(MASKS[kind], dtype=bool)
    numbers = np.cumsum(mask[:, ::-1], axis=1)[:, ::-1] if backwards else np.cumsum(mask, axis=1)
    return np.where(mask, numbers, 0)[..., None].repeat(2, axis=2).astype("float32")


def _before(kind: str) -> Any:
    """Return initial states below all inputs; those of samples without a valid step are above."""
    is_valid = np.array(MASKS[kind], dtype=bool).any(axis=1, keepdims=True)
    is_valid |= not is_valid.any()
    return np.where(is_valid, -0.5, 100.0).repeat(2, axis=1).astype("float32")


def _difference(
    name: str, title: str, kind: str, step: Any, *, weights: Any, **changes: Any
) -> Case:
    """Return a row whose step is finite only for pairs of input and state in the data."""
    arguments = {
        "inputs": _growing(kind),
        "initial_states": [_before(kind), wave(3, 2, phase=1)],
        **changes,
    }
    return Case(
        name=f"padding-{name}",
        rules=(14, 19),
        title=title,
        call=Call(step=step, weights=weights, mask=np.array(MASKS[kind], bool), **arguments),
        gradients=arguments["inputs"].dtype.kind == "f",
        drift="polyrnn 0.1 gave masked steps a valid input together with the current state.",
    )


ROOT = {"step": elapsed, "weights": (wave(2, 2),)}
BOUNDED = {"step": bounded_growth, "weights": (wave(2, 2),)}
GROWTH = {"step": log_of_change, "weights": (1.5 + wave(2, 2),)}
RATIO: dict[str, Any] = {"step": relative_change, "weights": ()}
INTEGERS: dict[str, Any] = {
    "initial_states": [np.full((3, 2), -1, "int32"), np.zeros((3, 2), "int32")],
}
TABLE: dict[str, Any] = {
    "step": looked_up,
    "weights": (wave(4, 2),),
    "initial_states": [np.zeros((3, 2), "int32"), wave(3, 2, phase=1)],
}

ROWS = (
    _difference("root-right", "The root of input minus state, masked at the end.", "right", **ROOT),
    _difference("root-left", "The root of input minus state, masked at the start.", "left", **ROOT),
    _difference("root-gaps", "The root of input minus state, masked in between.", "gaps", **ROOT),
    _difference(
        "root-row",
        "The root of input minus state, in a sample without a valid step.",
        "row",
        **ROOT,
    ),
    _difference(
        "root-all", "The root of input minus state, in a batch without a valid step.", "all", **ROOT
    ),
    _difference(
        "root-unrolled",
        "The root of input minus state, masked and unrolled.",
        "gaps",
        unroll=True,
        **ROOT,
    ),
    _difference(
        "root-last-only",
        "The root of input minus state, masked, with only the last output.",
        "right",
        return_all_outputs=False,
        **ROOT,
    ),
    _difference(
        "root-backwards",
        "Backwards, a masked step is given the last valid input, which the loop reaches first.",
        "gaps",
        inputs=_shrinking("gaps"),
        go_backwards=True,
        **ROOT,
    ),
    _difference(
        "root-backwards-zero-output",
        "Backwards, with zeroed outputs and padding at both ends.",
        "row",
        inputs=_shrinking("row"),
        go_backwards=True,
        zero_output_for_mask=True,
        unroll=True,
        **ROOT,
    ),
    _difference(
        "bounded-gaps",
        "Only the first valid input is harmless together with the initial state.",
        "gaps",
        inputs=_counting("gaps", backwards=False),
        **BOUNDED,
    ),
    _difference(
        "bounded-backwards",
        "Backwards, only the last valid input is harmless together with the initial state.",
        "row",
        inputs=_counting("row", backwards=True),
        go_backwards=True,
        **BOUNDED,
    ),
    _difference(
        "growth-right", "The logarithm of input minus state, masked at the end.", "right", **GROWTH
    ),
    _difference(
        "growth-gaps", "The logarithm of input minus state, masked in between.", "gaps", **GROWTH
    ),
    _difference(
        "ratio-right", "A division by input minus state, masked at the end.", "right", **RATIO
    ),
    _difference(
        "ratio-row",
        "A division by input minus state, in a sample without a valid step.",
        "row",
        **RATIO,
    ),
    _difference(
        "integer-ratio-gaps",
        "A division of integers by input minus state, masked in between.",
        "gaps",
        integer_ratio,
        weights=(),
        inputs=_growing("gaps", "int32"),
        **INTEGERS,
    ),
    _difference(
        "integer-ratio-right",
        "A division of integers by input minus state, masked at the end.",
        "right",
        integer_ratio,
        weights=(),
        inputs=_growing("right", "int32"),
        **INTEGERS,
    ),
    _difference(
        "index-right",
        "Input minus state is an index into a table.",
        "right",
        inputs=_growing("right", "int32"),
        **TABLE,
    ),
    _difference(
        "index-gaps",
        "The logarithm of input minus state, masked in between.",
        "gaps",
        inputs=_growing("gaps", "int32"),
        **TABLE,
    ),
)
