"""Calls with invalid arguments, which raise an error before the step is called."""

from collections.abc import Callable
from typing import Any

import numpy as np

from polyrnn_conformance.calls import wave
from polyrnn_conformance.cases.refusing import S, X, refused
from polyrnn_conformance.rows import ErrorCase
from polyrnn_conformance.trees import Host


def _not_callable(xp: Any) -> Callable[..., Any]:
    return "step"  # type: ignore[return-value]  # the wrong type is what the case tests


def _mask(name: str, shape: tuple[int, ...], title: str, **changes: Any) -> ErrorCase:
    return refused(
        f"mask-{name}",
        (11,),
        title,
        "mask: expected shape (2, 4) or (2, 4, 1) for inputs whose first two axes are (2, 4), "
        f"got {shape}",
        mask=np.ones(shape, bool),
        **changes,
    )


def _lengths(name: str, title: str, text: str, lengths: Any, **options: Any) -> ErrorCase:
    return refused(
        f"lengths-{name}",
        (15,),
        title,
        f"input_length{text}",
        input_length=Host(lengths),
        **options,
    )


ROWS = (
    refused(
        "step-not-callable",
        (3,),
        "The step function is callable.",
        "step_function: expected a callable, got str",
        TypeError,
        step=_not_callable,
    ),
    refused(
        "flag-of-another-type",
        (9,),
        "A flag is True or False.",
        "unroll: expected True or False, got str",
        TypeError,
        unroll="yes",
    ),
    refused(
        "number-for-flag",
        (7,),
        "A flag is not a number.",
        "go_backwards: expected True or False, got int",
        TypeError,
        go_backwards=1,
    ),
    refused(
        "inputs-rank-2",
        (1,),
        "Inputs have rank 3 or more.",
        "inputs: expected (batch, time, ...) with rank 3 or more, got shape (2, 3)",
        inputs=wave(2, 3),
    ),
    refused(
        "inputs-leaf-rank-2",
        (1,),
        "Every leaf of the inputs has rank 3 or more; the error names it by its path.",
        "inputs['b'][1]: expected (batch, time, ...) with rank 3 or more, got shape (2, 4)",
        inputs={"a": X, "b": [X, wave(2, 4)]},
    ),
    refused(
        "inputs-rank-2-time-major",
        (1,),
        "With time_major the error names the axes in that order.",
        "inputs: expected (time, batch, ...) with rank 3 or more, got shape (4, 2)",
        inputs=wave(4, 2),
        time_major=True,
    ),
    refused(
        "inputs-of-other-batch",
        (1,),
        "All leaves of the inputs have the same batch.",
        "inputs[1]: expected batch 2 as in inputs[0], got 3 in shape (3, 4, 3)",
        inputs=[X, wave(3, 4, 3)],
    ),
    refused(
        "inputs-of-other-time",
        (1,),
        "All leaves of the inputs have the same time.",
        "inputs['b']: expected time 4 as in inputs['a'], got 5 in shape (2, 5, 3)",
        inputs={"a": X, "b": wave(2, 5, 3)},
    ),
    refused(
        "inputs-of-other-time-time-major",
        (1,),
        "With time_major the first axis is time.",
        "inputs[1]: expected time 4 as in inputs[0], got 5 in shape (5, 2, 3)",
        inputs=(wave(4, 2, 3), wave(5, 2, 3)),
        time_major=True,
    ),
    refused(
        "inputs-empty-nest",
        (1,),
        "Inputs contain at least one tensor.",
        "inputs: expected at least one tensor, got an empty nest",
        inputs=[None, {}],
    ),
    refused(
        "inputs-text",
        (1, 16),
        "Text is not a tensor.",
        "inputs['a']: expected a tensor, got str, which no installed backend knows (there are "
        "<backends>)",
        TypeError,
        inputs={"a": Host("text")},
    ),
    refused(
        "states-object",
        (2, 16),
        "An object that is not a tensor of any framework is not a state.",
        "initial_states[1][0]: expected a tensor, got object, which no installed backend knows "
        "(there are <backends>)",
        TypeError,
        initial_states=[S, [Host(object())]],
    ),
    refused(
        "inputs-ragged-list",
        (16,),
        "A list of numbers has rows of equal length.",
        "inputs: expected lists of equal length",
        inputs=Host([[[1.0], [2.0]], [[3.0]]]),
    ),
    refused(
        "time-empty",
        (8,),
        "There is at least one time step.",
        "inputs: expected (batch, time, ...) with at least one time step, got shape (2, 0, 3)",
        inputs=wave(2, 0, 3),
    ),
    refused(
        "time-empty-time-major",
        (8,),
        "There is at least one time step; the first axis counts with time_major.",
        "inputs: expected (time, batch, ...) with at least one time step, got shape (0, 2, 3)",
        inputs=wave(0, 2, 3),
        time_major=True,
    ),
    _mask("of-rank-1", (2,), "A mask has rank 2 or 3."),
    _mask(
        "with-features",
        (2, 4, 3),
        "A mask has no feature axis.",
        drift="tf_keras tiles a mask of any shape.",
    ),
    _mask("of-rank-4", (2, 4, 1, 1), "A mask has at most three axes."),
    _mask(
        "transposed",
        (4, 2),
        "A mask is (batch, time), not transposed.",
        drift="In tf_keras a wrong mask silently gives a result of shape (batch, batch).",
    ),
    _mask("of-other-time", (2, 5), "A mask has as many time steps as the inputs."),
    _mask("of-other-batch", (1, 4), "A mask of one sample is not broadcast."),
    refused(
        "mask-time-major",
        (6, 11),
        "With time_major a mask is (time, batch).",
        "mask: expected shape (4, 2) or (4, 2, 1) for inputs whose first two axes are (4, 2), "
        "got (2, 4)",
        inputs=wave(4, 2, 3),
        mask=np.ones((2, 4), bool),
        time_major=True,
    ),
    refused(
        "mask-of-text",
        (11,),
        "A mask does not contain text.",
        "mask: expected bool or numbers, got dtype <U3; pass numbers, such as x.astype('float32')",
        mask=Host(np.full((2, 4), "yes")),
    ),
    refused(
        "mask-without-states",
        (13,),
        "A mask needs states.",
        "mask: expected initial_states, which masked steps leave as they are; got none",
        initial_states=[],
        mask=np.ones((2, 4), bool),
    ),
    refused(
        "lengths-without-states",
        (13, 15),
        "Lengths need states.",
        "input_length: expected initial_states, which masked steps leave as they are; got none",
        initial_states=(),
        input_length=Host([2, 3]),
    ),
    refused(
        "masked-state-without-batch",
        (13,),
        "With a mask every state of rank 1 or more has the batch as its first axis.",
        "initial_states[1]['n']: expected the batch (2) as the first axis, because mask is given; "
        "got shape (5,)",
        initial_states=[S, {"n": wave(5)}],
        mask=np.ones((2, 4), bool),
    ),
    refused(
        "masked-state-of-other-batch",
        (13,),
        "With lengths every state has the batch as its first axis.",
        "initial_states[0]: expected the batch (2) as the first axis, because input_length is "
        "given; got shape (4, 3)",
        initial_states=[wave(4, 3)],
        input_length=Host([2, 3]),
    ),
    _lengths("zero", "An integer length is at least 1.", ": expected 1 to 4, got 0", 0),
    _lengths("negative", "An integer length is not negative.", ": expected 1 to 4, got -1", -1),
    _lengths(
        "too-long",
        "An integer length is at most the number of time steps.",
        ": expected 1 to 4, got 5",
        5,
    ),
    _lengths(
        "numpy-too-long",
        "Lengths in a NumPy array are checked.",
        "[1]: expected 0 to 4, got 5",
        np.array([4, 5]),
        by_values=True,
    ),
    _lengths(
        "list-negative", "Lengths in a list are checked.", "[0]: expected 0 to 4, got -2", [-2, 4]
    ),
    _lengths("float", "A length is an integer.", ": expected integers, got float", 2.0),
    _lengths("bool", "True is not a length.", ": expected integers, got bool", True),
    _lengths(
        "list-of-floats",
        "A list of lengths contains integers only.",
        ": expected integers, got dtype float64",
        [2.0, 3.0],
    ),
    _lengths(
        "of-other-batch",
        "There is one length for each sample.",
        ": expected an integer or shape (2,), got shape (3,)",
        np.array([1, 2, 3]),
    ),
    _lengths(
        "of-rank-2",
        "Lengths have rank 1.",
        ": expected an integer or shape (2,), got shape (2, 1)",
        np.array([[1], [2]]),
    ),
    _lengths(
        "ragged",
        "A list of lengths is flat.",
        ": expected lists of equal length",
        [1, [2]],
    ),
    refused(
        "lengths-tensor-of-floats",
        (15,),
        "Lengths as a tensor are integers.",
        "input_length: expected integers, got dtype float32",
        input_length=np.array([1.0, 2.0], "float32"),
    ),
    refused(
        "lengths-tensor-of-other-batch",
        (15,),
        "Lengths as a tensor have one entry for each sample.",
        "input_length: expected an integer or shape (2,), got shape (3,)",
        input_length=np.array([1, 2, 3], "int32"),
    ),
)
