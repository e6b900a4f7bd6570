"""Rule 14: with all flags, masked steps are given pairs of input and state that occur."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call
from polyrnn_conformance.comparing import DisagreementError
from polyrnn_conformance.random_calls import FLAGS
from polyrnn_conformance.rows import Check
from polyrnn_conformance.steps import Step
from polyrnn_conformance.subject import Subject

TIME, BATCH = 6, 3
STEPS = np.arange(TIME)

MASKS = {
    "right": np.array([[4], [6], [2]]) > STEPS,
    "left": np.array([[2], [0], [5]]) <= STEPS,
    "gaps": np.array([STEPS % 3 == 1, STEPS % 2 == 0, (STEPS == 2) | (STEPS == 3)]),
    "one-row": np.array([[4], [0], [5]]) > STEPS,
}


def _counts_pairs(xp: Any, xs: Any, states: Any) -> Step:
    """Count the pairs that the step is given that are among given pairs; keep the input."""

    def step(x: Any, old: list[Any]) -> tuple[Any, Any]:
        before, count = old
        found = (x == xs) & (before == states)
        return x, [x, count + xp.sum(xp.where(found, xs * 0 + 1, xs * 0))]

    return step


def _pairs(valid: Any, x: Any, state: Any, backwards: bool) -> tuple[Any, Any]:
    """Return the valid inputs and the state that each of them occurs with."""
    pairs = []
    for b in range(BATCH):
        before = state[b, 0]
        for t in STEPS[::-1] if backwards else STEPS:
            if valid[b, t]:
                pairs.append((x[b, t, 0], before))
                before = x[b, t, 0]
    xs, states = zip(*pairs, strict=True)
    return np.array([xs], "float32"), np.array([states], "float32")


def _flags(subject: Subject, mode: str) -> Iterator[dict[str, bool]]:
    if subject.harness.step_calls(mode) == "each":
        for values in product((False, True), repeat=len(FLAGS)):
            yield dict(zip(FLAGS, values, strict=True))
    else:
        for backwards in (False, True):
            yield {"go_backwards": backwards, "return_all_outputs": backwards}


def _occur(valid: Any, as_lengths: bool) -> Callable[[Subject, str], None]:
    def check(subject: Subject, mode: str) -> None:
        # All inputs are different, masked ones included.
        x = np.arange(1, BATCH * TIME + 1, dtype="float32").reshape(BATCH, TIME, 1)
        state = np.array([[-1], [-2], [-3]], "float32")
        for flags in _flags(subject, mode):
            major = flags.get("time_major", False)
            call = Call(
                step=_counts_pairs,
                weights=_pairs(valid, x, state, flags["go_backwards"]),
                inputs=x.swapaxes(0, 1) if major else x,
                initial_states=[state, np.asarray(0, "float32")],
                mask=None if as_lengths else valid.T if major else valid,
                input_length=valid.sum(axis=1) if as_lengths else None,
                **flags,
            )
            count = int(subject.run(call, mode).leaves[-1])
            if count != TIME * BATCH:
                raise DisagreementError(
                    f"{TIME * BATCH - count} of {TIME * BATCH} pairs of input and state that the "
                    f"step was given occur nowhere in the data, with {flags}"
                )

    return check


ROWS = tuple(
    Check(
        name=f"pairs-occur-{name}{'-as-lengths' if as_lengths else ''}",
        rules=(7, 14),
        title="A masked step is given an input and a state that occur together in the data.",
        check=_occur(valid, as_lengths),
        every_mode=(name, as_lengths) in (("gaps", False), ("one-row", True)),
    )
    for name, valid in MASKS.items()
    for as_lengths in ([False, True] if name in ("right", "one-row") else [False])
)
