"""Rules 22, 23 and 25: sequences that begin anew, chunks that go on, and truncated gradients."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.cases.refusing import refused
from polyrnn_conformance.rows import Case, ErrorCase
from polyrnn_conformance.steps import Step, dense, running_sum, two_states
from polyrnn_conformance.trees import Host

TIME = 6
X, H, FRESH = wave(3, TIME, 2), wave(3, 2, phase=1), wave(3, 2, phase=5)
WEIGHTS = (wave(2, 2), wave(2, 2, phase=3))
RESET = np.array([[0, 0, 1, 0, 0, 1], [1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]], bool)
MASK = np.array([[1, 1, 0, 0, 1, 1], [0, 0, 0, 1, 0, 1], [1, 1, 1, 1, 0, 0]], bool)
BLANK = np.array([[0, 0, 1, 1, 1, 0], [0, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)
"""A mask with padding before the first valid steps, and a sample that is masked throughout."""

DRIFT = "tf_keras and Keras 3 cannot begin anew within a call."
CHUNK_DRIFT = "tf_keras and Keras 3 begin each chunk with zeros."


def root(xp: Any, weight: Any) -> Step:
    """Take the root of the difference of input and state, which only real pairs allow."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[1] + weight * (x - states[0]) ** 0.5
        return total, [x, total]

    return step


