"""Rule 14: padding may have any value, and affects neither values nor gradients."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.rows import Case
from polyrnn_conformance.steps import Step, dense
from polyrnn_conformance.trees import map_leaves

MASKS = {
    "right": ([1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]),
    "left": ([0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1]),
    "gaps": ([1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, 1]),
    "row": ([0, 0, 0, 0], [1, 0, 1, 1], [1, 1, 1, 0]),
    "all": ([0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
}
DRIFT = "In tf_keras and Keras 3, NaN in padding reaches gradients."


def logarithm(xp: Any, kernel: Any) -> Step:
    """Use the logarithm of the input, whose slope at 0 is infinite."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + xp.matmul(xp.log(x), kernel)
        return total, [total]

    return step


def distant_logarithm(xp: Any, kernel: Any) -> Step:
    """Use a logarithm for which neither 0 nor 1 is a valid input."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + xp.matmul(xp.log(x - 2.0), kernel)
        return total, [total]

    return step


def normalized(xp: Any, ones: Any) -> Step:
    """Divide the input by its norm, which is 0 for zeros."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + x / xp.matmul(x * x, ones) ** 0.5
        return total * total, [total]

    return step


def nested_ratio(xp: Any) -> Step:
    """Divide one input by another."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] * 0.5 + x["over"] / x["under"]
        return total, [total]

    return step


def _spoiled(tree: Any, mask: Any, *, by: float) -> Any:
    def spoil(x: Any) -> Any:
        valid = mask.reshape(mask.shape + (1,) * (x.ndim - 2))
        return np.where(valid, x, np.array(by, x.dtype))

    return map_leaves(spoil, tree)


def _case(name: str, title: str, kind: str, by: float, **changes: Any) -> Case:
    mask = np.array(MASKS[kind], dtype=bool)
    arguments = {
        "step": dense,
        "weights": (wave(2, 2), wave(2, 2, phase=3)),
        "inputs": wave(3, 4, 2),
        "initial_states": [wave(3, 2, phase=1)],
        "mask": mask,
        **changes,
    }
    arguments["inputs"] = _spoiled(arguments["inputs"], mask, by=by)
    return Case(
        name=f"padding-{name}",
        rules=(14, 19),
        title=title,
        call=Call(**arguments),
        gradients=True,
        drift=DRIFT,
    )


POSITIVE = 1.5 + wave(3, 4, 2)
LOGARITHM = {"step": logarithm, "weights": (wave(2, 2),), "inputs": POSITIVE}
DISTANT = {"step": distant_logarithm, "weights": (wave(2, 2),), "inputs": 2.0 + POSITIVE}
NORMALIZED = {"step": normalized, "weights": (np.ones((2, 1), "float32"),)}

ROWS = (
    _case("nan-right", "NaN after the last valid step: tanh(x @ W).", "right", np.nan),
    _case("nan-left", "NaN before the first valid step: tanh(x @ W).", "left", np.nan),
    _case("nan-gaps", "NaN between valid steps: tanh(x @ W).", "gaps", np.nan),
    _case("nan-row", "NaN in a sample without a valid step: tanh(x @ W).", "row", np.nan),
    _case("inf-right", "Infinity after the last valid step: tanh(x @ W).", "right", np.inf),
    _case("log-nan-gaps", "NaN between valid steps: log(x).", "gaps", np.nan, **LOGARITHM),
    _case("log-zeros-right", "Zeros after the last valid step: log(x).", "right", 0.0, **LOGARITHM),
    _case("log-zeros-left", "Zeros before the first valid step: log(x).", "left", 0.0, **LOGARITHM),
    _case(
        "log-zeros-row", "Zeros in a sample without a valid step: log(x).", "row", 0.0, **LOGARITHM
    ),
    _case(
        "log-zeros-all", "Zeros in a batch without a valid step: log(x).", "all", 0.0, **LOGARITHM
    ),
    _case(
        "distant-ones-left",
        "Ones before the first valid step: log(x - 2), which needs a valid input of the sample.",
        "left",
        1.0,
        **DISTANT,
    ),
    _case(
        "distant-nan-row",
        "NaN in a sample without a valid step: log(x - 2), which needs an input of another sample.",
        "row",
        np.nan,
        **DISTANT,
    ),
    _case("norm-zeros-right", "Zeros at the end: x / norm(x).", "right", 0.0, **NORMALIZED),
    _case(
        "norm-zeros-row",
        "Zeros in a sample without a valid step: x / norm(x).",
        "row",
        0.0,
        **NORMALIZED,
    ),
    _case("norm-nan-gaps", "NaN between valid steps: x / norm(x).", "gaps", np.nan, **NORMALIZED),
    _case("norm-inf-all", "Infinity everywhere: x / norm(x).", "all", np.inf, **NORMALIZED),
    _case(
        "backwards-zero-output",
        "Zeros at the end, backwards, with zeroed outputs: log(x).",
        "right",
        0.0,
        go_backwards=True,
        zero_output_for_mask=True,
        **LOGARITHM,
    ),
    _case(
        "unrolled",
        "Zeros between valid steps, unrolled: log(x).",
        "gaps",
        0.0,
        unroll=True,
        **LOGARITHM,
    ),
    _case(
        "last-only",
        "NaN at the end, with only the last output: log(x).",
        "right",
        np.nan,
        return_all_outputs=False,
        **LOGARITHM,
    ),
    _case(
        "nested",
        "Zeros in every leaf of a nest of inputs: x / y.",
        "gaps",
        0.0,
        step=nested_ratio,
        weights=(),
        inputs={"over": wave(3, 4, 2), "under": POSITIVE},
    ),
)
