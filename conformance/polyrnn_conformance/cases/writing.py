"""Rule 10: a step that writes into its arguments gets the right result or a clear error."""

from dataclasses import replace
from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.cases.refusing import right_or_refused
from polyrnn_conformance.comparing import assert_gradients_agree
from polyrnn_conformance.rows import Check
from polyrnn_conformance.steps import Step, running_sum

PLAIN = Call(step=running_sum, inputs=wave(2, 4, 3), initial_states=[wave(2, 3, phase=1)])
MASK = np.array([[True, False, True, True], [True, True, False, False]])


def into_state(xp: Any) -> Step:
    """Add up the inputs in place, in the state."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0]
        total += x
        return total, [total]

    return step


def into_nested_state(xp: Any) -> Step:
    """Add up the inputs in place, in a leaf of the state."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0]["h"]
        total += x
        return total, [{"h": total}]

    return step


def into_one_of_two(xp: Any) -> Step:
    """Return one tensor as two states, and write into the first of them."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total, before = states
        total += x
        return total - before, [total, total]

    return step


def into_second_state(xp: Any) -> Step:
    """Add up the inputs in the place of the second state."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        first, second = states
        second += x
        return first + second, [first + x, second]

    return step


def into_input(xp: Any) -> Step:
    """Add the state to the input in place."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        x += states[0]
        return x, [x]

    return step


def into_constant(xp: Any) -> Step:
    """Add up the inputs, and then write into the second constant."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total, scale, shift = states
        total = total * scale + x + shift
        shift += scale
        return total, [total]

    return step


def _row(name: str, title: str, step: Any, named: str, **changes: Any) -> Check:
    return Check(
        name=f"writing-{name}",
        rules=(10, 19),
        title=title,
        check=right_or_refused(
            replace(PLAIN, step=step, **changes),
            f"step_function wrote into {named};",
            assert_gradients_agree,
        ),
        every_mode=True,
        drift="On torch, polyrnn 0.1 returned the last value at all steps, and wrong gradients.",
    )


ROWS = (
    _row("state", "A step writes into its state.", into_state, "states[0]"),
    _row(
        "state-masked",
        "A step writes into its state, with a mask.",
        into_state,
        "states[0]",
        mask=MASK,
    ),
    _row(
        "state-last-only",
        "A step writes into its state, backwards and with only the last output.",
        into_state,
        "states[0]",
        go_backwards=True,
        return_all_outputs=False,
    ),
    _row(
        "state-unrolled",
        "A step writes into its state, unrolled and masked with zeroed outputs.",
        into_state,
        "states[0]",
        unroll=True,
        mask=MASK,
        zero_output_for_mask=True,
    ),
    _row(
        "state-nested",
        "A step writes into a leaf of its state.",
        into_nested_state,
        "states[0]['h']",
        initial_states=[{"h": wave(2, 3)}],
    ),
    _row(
        "state-returned-twice",
        "A step returns one tensor as two states, and writes into the first.",
        into_one_of_two,
        "states[0]",
        initial_states=[wave(2, 3), wave(2, 3, phase=2)],
    ),
    _row(
        "second-state",
        "A step writes into its second state.",
        into_second_state,
        "states[1]",
        initial_states=[wave(2, 3), wave(2, 3, phase=2)],
    ),
    _row("input", "A step writes into its input.", into_input, "inputs"),
    _row(
        "input-masked",
        "A step writes into its input, with a mask.",
        into_input,
        "inputs",
        mask=MASK,
    ),
    _row(
        "constant",
        "A step writes into a constant.",
        into_constant,
        "constants[1]",
        constants=[wave(1, 3), wave(1, 3, phase=4)],
    ),
)
