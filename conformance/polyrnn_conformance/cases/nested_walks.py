"""Rules 3, 9 and 12: step functions that call `polyrnn.rnn`, with two or three nested loops."""

from collections.abc import Callable
from typing import Any

import numpy as np

import polyrnn
from polyrnn_conformance.calls import wave
from polyrnn_conformance.comparing import GRADIENT_TOLERANCES, TOLERANCES, Array, DisagreementError
from polyrnn_conformance.rows import Check
from polyrnn_conformance.subject import Subject


def _by_hand(x: Array, weight: Array, masked: bool) -> tuple[Array, Array, Array]:
    """Loop over the second axis of NumPy arrays, and within each step over the following axis."""
    hidden = np.zeros((x.shape[0], x.shape[-1]), x.dtype)
    held, outputs = hidden, []
    for t in range(x.shape[1]):
        inner = x[:, t]
        summary = inner if inner.ndim == 2 else _by_hand(inner, weight, masked)[0]
        following = np.tanh(summary * weight + hidden)
        valid = _mask_by_hand(x)[:, t, None] if masked else np.True_
        hidden = np.where(valid, following, hidden)
        held = np.where(valid, following, held)
        outputs.append(held)
    return held, np.stack(outputs, 1), hidden


def _gradient_by_hand(x: Array, weight: Array, masked: bool) -> Array:
    """Return the gradient of the sum of outputs with respect to the weight, by differences."""
    x, weight, distance = x.astype("float64"), weight.astype("float64"), 1e-5
    moves = distance * np.eye(len(weight))
    totals = [
        [_by_hand(x, weight + side * move, masked)[1].sum() for side in (1, -1)] for move in moves
    ]
    return np.asarray([(up - down) / (2 * distance) for up, down in totals])


def _mask_by_hand(x: Array) -> Array:
    """Return a mask of the steps whose first element is not too small."""
    first: Array = x.reshape(*x.shape[:2], -1)[:, :, 0] > -0.5
    return first


def _walked(subject: Subject, x: Any, weight: Any, depth: int, **how: Any) -> Any:
    """Compute the same by nested calls of `polyrnn.rnn`."""
    backend = subject.backend

    def step(inner: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        summary = inner if depth == 1 else _walked(subject, inner, weight, depth - 1, **how)[0]
        hidden = backend.namespace.tanh(summary * weight + states[0])
        return hidden, [hidden]

    first = x
    for _ in range(depth):
        first = first[:, 0, ...]
    options = {key: value for key, value in how.items() if key != "masked"}
    mask = x[(slice(None), slice(None), *[0] * depth)] > -0.5 if how["masked"] else None
    return polyrnn.rnn(step, x, [first * 0], mask=mask, backend=subject.choice, **options)


def _nested(lengths: tuple[int, ...], **how: Any) -> Callable[[Subject, str], None]:
    """Return a check of nested loops with the given numbers of steps, the outermost first."""
    how = {"masked": False, **how}
    x, weight = wave(2, *lengths, 3), wave(3, phase=1)

    def check(subject: Subject, mode: str) -> None:
        if "unroll" in how and mode in subject.harness.unknown_shape_modes:
            return

        def function(x: Any, weight: Any) -> list[Any]:
            last, outputs, states = _walked(subject, x, weight, len(lengths), **how)
            return [last, outputs, *states]

        tensors = [subject.tensor(x), subject.tensor(weight)]
        got = map(subject.harness.to_numpy, subject.harness.run(mode, function, tensors))
        expected = _by_hand(x, weight, how["masked"])
        for name, one, other in zip(("last", "outputs", "state"), got, expected, strict=True):
            tolerance = TOLERANCES["float32"]
            if one.shape != other.shape or not np.allclose(one, other, tolerance, tolerance):
                raise DisagreementError(f"{name}: got {one}, expected {other}")
        if "gradients" in subject.harness.limitations:
            return

        def total(weight: Any) -> Any:
            results = _walked(subject, tensors[0], weight, len(lengths), **how)
            return subject.backend.namespace.sum(results[1])

        (gradient,) = map(
            subject.harness.to_numpy, subject.harness.gradients(mode, total, tensors[1:])
        )
        wanted = _gradient_by_hand(x, weight, how["masked"])
        tolerance = GRADIENT_TOLERANCES["float32"]
        if not np.allclose(gradient, wanted, tolerance, tolerance):
            raise DisagreementError(f"gradient: got {gradient}, expected {wanted}")

    return check


ROWS = (
    Check(
        name="nested-walks",
        rules=(3, 19),
        title="The step may call rnn itself, over an axis of its input.",
        check=_nested((3, 4)),
        every_mode=True,
    ),
    Check(
        name="nested-walks-short-inner",
        rules=(3, 19),
        title="The inner loop may be short while the outer loop is long.",
        check=_nested((5, 2)),
        every_mode=True,
    ),
    Check(
        name="nested-walks-masked",
        rules=(3, 12, 14),
        title="Inner and outer loops each have their own mask.",
        check=_nested((3, 4), masked=True),
        every_mode=True,
    ),
    Check(
        name="nested-walks-unrolled",
        rules=(3, 9),
        title="Nested loops may be unrolled.",
        check=_nested((3, 4), masked=True, unroll=True),
        every_mode=True,
    ),
    Check(
        name="nested-walks-three-deep",
        rules=(3, 19),
        title="Loops may be nested three deep.",
        check=_nested((2, 3, 4)),
        every_mode=True,
    ),
    Check(
        name="nested-walks-three-deep-masked",
        rules=(3, 12, 14),
        title="Loops may be nested three deep, each with its own mask.",
        check=_nested((4, 3, 2), masked=True),
        every_mode=True,
    ),
)
