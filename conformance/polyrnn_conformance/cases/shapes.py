"""Rules 6 and 18: static sizes of the arguments are static sizes of the results."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.comparing import DisagreementError, expected_of
from polyrnn_conformance.rows import Check
from polyrnn_conformance.steps import Step
from polyrnn_conformance.subject import Subject
from polyrnn_conformance.trees import Host

NAMES = ("last output", "outputs", "state")


def _part_and_sum(xp: Any) -> Step:
    """Output a part of the inputs and add up all of them, so that feature sizes differ."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        return x[:, :2] + x[:, 1:], [states[0] + x]

    return step


PLAIN = Call(
    step=_part_and_sum,
    inputs=wave(2, 4, 3),
    initial_states=[wave(2, 3, phase=1)],
)


def _known(call: Call) -> Callable[[Subject, str], None]:
    """Return a check of the static shapes of results, within the function that calls `rnn`."""

    def check(subject: Subject, mode: str) -> None:
        forgets = mode in subject.harness.unknown_shape_modes
        if forgets and call.unroll:
            return  # unrolling raises an error if the time is unknown
        found: list[tuple[tuple[Any, ...] | None, ...]] = []
        subject.run(call, mode, shapes=found)
        for name, leaf, shape in zip(NAMES, expected_of(call).leaves, found[-1], strict=True):
            wanted: list[Any] = list(leaf.shape)
            if forgets:
                # Batch and time are unknown, except the single time step of a last output.
                named = 1 if name == "last output" else 2
                one = name == "outputs" and not call.return_all_outputs
                time = 0 if call.time_major else 1
                wanted[:named] = [1 if one and axis == time else None for axis in range(named)]
            if (
                shape is None
                or len(shape) != len(wanted)
                or any(
                    size is not None and size != known
                    for size, known in zip(wanted, shape, strict=True)
                )
            ):
                raise DisagreementError(f"{name}: got static shape {shape}, expected {wanted}")

    return check


_MASK = np.array([[True, False, True, True], [False, True, True, False]])

_WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "last-only": {"return_all_outputs": False},
    "backwards": {"go_backwards": True},
    "masked": {"mask": _MASK},
    "masked-last-only": {"mask": _MASK, "return_all_outputs": False, "go_backwards": True},
    "masked-zeroed-time-major": {
        "mask": _MASK.T,
        "zero_output_for_mask": True,
        "time_major": True,
        "inputs": wave(4, 2, 3),
    },
    "lengths": {"input_length": np.array([2, 4], "int32")},
    "unrolled": {"unroll": True},
}


def _known_by_one_leaf(subject: Subject, mode: str) -> None:
    """Check a call with one leaf of known sizes and one of unknown sizes."""
    call = replace(
        PLAIN,
        step=lambda xp: lambda x, states: (x[0], [states[0] + x[1]]),
        inputs=[PLAIN.inputs, Host(PLAIN.inputs)],
        initial_states=[Host(wave(2, 3))],
        mask=Host(_MASK),
    )
    found: list[tuple[tuple[Any, ...] | None, ...]] = []
    subject.run(call, mode, shapes=found)
    if found[-1][2] != (2, 3):
        raise DisagreementError(f"state: got static shape {found[-1][2]}, expected (2, 3)")


ROWS = (
    *(
        Check(
            name=f"static-shapes-{name}",
            rules=(6, 18),
            title="A static size of the arguments is a static size of the results.",
            check=_known(replace(PLAIN, **changes)),
            every_mode=True,
        )
        for name, changes in _WAYS.items()
    ),
    Check(
        name="static-shapes-of-a-state",
        rules=(18,),
        title="A state keeps its static sizes beside inputs of unknown sizes.",
        check=_known_by_one_leaf,
        every_mode=True,
    ),
)
