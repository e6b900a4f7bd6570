"""Rules 11, 14 and 15: methods of a backend, called directly with extreme values of dtypes.

A call of `polyrnn.rnn` may not show how a method treats these values, because the front end
converts some of them to wider dtypes first.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from polyrnn_conformance.calls import array_of, wave
from polyrnn_conformance.comparing import DisagreementError
from polyrnn_conformance.rows import Check
from polyrnn_conformance.subject import Subject

INTEGERS = {"int8": 127, "uint8": 255, "int32": 2**31 - 1, "int64": 2**63 - 1}
"""The largest value of each integer dtype."""

TRUE: dict[str, list[Any]] = {
    "bool": [True],
    "int8": [1, -1, -128],
    "uint8": [1, 255, 128],
    "int32": [1, 256, 2**30, -(2**31)],
    "int64": [1, 2**32, 2**62, -(2**63)],
    "float16": [6.2e-5, 0.5, np.nan, np.inf, -1.0],
    "bfloat16": [1e-37, 0.5, np.nan, np.inf, -1.0],
    "float32": [1.2e-38, 0.5, np.nan, np.inf, -1.0],
    "float64": [2.3e-308, 1e-300, np.nan, -np.inf],
    "complex64": [1j, -0.5j, 1e-37j, 1.0, complex(0, np.nan)],
    "complex128": [1j, 1e-300j, 1.0, complex(0, np.inf)],
}
"""Values of each dtype that are not zero, down to the smallest that no device flushes to zero."""


class _Asked(NamedTuple):
    """A call of a method, and its expected results."""

    what: str
    method: Callable[..., Any]
    arrays: Sequence[Any]
    expected: Any


def _compare(subject: Subject, mode: str, asked: Sequence[_Asked]) -> None:
    """Check all calls in one function, because compiling each by itself is slow."""
    tensors = [subject.tensor(array) for one in asked for array in one.arrays]

    def function(*given: Any) -> list[Any]:
        results, start = [], 0
        for _, method, arrays, _ in asked:
            results.append(method(*given[start : start + len(arrays)]))
            start += len(arrays)
        return results

    for one, result in zip(asked, subject.harness.run(mode, function, tensors), strict=True):
        found, wanted = subject.harness.to_numpy(result), np.asarray(one.expected)
        same = np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f")
        if (found.dtype.kind == "b") != (wanted.dtype.kind == "b") or not same:
            raise DisagreementError(f"{one.what}: got {found.tolist()}, expected {wanted.tolist()}")


def _nonzero(subject: Subject, mode: str) -> None:
    asked = []
    for dtype in subject.harness.dtypes:
        values = [0, *TRUE[dtype], 0]
        array = array_of(np.array([values, values[::-1]]), dtype)
        expected = [[index not in (0, len(values) - 1) for index in range(len(values))]] * 2
        asked.append(_Asked(f"nonzero of {dtype}", subject.backend.nonzero, [array], expected))
    _compare(subject, mode, asked)


def _length_mask(subject: Subject, mode: str) -> None:
    like, steps = wave(300, 3, 1), np.arange(300)[:, None]
    asked = []
    for dtype, most in INTEGERS.items():
        for lengths in ([most, 3, 0], [min(most, 2**32 + 1), 100, 1]):
            expected = [[t < length for length in lengths] for t in steps[:, 0].tolist()]
            what = f"length_mask of {lengths} of {dtype}"
            arrays = [np.array(lengths, dtype), like]
            if dtype in subject.harness.dtypes:
                asked.append(_Asked(what, subject.backend.length_mask, arrays, expected))
    _compare(subject, mode, asked)


def _take_first(subject: Subject, mode: str) -> None:
    steps, take_first = np.arange(300), subject.backend.take_first
    # More than 255 true elements, too, which the smallest integers do not count.
    rows = [steps == 299, steps >= 130, steps < 7, steps == 256, steps >= 0, steps < 290]
    mask = np.stack(rows, axis=1)
    numbers = np.repeat(steps[:, None], 6, axis=1).astype("int32")

    def first(mask: Any, x: Any) -> Any:
        return take_first(mask, [x])[0]

    def last(mask: Any, x: Any) -> Any:
        return take_first(mask, [x], reverse=True)[0]

    _compare(
        subject,
        mode,
        [
            _Asked("take_first", first, [mask, numbers], [299, 130, 0, 256, 0, 0]),
            _Asked("take_first, reverse=True", last, [mask, numbers], [299, 299, 6, 256, 299, 289]),
        ],
    )


def _select(subject: Subject, mode: str) -> None:
    mask = np.array([True, False])
    asked = []
    for dtype in ("float32", "float16", "float64"):
        if dtype not in subject.harness.dtypes:
            continue
        x, y = np.array([[1.5, np.nan]] * 2, dtype), np.array([[np.inf, 2.0]] * 2, dtype)
        for other, fallback in (([], np.zeros_like(y)), ([y], y)):
            expected = np.where(mask[:, None], x, fallback)
            what = f"select of {dtype}"
            asked.append(_Asked(what, subject.backend.select, [mask, x, *other], expected))
    _compare(subject, mode, asked)


def _forward_fill(subject: Subject, mode: str) -> None:
    forward_fill = subject.backend.forward_fill
    if mode != subject.harness.modes[0] or forward_fill is None:
        return
    x, steps = wave(300, 2, 1), np.arange(300)
    mask = np.stack([steps % 70 < 3, (steps < 5) | (steps > 290)], axis=1)
    expected = x.copy()
    for t in range(1, 300):
        expected[t] = np.where(mask[t][:, None], x[t], expected[t - 1])
    _compare(subject, mode, [_Asked("forward_fill", forward_fill, [x, mask], expected)])


def _row(name: str, title: str, check: Callable[[Subject, str], None]) -> Check:
    return Check(
        name=f"contract-{name}", rules=(11, 14, 15), title=title, check=check, every_mode=True
    )


ROWS = (
    _row("nonzero", "A value that is not zero is true, in every dtype.", _nonzero),
    _row(
        "length-mask",
        "Lengths of every dtype are compared correctly with time steps.",
        _length_mask,
    ),
    _row("take-first", "The first valid step is found however late it is.", _take_first),
    _row("select", "NaN and infinity do not affect elements that do not select them.", _select),
    _row("forward-fill", "Gaps of every length are filled forward.", _forward_fill),
)
