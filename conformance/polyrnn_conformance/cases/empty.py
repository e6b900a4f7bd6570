"""Rules 1, 12, 13 and 17: inputs with zero features."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.rows import Case
from polyrnn_conformance.steps import Step, running_sum

MASK = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)


def beside(xp: Any) -> Step:
    """Add up one input, and return the other unchanged."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + x["full"]
        return {"total": total, "empty": x["empty"]}, [total, states[1] + x["empty"]]

    return step


def _featureless(*sizes: int) -> dict[str, Any]:
    return {
        "step": running_sum,
        "inputs": wave(3, 4, *sizes),
        "initial_states": [wave(3, *sizes, phase=1)],
    }


_BESIDE: dict[str, Any] = {
    "step": beside,
    "inputs": {"full": wave(3, 4, 2), "empty": wave(3, 4, 0)},
    "initial_states": [wave(3, 2, phase=1), wave(3, 0)],
}

ROWS = (
    Case(
        name="no-features",
        rules=(1, 17),
        title="Inputs may have zero features.",
        call=Call(**_featureless(0)),
        gradients=True,
    ),
    Case(
        name="no-features-masked",
        rules=(1, 12, 14),
        title="A mask works with inputs of zero features.",
        call=Call(**_featureless(0), mask=MASK),
        gradients=True,
    ),
    Case(
        name="no-features-masked-backwards",
        rules=(1, 7, 12),
        title="A mask works with zero features backwards, with only the last output.",
        call=Call(**_featureless(2, 0), mask=MASK, go_backwards=True, return_all_outputs=False),
    ),
    Case(
        name="no-features-in-one-leaf",
        rules=(1, 12, 14),
        title="One leaf of masked inputs may have zero features, and another some.",
        call=Call(**_BESIDE, mask=MASK),
        gradients=True,
    ),
    Case(
        name="no-features-lengths",
        rules=(1, 15),
        title="Lengths work with inputs of zero features.",
        call=Call(**_BESIDE, input_length=np.array([2, 4, 1], "int32")),
    ),
)