def nested(xp: Any, kernel: Any, recurrent: Any, one: Any) -> Step:
    """Put out a dict, and keep a dict and a counter."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        inner, count = states
        h = xp.tanh(xp.matmul(x, kernel) + xp.matmul(inner["h"], recurrent))
        return {"h": h, "twice": [h + h]}, [{"h": h, "sum": inner["sum"] + h}, count + one]

    return step


def _case(name: str, rules: tuple[int, ...], title: str, drift: str = "", **changes: Any) -> Case:
    arguments = {"step": dense, "weights": WEIGHTS, "inputs": X, "initial_states": [H], **changes}
    call = Call(**arguments)
    return Case(name=name, rules=rules, title=title, call=call, gradients=True, drift=drift)


def _reset(name: str, title: str, **changes: Any) -> Case:
    return _case(f"reset-{name}", (22,), title, DRIFT, **{"reset": RESET, **changes})


def _initial(name: str, title: str, **changes: Any) -> Case:
    arguments = {"mask": BLANK, "initial_output": FRESH, **changes}
    return _case(f"initial-output-{name}", (23,), title, CHUNK_DRIFT, **arguments)


RISING = np.sort(4.0 + wave(3, TIME, 2), axis=1)
NESTED: dict[str, Any] = {
    "step": nested,
    "weights": (*WEIGHTS, np.array(1, "int32")),
    "initial_states": [{"h": H, "sum": wave(3, 2, phase=2)}, np.array(3, "int32")],
    "reset_states": [{"h": FRESH, "sum": wave(3, 2, phase=8)}, np.array(9, "int32")],
}
FIRST_OF_NEST = {"h": FRESH, "twice": [wave(3, 2, phase=6)]}

ROWS = (
    _reset("states", "Where a sequence begins, the states are the initial ones."),
    _reset(
        "other-states",
        "Where a sequence begins, the states are the given ones.",
        reset_states=[FRESH],
    ),
    _reset(
        "backwards", "A reset stays with its time step.", go_backwards=True, reset_states=[FRESH]
    ),
    _reset("unrolled", "Unrolled, a reset means the same.", unroll=True, reset_states=[FRESH]),
    _reset(
        "last-only",
        "A reset counts where only the last output is kept.",
        return_all_outputs=False,
        reset_states=[FRESH],
    ),
    _reset(
        "time-major",
        "A reset has the layout of the inputs.",
        time_major=True,
        inputs=X.swapaxes(0, 1),
        reset=RESET.T,
        reset_states=[FRESH],
    ),
    _reset(
        "rank-3-numbers",
        "A reset may have a third axis and be of numbers.",
        reset=RESET[..., None].astype("float32"),
    ),
    _reset("numpy", "A reset may be a NumPy array.", reset=Host(RESET)),
    _reset("list", "A reset may be a list.", reset=Host(RESET.astype("int32").tolist())),
    _reset("one-leaf", "The reset state may be the bare tensor.", reset_states=FRESH),
    _reset(
        "two-states",
        "Each state has its own reset state.",
        step=two_states,
        initial_states=[H, wave(3, 2, phase=2)],
        reset_states=[FRESH, wave(3, 2, phase=7)],
    ),
    _reset("nests-and-counter", "Nests are reset leaf by leaf; a counter goes on.", **NESTED),
    _reset("masked", "A reset counts at masked steps, too.", mask=MASK, reset_states=[FRESH]),
    _reset(
        "masked-backwards",
        "Backwards, a reset counts at masked steps, too.",
        mask=MASK,
        reset_states=[FRESH],
        go_backwards=True,
    ),
    _reset(
        "masked-unrolled",
        "Unrolled, a reset counts at masked steps, too.",
        mask=MASK,
        reset_states=[FRESH],
        unroll=True,
    ),
    _reset(
        "masked-zero-output",
        "A masked step that resets puts out zeros.",
        mask=MASK,
        zero_output_for_mask=True,
        reset_states=[FRESH],
    ),
    _reset(
        "masked-last-only",
        "The last output is zeros after a masked reset.",
        mask=MASK,
        return_all_outputs=False,
        reset=RESET | ~MASK,
    ),
    _reset("masked-nests", "Held outputs of every leaf become zeros.", mask=MASK, **NESTED),
    _reset(
        "lengths",
        "A reset counts beyond the length of a sample.",
        input_length=np.array([3, 6, 1], "int32"),
        reset_states=[FRESH],
    ),
    _reset(
        "padding",
        "Padding stays harmless: pairs are of the state that is met.",
        step=root,
        weights=(wave(3, 2),),
        inputs=np.where(MASK[..., None], RISING, np.nan).astype("float32"),
        mask=MASK,
        initial_states=[RISING[:, 0] - 3.0, H],
        reset_states=[RISING[:, 0] - 2.0, FRESH],
    ),
    _reset(
        "padding-unmet-state",
        "The state that no valid input meets is not given.",
        step=root,
        weights=(wave(3, 2),),
        inputs=np.where(MASK[..., None], RISING, np.nan).astype("float32"),
        mask=MASK,
        reset=np.array([[1, 0, 0, 0, 0, 0]] * 3, bool),
        initial_states=[RISING[:, 0] + 30.0, H],
        reset_states=[RISING[:, 0] - 2.0, FRESH],
    ),
    _initial("left", "Masked steps repeat it before the first valid step."),
    _initial("backwards", "Backwards, too.", go_backwards=True),
    _initial("unrolled", "Unrolled, too.", unroll=True),
    _initial("last-only", "With the last output alone, too.", return_all_outputs=False),
    _initial(
        "nest",
        "It has the nest of the output.",
        initial_output=FIRST_OF_NEST,
        **{key: value for key, value in NESTED.items() if key != "reset_states"},
    ),
    _initial("lengths", "With lengths, too.", mask=None, input_length=np.array([0, 4, 6], "int32")),
    _initial(
        "zero-output",
        "Where masked steps put out zeros it changes nothing.",
        zero_output_for_mask=True,
    ),
    _initial("without-mask", "Without a mask it changes nothing.", mask=None),
    _initial("reset", "After a reset masked steps put out zeros instead.", reset=RESET),
    Case(
        name="truncated-values",
        rules=(25,),
        title="Truncation changes no values.",
        call=Call(
            step=running_sum,
            inputs=np.ones((2, 7, 1), "int32"),
            initial_states=[np.zeros((2, 1), "int32")],
            truncate_every=2,
        ),
    ),
)


def _refused(
    name: str,
    rules: tuple[int, ...],
    title: str,
    text: str,
    error: type[Exception] = ValueError,
    **changes: Any,
) -> ErrorCase:
    given = {"inputs": X, "initial_states": [H], **changes}
    # The output is known after the first step only.
    by_the_step = "initial_output" in changes
    return refused(name, rules, title, text, error, by_the_step=by_the_step, **given)


ERRORS = (
    _refused(
        "reset-without-states",
        (22,),
        "A reset needs states.",
        "reset: expected initial_states, which a reset replaces; got none",
        initial_states=[],
        reset=RESET,
        step=lambda xp: lambda x, states: (x, []),
    ),
    _refused(
        "reset-of-other-shape",
        (22,),
        "A reset has the shape of a mask.",
        "reset: expected shape (3, 6) or (3, 6, 1) for inputs whose first two axes are (3, 6), "
        "got (3, 5)",
        reset=RESET[:, 1:],
    ),
    _refused(
        "reset-state-without-batch",
        (22,),
        "A reset needs the batch in every state.",
        "initial_states[0]: expected the batch (3) as the first axis, because reset is given; "
        "got shape (2,)",
        reset=RESET,
        initial_states=[wave(2)],
    ),
    _refused(
        "reset-states-of-other-nest",
        (22,),
        "Reset states have the nest of the states.",
        "reset_states: expected the nest of initial_states, [*], got [*, *]",
        reset=RESET,
        reset_states=[FRESH, FRESH],
    ),
    _refused(
        "reset-states-of-other-shape",
        (22,),
        "Reset states have the shapes of the states.",
        "reset_states[0]: expected float32 (3, 2), got float32 (3, 4)",
        reset=RESET,
        reset_states=[wave(3, 4)],
    ),
    _refused(
        "reset-states-of-other-dtype",
        (22,),
        "Reset states have the dtypes of the states.",
        "reset_states[0]: expected float32 (3, 2), got int32 (3, 2)",
        reset=RESET,
        reset_states=[np.zeros((3, 2), "int32")],
    ),
    _refused(
        "initial-output-of-other-nest",
        (23,),
        "It has the nest of the output.",
        "initial_output: expected the nest of the step's output, *, got [*]",
        mask=MASK,
        initial_output=[FRESH],
    ),
    _refused(
        "initial-output-of-other-shape",
        (23,),
        "It has the shape of the output.",
        "initial_output: expected float32 (3, 2), got float32 (3, 1)",
        mask=MASK,
        initial_output=FRESH[:, :1],
    ),
    _refused(
        "initial-output-of-other-dtype",
        (23,),
        "It has the dtype of the output, mask or not.",
        "initial_output: expected float32 (3, 2), got int32 (3, 2)",
        initial_output=np.zeros((3, 2), "int32"),
    ),
    _refused(
        "truncate-every-0",
        (25,),
        "Truncation takes an integer from 1.",
        "truncate_every: expected an integer from 1, got 0",
        truncate_every=0,
    ),
    _refused(
        "truncate-every-float",
        (25,),
        "Truncation takes an integer.",
        "truncate_every: expected an integer, got float",
        TypeError,
        truncate_every=2.0,
    ),
    _refused(
        "truncate-every-true",
        (25,),
        "True is no number of steps.",
        "truncate_every: expected an integer, got bool",
        TypeError,
        truncate_every=True,
    ),
)
