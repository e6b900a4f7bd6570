"""Rule 24: walks whose blocks are computed again in the backward pass."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.cases.boundaries import (
    BLANK,
    FIRST_OF_NEST,
    FRESH,
    MASK,
    NESTED,
    RESET,
    RISING,
    WEIGHTS,
    H,
    X,
    root,
)
from polyrnn_conformance.cases.refusing import refused
from polyrnn_conformance.rows import Case, ErrorCase
from polyrnn_conformance.steps import Step, dense

DRIFT = "tf_keras and Keras 3 keep every step for the backward pass."


def scaled(xp: Any, kernel: Any, recurrent: Any) -> Step:
    """Add the first constant, and multiply by the second."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        h, shift, factor = states
        h = xp.tanh(xp.matmul(x, kernel) + xp.matmul(h, recurrent) + shift["s"])
        return h * factor, [h]

    return step


def squared(xp: Any, weight: Any) -> Step:
    """Put out the square of the input, and keep nothing."""
    return lambda x, states: (x * x * weight, [])


def _row(name: str, title: str, every: int = 4, **changes: Any) -> Case:
    # Six steps in blocks of four: the first block has two steps.
    arguments = {"step": dense, "weights": WEIGHTS, "inputs": X, "initial_states": [H], **changes}
    return Case(
        name=f"checkpoint-{name}",
        rules=(24,),
        title=title,
        call=Call(**arguments, checkpoint_every=every),
        gradients=True,
        drift=DRIFT,
    )


ROWS = (
    _row("blocks", "Blocks that divide the walk evenly are computed again.", every=2),
    _row("each-step", "Each step may be a block.", every=1),
    _row("remainder", "The number of steps need not be a multiple of the size of a block."),
    _row("one-block", "A block of more steps than there are is the whole walk.", every=9),
    _row("backwards", "Backwards, the last block comes first.", every=2, go_backwards=True),
    _row("unrolled", "Unrolled, too.", unroll=True),
    _row(
        "stateless",
        "A step without states is computed again, too.",
        step=squared,
        weights=(wave(3, 2),),
        initial_states=[],
        every=2,
    ),
    _row("last-only", "With the last output alone, too.", return_all_outputs=False),
    _row(
        "time-major",
        "In the other layout, too.",
        time_major=True,
        inputs=X.swapaxes(0, 1),
        mask=BLANK.T,
        go_backwards=True,
    ),
    _row("masked", "What masked steps repeat reaches across blocks.", mask=MASK),
    _row(
        "masked-last-only",
        "What masked steps repeat is the last output, too.",
        mask=BLANK,
        return_all_outputs=False,
        every=1,
    ),
    _row(
        "masked-backwards",
        "Backwards, masked steps put out zeros in every block.",
        mask=MASK,
        go_backwards=True,
        zero_output_for_mask=True,
    ),
    _row(
        "lengths",
        "Lengths count across blocks.",
        input_length=np.array([0, 4, 5], "int32"),
        every=2,
    ),
    _row(
        "padding",
        "Padding is as harmless as in one walk.",
        step=root,
        weights=(wave(3, 2),),
        inputs=np.where(MASK[..., None], RISING, np.nan).astype("float32"),
        mask=MASK,
        initial_states=[RISING[:, 0] - 3.0, H],
    ),
    _row(
        "constants",
        "Constants of every block have their gradients.",
        step=scaled,
        constants=[{"s": wave(3, 2, phase=4)}, wave(3, 2, phase=6)],
        every=2,
    ),
    _row(
        "reset",
        "A new sequence may begin within a block.",
        reset=RESET,
        reset_states=[FRESH],
        mask=MASK,
    ),
    _row(
        "everything",
        "Nests, resets, masks and an initial output go together.",
        **NESTED,
        mask=BLANK,
        reset=RESET,
        initial_output=FIRST_OF_NEST,
        go_backwards=True,
    ),
    Case(
        name="checkpoint-truncated-values",
        rules=(24, 25),
        title="Truncation and checkpoints change no values.",
        call=Call(
            step=dense,
            weights=WEIGHTS,
            inputs=X,
            initial_states=[H],
            truncate_every=4,
            checkpoint_every=3,
        ),
        drift=DRIFT,
    ),
)


def _refused(
    name: str, title: str, text: str, error: type[Exception] = ValueError, *, every: Any
) -> ErrorCase:
    return refused(
        name, (24,), title, text, error, inputs=X, initial_states=[H], checkpoint_every=every
    )


ERRORS = (
    _refused(
        "checkpoint-every-0",
        "The size of a block is an integer from 1.",
        "checkpoint_every: expected an integer from 1, got 0",
        every=0,
    ),
    _refused(
        "checkpoint-every-float",
        "The size of a block is an integer.",
        "checkpoint_every: expected an integer, got float",
        TypeError,
        every=2.0,
    ),
    _refused(
        "checkpoint-every-true",
        "True is no number of steps.",
        "checkpoint_every: expected an integer, got bool",
        TypeError,
        every=True,
    ),
)
