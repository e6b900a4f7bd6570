"""Rules 22, 23 and 25: walks with resets, in chunks and truncated, against walks put together."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import polyrnn
from polyrnn_conformance.calls import Call
from polyrnn_conformance.cases.boundaries import BLANK, FRESH, MASK, RESET, TIME, WEIGHTS, H, X
from polyrnn_conformance.comparing import GRADIENT_TOLERANCES, TOLERANCES, Array, DisagreementError
from polyrnn_conformance.rows import Check
from polyrnn_conformance.steps import dense
from polyrnn_conformance.subject import Subject


def _joined(call: Call, sizes: tuple[int, ...]) -> Callable[[Subject, str], None]:
    """Return a check that chunks, carried on, equal one walk."""

    def check(subject: Subject, mode: str) -> None:
        if mode in subject.harness.unknown_shape_modes:
            return
        whole = subject.run(call, mode)
        state: Array = H
        last: Any = None
        parts: list[Array] = []
        start = 0
        for size in sizes:
            piece = slice(start, start + size)
            chunk = replace(
                call,
                inputs=call.inputs[:, piece],
                initial_states=[state],
                mask=call.mask[:, piece],
                reset=None if call.reset is None else call.reset[:, piece],
                reset_states=[H],
                initial_output=last,
            )
            last, outputs, state = subject.run(chunk, mode).leaves
            parts.append(outputs)
            start += size
        for name, one, other in zip(
            ("last_output", "outputs", "state"),
            (last, np.concatenate(parts, 1), state),
            whole.leaves,
            strict=True,
        ):
            _assert_close(name, one, other, TOLERANCES["float32"])

    return check


def _segments(subject: Subject, mode: str) -> None:
    """A walk with resets equals separate walks of its segments."""
    reset = np.zeros((3, TIME), bool)
    reset[:, [2, 5]] = True
    call = Call(
        step=dense, weights=WEIGHTS, inputs=X, initial_states=[H], reset=reset, reset_states=[FRESH]
    )
    whole = subject.run(call, mode).leaves[1]
    for start, end in ((0, 2), (2, 5), (5, 6)):
        state = FRESH if start else H
        part = replace(
            call, inputs=X[:, start:end], initial_states=[state], reset=None, reset_states=None
        )
        _assert_close(
            "outputs", whole[:, start:end], subject.run(part, mode).leaves[1], TOLERANCES["float32"]
        )


def _truncated(every: int, **how: Any) -> Callable[[Subject, str], None]:
    """Return a check that gradients equal those of walks that are detached by hand."""

    def check(subject: Subject, mode: str) -> None:
        if (
            "gradients" in subject.harness.limitations
            or mode in subject.harness.unknown_shape_modes
        ):
            return
        backend, xp = subject.backend, subject.backend.namespace
        mask = subject.tensor(MASK) if how.get("masked") else None
        backwards = how.get("backwards", False)
        total = X.shape[1]

        def by_argument(x: Any, h: Any, kernel: Any, recurrent: Any) -> Any:
            _, outputs, (state,) = polyrnn.rnn(
                dense(xp, kernel, recurrent),
                x,
                [h],
                mask=mask,
                go_backwards=backwards,
                truncate_every=every,
                backend=subject.choice,
            )
            return xp.sum(outputs * outputs) + xp.sum(state)

        def by_hand(x: Any, h: Any, kernel: Any, recurrent: Any) -> Any:
            result, last, count = 0.0, None, 0
            while count < total:
                size = min(every, total - count)
                start = total - count - size if backwards else count
                piece = slice(start, start + size)
                last, outputs, (h,) = polyrnn.rnn(
                    dense(xp, kernel, recurrent),
                    x[:, piece, :],
                    [h],
                    mask=None if mask is None else mask[:, piece],
                    go_backwards=backwards,
                    initial_output=last,
                    backend=subject.choice,
                )
                result, count, final = result + xp.sum(outputs * outputs), count + size, h
                h, last = backend.detach(h), backend.detach(last)
            return result + xp.sum(final)

        tensors = [subject.tensor(array) for array in (X, H, *WEIGHTS)]
        got, expected = (
            list(map(subject.harness.to_numpy, subject.harness.gradients(mode, function, tensors)))
            for function in (by_argument, by_hand)
        )
        for name, one, other in zip(
            ("inputs", "state", "kernel", "recurrent"), got, expected, strict=True
        ):
            _assert_close(f"gradient of {name}", one, other, GRADIENT_TOLERANCES["float32"])

    return check


def _assert_close(name: str, one: Array, other: Array, tolerance: float) -> None:
    if one.shape != other.shape or not np.allclose(one, other, rtol=tolerance, atol=tolerance):
        raise DisagreementError(f"{name}: got {one}, expected {other}")


def _check(
    name: str, rules: tuple[int, ...], title: str, check: Callable[[Subject, str], None]
) -> Check:
    return Check(name=name, rules=rules, title=title, check=check, every_mode=True)


MASKED = Call(step=dense, weights=WEIGHTS, inputs=X, initial_states=[H], mask=BLANK)

CHECKS = (
    _check(
        "chunks-masked",
        (23,),
        "Chunks that are carried on equal one walk.",
        _joined(MASKED, (1, 3, 2)),
    ),
    _check(
        "chunks-masked-reset",
        (22, 23),
        "Chunks with resets equal one walk.",
        _joined(replace(MASKED, reset=RESET), (2, 1, 3)),
    ),
    _check("reset-segments", (22,), "A walk with resets equals walks of its segments.", _segments),
    _check("truncated-gradients", (25,), "Gradients flow through two steps.", _truncated(2)),
    _check(
        "truncated-gradients-of-one-step", (25,), "Gradients flow through one step.", _truncated(1)
    ),
    _check("truncated-gradients-remainder", (25,), "The last block may be shorter.", _truncated(4)),
    _check(
        "truncated-gradients-backwards",
        (25,),
        "Blocks count from the beginning of the walk.",
        _truncated(4, backwards=True),
    ),
    _check(
        "truncated-gradients-masked",
        (25,),
        "What masked steps repeat is cut off, too.",
        _truncated(2, masked=True),
    ),
    _check(
        "truncated-gradients-none",
        (25,),
        "More steps than there are cut off nothing.",
        _truncated(9),
    ),
)
