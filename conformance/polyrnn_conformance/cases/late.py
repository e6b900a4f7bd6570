"""Rules 5 and 10: steps that return a wrong result after several correct ones."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, StepMaker, wave
from polyrnn_conformance.cases.refusing import right_or_refused
from polyrnn_conformance.comparing import (
    DisagreementError,
    assert_agrees,
    assert_slope_agrees,
    expected_of,
)
from polyrnn_conformance.rows import Check
from polyrnn_conformance.steps import Step
from polyrnn_conformance.subject import Subject
from polyrnn_conformance.trees import Pair, map_leaves

PLACES = ((7, 9), (17, 19), (258, 260))
"""The number of the call with the wrong result, and the number of time steps."""

Wrong = Callable[[Any, Any, Any], tuple[Any, Any]]
"""``(input, correct output, another dtype) -> (output, new states)``, with a wrong result."""


def _late(at: int, wrong: Wrong) -> StepMaker:
    def make(xp: Any, other: Any) -> Step:
        calls: list[int] = []

        def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
            calls.append(1)
            total = states[0] + x
            return wrong(x, total, other) if len(calls) == at else (total, [total])

        return step

    return make


def _refuses(text: str, wrong: Wrong, **changes: Any) -> Callable[[Subject, str], None]:
    def check(subject: Subject, mode: str) -> None:
        if subject.harness.step_calls(mode) != "each":
            return
        for at, time in PLACES:
            call = Call(
                step=_late(at, wrong),
                weights=(np.ones((2, 3), "int32"),),
                inputs=wave(2, time, 3),
                initial_states=[wave(2, 3)],
                **{
                    name: value(time) if callable(value) else value
                    for name, value in changes.items()
                },
            )
            try:
                subject.run(call, mode)
            except ValueError as error:
                if str(error) == text:
                    continue
                raise DisagreementError(f"step {at} of {time}: got {error}") from error
            raise DisagreementError(f"step {at} of {time}: was taken")

    return check


def _mask(time: int) -> Any:
    return np.ones((2, time), bool)


WAYS: dict[str, dict[str, Any]] = {
    "": {},
    "-masked": {"mask": _mask},
    "-zeroed": {"mask": _mask, "zero_output_for_mask": True},
    "-last-only-backwards": {"return_all_outputs": False, "go_backwards": True},
    "-unrolled": {"unroll": True, "time_major": False},
}

FAULTS: dict[str, tuple[str, Wrong]] = {
    "state-of-other-dtype": (
        "state [0]: step returned int32 (2, 3) for float32 (2, 3)",
        lambda x, total, other: (total, [other]),
    ),
    "state-of-other-shape": (
        "state [0]: step returned float32 (2, 1) for float32 (2, 3)",
        lambda x, total, other: (total, [total[:, :1]]),
    ),
    "state-of-other-nest": (
        "state [0]: step returned {'h': *} for *",
        lambda x, total, other: (total, [{"h": total}]),
    ),
    "states-of-other-number": (
        "new_states: step returned [*, *] for 1 state",
        lambda x, total, other: (total, [total, total]),
    ),
    "output-of-other-dtype": (
        "output: step returned int32 (2, 3) for float32 (2, 3)",
        lambda x, total, other: (other, [total]),
    ),
    "output-of-other-shape": (
        "output: step returned float32 (2, 1) for float32 (2, 3)",
        lambda x, total, other: (total[:, :1], [total]),
    ),
    "output-of-other-rank": (
        "output: step returned float32 (2,) for float32 (2, 3)",
        lambda x, total, other: (total[:, 0], [total]),
    ),
}


def _eagerly(check: Callable[[Subject, str], None]) -> Callable[[Subject, str], None]:
    """Return a check for the modes that call the step once for each time step."""

    def eager_check(subject: Subject, mode: str) -> None:
        # Using a tensor of one trace in a later trace is an error of the framework.
        if subject.harness.step_calls(mode) == "each":
            check(subject, mode)

    return eager_check


def _one_buffer(xp: Any) -> Step:
    """Return the same tensor each time, overwritten if the framework has mutable tensors."""
    buffers: list[Any] = []

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + x
        if not buffers:
            buffers.append(x * 0)
        output = buffers[0]
        output *= 0
        output += total
        return output, [total]

    return step


def _late_write(xp: Any) -> Step:
    """Write into the state at the seventh step."""
    calls: list[int] = []

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        calls.append(1)
        total = states[0]
        if len(calls) == 7:
            total += x
        else:
            total = total + x
        return total + 0, [total]

    return step


def _buffer_rows() -> list[Check]:
    plain = Call(step=_one_buffer, inputs=wave(2, 9, 3), initial_states=[wave(2, 3)])
    mask = np.arange(18).reshape(2, 9) % 4 != 1
    ways: dict[str, dict[str, Any]] = {
        "": {},
        "-masked": {"mask": mask},
        "-zeroed": {"mask": mask, "zero_output_for_mask": True},
        "-last-only": {"mask": mask, "return_all_outputs": False},
        "-backwards": {"go_backwards": True},
    }
    return [
        Check(
            name=f"late-{name}{way}",
            rules=(10,),
            title=title,
            check=_eagerly(
                right_or_refused(replace(plain, step=step, **changes), text, assert_slope_agrees)
            ),
        )
        for way, changes in ways.items()
        for name, title, step, text in (
            (
                "output-buffer",
                "A step that returns the same buffer each time gets the right result or an error.",
                _one_buffer,
                "step_function wrote into an output that it had returned before",
            ),
            (
                "write-into-state",
                "A step that writes into its state once gets the right result or an error.",
                _late_write,
                "step_function wrote into states[0];",
            ),
        )
    ]


def _emptying(xp: Any) -> Step:
    """Empty the containers that the step is given, after reading them."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        first, second, scale = (_first(entry) for entry in [*states, 1.0][:3])
        drawn = _first(x)
        new = [
            _holding(entry, total)
            for entry, total in zip(states, (first + drawn, second * scale + drawn), strict=False)
        ]
        _empty(x)
        for entry in states:
            _empty(entry)
        states.clear()
        return first * 0.5 + second + drawn, new

    return step


