"""Rule 28: a value that is not a tensor is an error, and is never silently converted."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, StepMaker
from polyrnn_conformance.cases.refusing import S, X, refused
from polyrnn_conformance.rows import Case, ErrorCase
from polyrnn_conformance.trees import Host

MASK = np.array([[True, True, False, True], [True, False, False, False]])


class ForeignTensor:
    """A tensor of a library without a backend, which NumPy can convert.

    Args:
        array: The values.
    """

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __array__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.array


FOREIGN = f"{ForeignTensor.__module__}.ForeignTensor"
UNKNOWN = "which no installed backend knows (there are <backends>)"
MASKED = (
    f"expected a plain tensor, got {np.ma.MaskedArray.__module__}.MaskedArray: its mask would be "
    "lost; pass x.filled(0), "
    "and where whole time steps are masked mask=~numpy.ma.getmaskarray(x).any(axis=-1)"
)
MATRIX = (
    "expected a plain tensor, got numpy.matrix: it has two axes whatever is done with it; pass "
    "numpy.asarray(x)"
)
ENDLESS = "expected a nest of at most 128 levels; got one that is deeper or contains itself"


def masked(array: Any) -> Any:
    """Return a masked array with one masked element."""
    made = np.ma.masked_array(array)
    made[(0,) * made.ndim] = np.ma.masked
    return made


def matrix(array: Any) -> Any:
    """Return an array of rank 2 as a `numpy.matrix`."""
    return np.asarray(array).view(np.matrix)


def cycle(kind: type[list[Any]] | type[dict[Any, Any]] = list) -> Any:
    """Return a container that contains itself twice."""
    if kind is dict:
        mapping: dict[str, Any] = {}
        mapping.update(a=mapping, b=mapping)
        return mapping
    sequence: list[Any] = []
    sequence.extend([sequence, sequence])
    return sequence


def nest(levels: int, leaf: Any) -> Any:
    """Return a leaf in a nest of lists, tuples and dicts in turn."""
    for level in range(levels):
        leaf = ([leaf], (leaf,), {"a": leaf})[level % 3]
    return leaf


def _refused(
    name: str,
    title: str,
    text: str,
    error: type[Exception] = TypeError,
    rules: tuple[int, ...] = (28,),
    **changes: Any,
) -> ErrorCase:
    return refused(
        name,
        rules,
        title,
        text,
        error,
        by_the_step="step" in changes,
        by_values="got dtype" in text,
        # A compiler that interprets Python may run out of stack for such a nest.
        every_mode=ENDLESS not in text,
        **changes,
    )


def _returns(what: Any) -> StepMaker:
    def make(xp: Any) -> Any:
        return lambda x, states: what(x)

    return make


def _dtype(name: str, title: str, dtype: str, instead: str) -> ErrorCase:
    array = np.ones((2, 4, 3)).astype(dtype)
    return _refused(
        f"inputs-of-{name}",
        title,
        f"inputs['a']: expected bool or numbers, got dtype {array.dtype}; pass {instead}",
        ValueError,
        (16, 28),
        inputs={"a": Host(array)},
    )


_NUMBERS = "numbers, such as x.astype('float32')"

ERRORS = (
    _refused(
        "foreign-inputs",
        "A tensor of a library without a backend is not an input, even if NumPy can convert it.",
        f"inputs['a']: expected a tensor, got {FOREIGN}, {UNKNOWN}",
        inputs={"a": Host(ForeignTensor(X))},
    ),
    _refused(
        "foreign-state",
        "A tensor of a library without a backend is not a state.",
        f"initial_states[1][0]: expected a tensor, got {FOREIGN}, {UNKNOWN}",
        initial_states=[S, [Host(ForeignTensor(S))]],
    ),
    _refused(
        "foreign-constant",
        "A tensor of a library without a backend is not a constant.",
        f"constants[0]: expected a tensor, got {FOREIGN}, {UNKNOWN}",
        constants=[Host(ForeignTensor(S))],
    ),
    _refused(
        "foreign-mask",
        "A tensor of a library without a backend is not a mask.",
        f"mask: expected a tensor, got {FOREIGN}, {UNKNOWN}",
        mask=Host(ForeignTensor(MASK)),
    ),
    _refused(
        "foreign-lengths",
        "A tensor of a library without a backend does not contain lengths.",
        f"input_length: expected a tensor, got {FOREIGN}, {UNKNOWN}",
        input_length=Host(ForeignTensor(np.array([2, 3]))),
    ),
    _refused(
        "foreign-output",
        "A step does not output a tensor of a library without a backend.",
        f"output ['a']: expected a tensor, got {FOREIGN}, {UNKNOWN}",
        step=_returns(lambda x: ({"a": ForeignTensor(S)}, [x])),
    ),
    _refused(
        "foreign-new-state",
        "A step does not return a tensor of a library without a backend as a state.",
        f"state [0]: expected a tensor, got {FOREIGN}, {UNKNOWN}",
        step=_returns(lambda x: (x, [ForeignTensor(S)])),
    ),
    _refused(
        "masked-array-inputs",
        "A masked array is not an input: it would lose its mask.",
        f"inputs: {MASKED}",
        inputs=Host(masked(X)),
    ),
    _refused(
        "masked-array-state",
        "A masked array is not a state.",
        f"initial_states[0]['h']: {MASKED}",
        initial_states=[{"h": Host(masked(S))}],
    ),
    _refused(
        "masked-array-constant",
        "A masked array is not a constant.",
        f"constants[0]: {MASKED}",
        constants=[Host(masked(S))],
    ),
    _refused(
        "masked-array-mask",
        "A masked array is not a mask.",
        f"mask: {MASKED}",
        mask=Host(masked(MASK)),
    ),
    _refused(
        "masked-array-lengths",
        "Lengths are not a masked array.",
        f"input_length: {MASKED}",
        input_length=Host(masked(np.array([2, 3]))),
    ),
    _refused(
        "masked-array-output",
        "A step does not output a masked array.",
        f"output: {MASKED}",
        step=_returns(lambda x: (masked(np.ones((2, 3), "f4")), [x])),
    ),
    _refused(
        "masked-array-new-state",
        "A step does not return a masked array as a state.",
        f"state [0]: {MASKED}",
        step=_returns(lambda x: (x, [masked(np.ones((2, 3), "f4"))])),
    ),
    _refused(
        "matrix",
        "A numpy.matrix is not an input: its operators differ from those of an array.",
        f"initial_states[0]: {MATRIX}",
        initial_states=[Host(matrix(S))],
    ),
    _dtype("objects", "An array of objects is not an input.", "object", _NUMBERS),
    _dtype("strings", "An array of strings is not an input.", "U8", _NUMBERS),
    _dtype(
        "times",
        "An array of times is not an input.",
        "datetime64[s]",
        "numbers, such as x.astype('int64')",
    ),
    _dtype(
        "records",
        "A structured array is not an input.",
        "i4,f4",
        "a dict of its fields, {name: x[name] for name in x.dtype.names}",
    ),
    _refused(
        "states-of-objects",
        "An array of objects is not a state.",
        f"initial_states[0]: expected bool or numbers, got dtype object; pass {_NUMBERS}",
        ValueError,
        (16, 28),
        initial_states=[Host(S.astype(object))],
    ),
    _refused(
        "endless-inputs",
        "A list that contains itself is not an input.",
        f"inputs: {ENDLESS}",
        ValueError,
        inputs=Host(cycle()),
    ),
    _refused(
        "endless-states",
        "A dict that contains itself is not a state.",
        f"initial_states: {ENDLESS}",
        ValueError,
        initial_states=[S, Host(cycle(dict))],
    ),
    _refused(
        "endless-constants",
        "A list that contains itself is not a constant.",
        f"constants: {ENDLESS}",
        ValueError,
        constants=[Host(cycle())],
    ),
    _refused(
        "endless-mask",
        "A list that contains itself is not a mask.",
        f"mask: {ENDLESS}",
        ValueError,
        mask=Host(cycle()),
    ),
    _refused(
        "endless-lengths",
        "A list that contains itself does not contain lengths.",
        f"input_length: {ENDLESS}",
        ValueError,
        input_length=Host(cycle()),
    ),
    _refused(
        "endless-output",
        "A step does not output a nest that contains itself.",
        f"output: {ENDLESS}",
        ValueError,
        step=_returns(lambda x: (cycle(), [x])),
    ),
    _refused(
        "endless-new-state",
        "A step does not return a state that contains itself.",
        f"new_states: {ENDLESS}",
        ValueError,
        step=_returns(lambda x: (x, [cycle()])),
    ),
    _refused(
        "deep-inputs",
        "Inputs of a thousand levels raise an error that names them, not a RecursionError.",
        f"inputs: {ENDLESS}",
        ValueError,
        inputs=Host(nest(1000, X)),
    ),
    _refused(
        "deep-states",
        "States of a thousand levels raise an error that names them.",
        f"initial_states: {ENDLESS}",
        ValueError,
        initial_states=Host(nest(1000, S)),
    ),
    _refused(
        "deep-new-state",
        "New states of a thousand levels raise an error that names them.",
        f"new_states: {ENDLESS}",
        ValueError,
        step=_returns(lambda x: (x, [nest(1000, x)])),
    ),
)

ROWS = (
    Case(
        name="deep-nest",
        rules=(2, 4, 28),
        title="A nest may have a hundred levels.",
        every_mode=False,
        call=Call(
            step=_returns(lambda x: (nest(100, x), [nest(99, x)])),
            inputs=X,
            initial_states=[nest(99, S)],
        ),
    ),
)
