"""Rules 11, 15 and 16: masks and lengths as NumPy arrays, lists, tuples and numbers."""

from typing import Any

import numpy as np

import polyrnn
from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.cases.refusing import refused
from polyrnn_conformance.comparing import DisagreementError
from polyrnn_conformance.rows import Case, Check, ErrorCase
from polyrnn_conformance.steps import count_and_echo
from polyrnn_conformance.subject import Subject
from polyrnn_conformance.trees import Host

X, S = wave(3, 4, 2), wave(3, 2, phase=1)
MASK = np.array(
    [[True, True, False, False], [False, True, False, True], [False, False, False, False]]
)
NARROWS = "JAX converts float64 to float32 and int64 to int32 by default."


def _case(name: str, rules: tuple[int, ...], title: str, drift: str = "", **changes: Any) -> Case:
    arguments = {"step": count_and_echo, "inputs": X, "initial_states": [S], **changes}
    return Case(name=name, rules=rules, title=title, drift=drift, call=Call(**arguments))


def _lengths(name: str, title: str, lengths: Any) -> Case:
    return _case(f"lengths-{name}", (15, 16), title, input_length=Host(lengths))


def _mask(name: str, title: str, mask: Any, drift: str = "") -> Case:
    return _case(f"mask-{name}", (11, 16), title, drift, mask=Host(mask))


def _masked_by(values: Any) -> Any:
    return np.where(MASK, np.asarray(values), 0)


ROWS = (
    _lengths("tuple", "Lengths may be a tuple.", (2, 4, 0)),
    _lengths(
        "list-of-numpy-integers",
        "A list of lengths may contain NumPy integers.",
        [np.int64(2), np.int64(4), np.int64(0)],
    ),
    _lengths("int8", "Lengths may be int8.", np.array([2, 4, 0], "int8")),
    _lengths("uint64", "Lengths may be uint64.", np.array([2, 4, 0], "uint64")),
    _mask("tuple", "A mask may be a tuple of tuples.", tuple(map(tuple, MASK.tolist()))),
    _mask("list-of-arrays", "A mask may be a list of NumPy arrays.", list(MASK)),
    _mask(
        "list-of-tuples-rank-3",
        "A mask with a third axis may be nested lists and tuples.",
        [tuple([valid] for valid in row) for row in MASK.tolist()],
    ),
    _mask(
        "list-of-tiny-numbers",
        "A number in a mask is true however close to zero it is.",
        _masked_by(1e-300).tolist(),
        NARROWS,
    ),
    _mask(
        "list-of-large-integers",
        "A large integer in a mask is true even if its low bits are zero.",
        _masked_by(2**32).tolist(),
        NARROWS,
    ),
    _mask(
        "list-of-complex",
        "An imaginary number in a mask is true.",
        _masked_by(1j).tolist(),
    ),
    _mask(
        "numpy-tiny",
        "A number in a NumPy mask is true however close to zero it is.",
        _masked_by(1e-300),
        NARROWS,
    ),
    _mask(
        "numpy-large-integers",
        "A large integer in a NumPy mask is true even if its low bits are zero.",
        _masked_by(2**32),
        NARROWS,
    ),
    _mask("numpy-complex", "An imaginary number in a NumPy mask is true.", _masked_by(1j)),
)


def _refused_lengths(
    name: str, title: str, text: str, lengths: Any, by_values: bool = False
) -> ErrorCase:
    return refused(
        f"lengths-{name}",
        (15, 16),
        title,
        f"input_length{text}",
        by_values=by_values,
        input_length=Host(lengths),
    )


ERRORS = (
    _refused_lengths(
        "tuple-too-long", "Lengths in a tuple are checked.", "[1]: expected 0 to 4, got 9", (1, 9)
    ),
    _refused_lengths(
        "tuple-negative",
        "No length in a tuple is negative.",
        "[0]: expected 0 to 4, got -1",
        (-1, 2),
    ),
    _refused_lengths(
        "list-of-numpy-integers-too-long",
        "NumPy integers in a list of lengths are checked.",
        "[1]: expected 0 to 4, got 9",
        [np.int64(1), np.int64(9)],
        by_values=True,
    ),
    _refused_lengths(
        "beyond-every-dtype",
        "A length that exceeds every dtype is too long like any other.",
        f"[1]: expected 0 to 4, got {2**70}",
        [-0, 2**70],
    ),
    _refused_lengths(
        "uint64-too-long",
        "The largest uint64 is too long, and is not taken for a negative number.",
        f"[1]: expected 0 to 4, got {2**64 - 1}",
        np.array([1, 2**64 - 1], "uint64"),
        by_values=True,
    ),
    _refused_lengths(
        "int8-negative",
        "A length of int8 is not negative.",
        "[1]: expected 0 to 4, got -1",
        np.array([1, -1], "int8"),
        by_values=True,
    ),
    _refused_lengths(
        "bool-in-list",
        "True is not a length in a list of integers.",
        ": expected integers, got dtype bool",
        [1, True],
    ),
    _refused_lengths(
        "tuple-of-floats",
        "A tuple of lengths contains integers only.",
        ": expected integers, got dtype float64",
        (1, 2.0),
    ),
    _refused_lengths(
        "nested-list",
        "A list of lengths does not contain lists.",
        ": expected an integer or shape (2,), got shape (2, 1)",
        [[1], [2]],
    ),
    _refused_lengths(
        "empty-list",
        "An empty list has no length for any sample.",
        ": expected an integer or shape (2,), got shape (0,)",
        [],
    ),
    _refused_lengths(
        "empty-float-array",
        "An empty array of lengths has an integer dtype, too.",
        ": expected integers, got dtype float64",
        np.asarray([]),
    ),
    refused(
        "mask-of-objects",
        (11,),
        "A mask does not contain objects.",
        "mask: expected bool or numbers, got dtype object; pass numbers, such as "
        "x.astype('float32')",
        mask=Host(np.ones((2, 4), object)),
    ),
)


def _of_no_samples(subject: Subject, mode: str) -> None:
    def function(x: Any, state: Any) -> list[Any]:
        last, outputs, states = polyrnn.rnn(
            lambda x, states: (x, [states[0] + x]),
            x,
            [state],
            input_length=[],
            backend=subject.choice,
        )
        return [last, outputs, *states]

    tensors = [subject.tensor(wave(0, 4, 2)), subject.tensor(wave(0, 2))]
    results = subject.harness.run(mode, function, tensors)
    shapes = [subject.harness.to_numpy(result).shape for result in results]
    if shapes != [(0, 2), (0, 4, 2), (0, 2)]:
        raise DisagreementError(f"no samples: got results of the shapes {shapes}")


CHECKS = (
    Check(
        name="lengths-of-no-samples",
        rules=(15, 16),
        title="An empty list of lengths fits a batch of size zero.",
        check=_of_no_samples,
        every_mode=True,
    ),
)