def _first(tree: Any) -> Any:
    if isinstance(tree, Pair):
        return _first(tree.left)
    if isinstance(tree, dict):
        return _first(tree["a"])
    return _first(tree[0]) if isinstance(tree, list | tuple) else tree


def _holding(like: Any, tensor: Any) -> Any:
    """Return a tensor in the same containers as another."""
    return map_leaves(lambda _: tensor, like)


def _empty(tree: Any) -> None:
    if isinstance(tree, list | dict):
        tree.clear()


def _empties(
    inputs: Any, states: Any, constants: Any, **changes: Any
) -> Callable[[Subject, str], None]:
    def check(subject: Subject, mode: str) -> None:
        call = Call(
            step=_emptying, inputs=inputs, initial_states=states, constants=constants, **changes
        )
        assert_agrees(subject.run(call, mode), expected_of(call))

    return check


def _emptying_rows() -> list[Check]:
    x, s, k = wave(2, 5, 3), wave(2, 3), np.asarray(0.5, "float32")
    mask = np.array([[True, False, True, True, False], [False, True, True, False, False]])
    inputs = {"": x, "-inputs-list": [x], "-inputs-dict": {"a": x}, "-inputs-node": Pair(x, x)}
    states = {"": [s, s + 1], "-states-nested": [[s], {"a": s + 1}]}
    constants = {"": None, "-constants": [k], "-constants-nested": [[k]]}
    masks: dict[str, Any] = {"": None, "-masked": mask}
    return [
        Check(
            name=f"containers-emptied{name_x}{name_s}{name_k}{name_m}",
            rules=(3, 10),
            title="A step may empty the containers that it is given.",
            check=_empties(given, held, fixed, mask=masked),
        )
        for name_x, given in inputs.items()
        for name_s, held in states.items()
        for name_k, fixed in constants.items()
        for name_m, masked in masks.items()
    ]


ROWS = (
    *(
        Check(
            name=f"late-{name}{way}",
            rules=(5,),
            title="The results of a step are checked at every step, not only at the first steps.",
            check=_refuses(text, wrong, **changes),
        )
        for name, (text, wrong) in FAULTS.items()
        for way, changes in WAYS.items()
    ),
    *_buffer_rows(),
    *_emptying_rows(),
)
