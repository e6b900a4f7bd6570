"""Calls whose step returns an invalid result."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import StepMaker, wave
from polyrnn_conformance.cases.refusing import S, refused
from polyrnn_conformance.rows import ErrorCase

MASK = np.ones((2, 4), bool)


def _returns(what: Any) -> StepMaker:
    """Return a `StepMaker` whose step returns a function of input, states and weights."""

    def make(xp: Any, *weights: Any) -> Any:
        return lambda x, states: what(x, states, *weights)

    return make


def _refused(
    name: str,
    title: str,
    text: str,
    what: Any,
    rules: tuple[int, ...] = (5,),
    error: type[Exception] = ValueError,
    **changes: Any,
) -> ErrorCase:
    return refused(
        f"step-{name}",
        rules,
        title,
        text,
        error,
        by_the_step=True,
        **{"step": _returns(what), **changes},
    )


HALF, DOUBLE = wave(2, 3, dtype="float16"), wave(2, 3, dtype="float64")
INTEGERS = np.zeros((2, 3), "int32")

ROWS = (
    _refused(
        "no-pair",
        "A step returns output and new states.",
        "step_function: expected it to return (output, new_states), got *",
        lambda x, states: x,
        (3,),
    ),
    _refused(
        "three-values",
        "A step returns output and new states, and nothing else.",
        "step_function: expected it to return (output, new_states), got (*, [*], [*])",
        lambda x, states: (x, [x], [x]),
        (3,),
    ),
    _refused(
        "nothing",
        "A step does not return None.",
        "step_function: expected it to return (output, new_states), got None",
        lambda x, states: None,
        (3,),
    ),
    _refused(
        "too-few-states",
        "A step returns as many states as it was given.",
        "new_states: step returned [*] for 2 states",
        lambda x, states: (x, [x]),
        initial_states=[S, S],
    ),
    _refused(
        "too-many-states",
        "A step returns no more states than it was given.",
        "new_states: step returned [*, *] for 1 state",
        lambda x, states: (x, [x, x]),
    ),
    _refused(
        "states-with-constants",
        "Constants are not returned.",
        "new_states: step returned [*, *] for 1 state",
        lambda x, states: (x, states),
        constants=[S],
    ),
    _refused(
        "states-for-none",
        "A step without states returns no states.",
        "new_states: step returned [*] for 0 states",
        lambda x, states: (x, [x]),
        initial_states=[],
    ),
    _refused(
        "no-states",
        "A step does not return None for its states.",
        "state [0]: step returned None for *",
        lambda x, states: (x, None),
    ),
    _refused(
        "other-nest",
        "A state keeps its nest.",
        "state [0]: step returned [*, *] for {'c': *, 'h': *}",
        lambda x, states: (x, [[x, x]]),
        initial_states=[{"h": S, "c": S}],
    ),
    _refused(
        "other-nest-of-second-state",
        "The error names the state that lost its nest.",
        "state [1]: step returned * for {'h': *}",
        lambda x, states: (x, [x, x]),
        initial_states=[S, {"h": S}],
    ),
    _refused(
        "none-for-tensor-in-nest",
        "An entry of a nest does not become None.",
        "state [0]: step returned [*, None] for (*, *)",
        lambda x, states: (x, [[x, None]]),
        initial_states=[(S, S)],
    ),
    _refused(
        "other-keys",
        "A dict keeps its keys.",
        "state [0]: step returned {'c': *} for {'h': *}",
        lambda x, states: (x, [{"c": x}]),
        initial_states=[{"h": S}],
    ),
    _refused(
        "longer-sequence-in-nest",
        "A state that is a sequence keeps its length.",
        "state [0]: step returned (*, *, *) for [*, *]",
        lambda x, states: (x, [(x, x, x)]),
        initial_states=[[S, S]],
    ),
    _refused(
        "other-shape",
        "A state keeps its shape.",
        "state [0]: step returned float32 (2, 1) for float32 (2, 3)",
        lambda x, states: (x, [x[:, :1]]),
    ),
    _refused(
        "other-rank",
        "A state keeps its rank.",
        "state [0][1]: step returned float32 (2,) for float32 (2, 3)",
        lambda x, states: (x, [[x, x[:, 0]]]),
        initial_states=[[S, S]],
    ),
    _refused(
        "wider-dtype",
        "A state keeps its dtype; it is not silently widened.",
        "state [0]['h']: step returned float32 (2, 3) for float16 (2, 3)",
        lambda x, states: (x, [{"h": x}]),
        (5, 17),
        initial_states=[{"h": HALF}],
    ),
    _refused(
        "narrower-dtype",
        "A state keeps its dtype; it is not silently narrowed.",
        "state [0]: step returned float32 (2, 3) for float64 (2, 3)",
        lambda x, states: (x, [x]),
        (5, 17),
        initial_states=[DOUBLE],
    ),
    _refused(
        "float-for-integer",
        "An integer state does not become a float.",
        "state [1]: step returned float32 (2, 3) for int32 (2, 3)",
        lambda x, states: (x, [x, x]),
        (5, 17),
        initial_states=[S, INTEGERS],
    ),
    _refused(
        "other-shape-unrolled",
        "Unrolled, a state keeps its shape.",
        "state [0]: step returned float32 (2, 1) for float32 (2, 3)",
        lambda x, states: (x, [x[:, :1]]),
        (5, 9),
        unroll=True,
    ),
    _refused(
        "other-dtype-masked",
        "With a mask a state keeps its dtype.",
        "state [0]: step returned float32 (2, 3) for float16 (2, 3)",
        lambda x, states: (x, [x]),
        (5, 12),
        initial_states=[HALF],
        mask=MASK,
    ),
    _refused(
        "text-for-state",
        "A state is a tensor.",
        "state [0]: expected a tensor, got str, which no installed backend knows (there are "
        "<backends>)",
        lambda x, states: (x, ["text"]),
        (5, 16),
        TypeError,
    ),
    _refused(
        "text-for-output",
        "An output is a tensor.",
        "output ['a']: expected a tensor, got str, which no installed backend knows (there are "
        "<backends>)",
        lambda x, states: ({"a": "text"}, [x]),
        (5, 16),
        TypeError,
    ),
    _refused(
        "masked-output-without-batch",
        "With a mask every leaf of the output has the batch as its first axis.",
        "output ['n']: expected the batch (2) as the first axis, because steps are masked; step "
        "returned shape ()",
        lambda x, states, n: ({"n": n, "x": x}, [x]),
        (12, 13),
        weights=(wave(),),
        mask=MASK,
    ),
    _refused(
        "masked-output-of-other-batch",
        "With a mask an output has the batch size of the inputs.",
        "output: expected the batch (2) as the first axis, because steps are masked; step "
        "returned shape (3, 2)",
        lambda x, states, other: (other, [x]),
        (12, 13),
        weights=(wave(3, 2),),
        mask=MASK,
    ),
)
