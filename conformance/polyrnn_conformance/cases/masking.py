"""Rules 11 to 13 and 15: masks, lengths, and the states and outputs of masked steps."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.cases.outputs import nested_outputs
from polyrnn_conformance.rows import Case
from polyrnn_conformance.steps import Step, count_and_echo, dense, running_sum, two_states
from polyrnn_conformance.trees import Host

X, S = wave(3, 4, 2), wave(3, 2, phase=1)
MASK = np.array(
    [[True, True, False, False], [False, True, False, True], [False, False, False, False]]
)
WEIGHTS = (wave(2, 2), wave(2, 2, phase=3))
LONG_TIME = np.arange(40)
LONG_MASK = np.stack([LONG_TIME % 36 < 3, LONG_TIME % 7 == 0, LONG_TIME > 20])
LENGTHS = np.array([2, 4, 0], dtype="int32")


def rank_changes(xp: Any) -> Step:
    """Use states of ranks 1 and 3, and return an output of rank 4."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        flat, deep = states
        flat, deep = flat + x[:, 0], deep + x[:, :, None]
        return deep[:, None, ...] + x[:, None, :, None], [flat, deep]

    return step


def counter(xp: Any, one: Any, half: Any) -> Step:
    """Count the steps in a state of rank 0, and weight the input by another, which decays."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total, count, decay = states
        total = total + x * decay
        return total - x, [total, count + one, decay * half]

    return step


COUNTER: dict[str, Any] = {
    "step": counter,
    "weights": (np.array(1, "int32"), np.array(0.5, "float32")),
    "initial_states": [S, np.array(3, "int32"), np.array(1.5, "float32")],
}


def _masked(name: str, rules: tuple[int, ...], title: str, **changes: Any) -> Case:
    row = {key: changes.pop(key) for key in ("drift", "gradients") if key in changes}
    arguments = {"step": count_and_echo, "inputs": X, "initial_states": [S], **changes}
    return Case(name=name, rules=rules, title=title, call=Call(**arguments), **row)


HOLDS_STATE = "In Keras 3 on numpy and jax the output of a masked step is states[0]."

ROWS = (
    _masked("mask-bool", (11, 18), "A mask is boolean, of shape (batch, time).", mask=MASK),
    _masked(
        "mask-rank-3",
        (11,),
        "A mask may have a third axis of size 1.",
        mask=MASK[..., None],
    ),
    _masked(
        "mask-float",
        (11,),
        "A floating-point mask is true where it is not zero, at 0.5 and -1 too.",
        mask=np.where(MASK, np.array([[1.0, 0.5, 2.0, -1.0]]), 0.0).astype("float32"),
    ),
    _masked(
        "mask-int-rank-3",
        (11,),
        "A mask of integers is true where it is not zero.",
        mask=(MASK * np.array([1, 2, 3, -1]))[..., None].astype("int32"),
    ),
    _masked("mask-numpy", (11, 16), "A mask may be a NumPy array.", mask=Host(MASK)),
    _masked("mask-list", (11, 16), "A mask may be a list of lists.", mask=Host(MASK.tolist())),
    _masked(
        "mask-time-major",
        (6, 11),
        "With time_major the mask is (time, batch).",
        inputs=wave(4, 3, 2),
        mask=MASK.T,
        time_major=True,
    ),
    _masked(
        "mask-time-major-rank-3",
        (6, 11),
        "With time_major the mask may be (time, batch, 1).",
        inputs=wave(4, 3, 2),
        mask=MASK.T[..., None],
        time_major=True,
        zero_output_for_mask=True,
    ),
    _masked(
        "mask-of-one-sample",
        (11,),
        "A square mask is (batch, time).",
        inputs=wave(2, 2, 2),
        initial_states=[wave(2, 2)],
        mask=np.array([[True, True], [True, False]]),
    ),
    _masked(
        "masked-output-repeats",
        (12,),
        "The output of a masked step is the previous output, which may differ from the state.",
        mask=MASK,
        gradients=True,
        drift=HOLDS_STATE,
    ),
    _masked(
        "masked-output-repeats-unrolled",
        (9, 12),
        "Unrolled, the output of a masked step is the previous output.",
        mask=MASK,
        unroll=True,
        gradients=True,
        drift=HOLDS_STATE,
    ),
    _masked(
        "masked-output-repeats-long",
        (12,),
        "The last valid output is repeated over any number of masked steps.",
        inputs=wave(3, 40, 2),
        mask=LONG_MASK,
        go_backwards=True,
    ),
    _masked(
        "masked-output-starts-at-zeros",
        (12,),
        "Before the first valid step of a sample its output is zero, not the initial state.",
        step=running_sum,
        mask=MASK,
    ),
    _masked(
        "masked-output-last-only",
        (6, 12),
        "With return_all_outputs=False a masked last step repeats the previous output.",
        mask=MASK,
        return_all_outputs=False,
        drift="tf_keras fails at a mask with return_all_outputs=False; Keras 3 keeps all outputs.",
    ),
    _masked(
        "masked-states-stay",
        (12,),
        "All states stay unchanged at a masked step.",
        step=two_states,
        weights=WEIGHTS,
        initial_states=[S, S + 1],
        mask=MASK,
        gradients=True,
    ),
    _masked(
        "masked-infinite",
        (12,),
        "Infinite states and outputs stay infinite at a masked step.",
        inputs=np.where(np.arange(24).reshape(3, 4, 2) < 10, np.inf, X).astype("float32"),
        mask=MASK,
    ),
    _masked(
        "masked-counter",
        (13,),
        "A state of rank 0 advances at masked steps, too.",
        mask=MASK,
        gradients=True,
        **COUNTER,
    ),
    _masked(
        "masked-counter-backwards-unrolled",
        (7, 9, 13),
        "Backwards and unrolled, a state of rank 0 advances at every step.",
        mask=MASK,
        go_backwards=True,
        unroll=True,
        zero_output_for_mask=True,
        **COUNTER,
    ),
    _masked(
        "masked-counter-by-lengths",
        (6, 13, 15),
        "With lengths and only the last output, a state of rank 0 advances at every step.",
        input_length=LENGTHS,
        return_all_outputs=False,
        gradients=True,
        **COUNTER,
    ),
    _masked(
        "masked-outputs-nested",
        (4, 12),
        "Every leaf of a nest of outputs repeats at masked steps.",
        step=nested_outputs,
        mask=MASK,
        drift="tf_keras and Keras 3 fail at nested outputs that are masked.",
    ),
    _masked(
        "masked-outputs-nested-unrolled-last-only",
        (4, 6, 9, 12),
        "Every leaf of a nest of outputs repeats, unrolled and with only the last output too.",
        step=nested_outputs,
        mask=MASK,
        unroll=True,
        return_all_outputs=False,
        drift="tf_keras fails at nested outputs when unrolled.",
    ),
    _masked(
        "masked-every-rank",
        (12,),
        "At masked steps states of rank 1 and 3 stay, and an output of rank 4 repeats.",
        step=rank_changes,
        initial_states=[wave(3), wave(3, 2, 2)],
        mask=MASK,
        gradients=True,
        drift="In Keras 3 a state of shape (batch,) becomes (batch, batch) when masked.",
    ),
    _masked(
        "masked-every-rank-unrolled",
        (9, 12),
        "Unrolled, states of every rank stay and outputs of every rank repeat at masked steps.",
        step=rank_changes,
        initial_states=[wave(3), wave(3, 2, 2)],
        mask=MASK,
        unroll=True,
        zero_output_for_mask=True,
        drift="In Keras 3 a state of shape (batch,) becomes (batch, batch) when masked.",
    ),
    _masked(
        "zero-output",
        (12,),
        "With zero_output_for_mask the output of a masked step is zero, the last output too.",
        mask=MASK,
        zero_output_for_mask=True,
        gradients=True,
    ),
    _masked(
        "zero-output-unrolled",
        (9, 12),
        "Unrolled, zero_output_for_mask zeroes the outputs of masked steps.",
        mask=MASK,
        zero_output_for_mask=True,
        unroll=True,
        drift="Keras 3 on numpy and jax ignores zero_output_for_mask when unrolled.",
    ),
    _masked(
        "zero-output-last-only",
        (6, 12),
        "With return_all_outputs=False the output of a masked last step is zero.",
        mask=MASK,
        zero_output_for_mask=True,
        return_all_outputs=False,
    ),
    _masked(
        "zero-output-last-only-backwards",
        (6, 12),
        "Backwards, the last output is that of the first time step, zero if it is masked.",
        mask=np.array([[1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 0, 1]], bool),
        zero_output_for_mask=True,
        return_all_outputs=False,
        go_backwards=True,
    ),
    _masked(
        "zero-output-nested",
        (4, 12),
        "Every leaf of a nest of outputs is zero at masked steps, backwards too.",
        step=nested_outputs,
        mask=MASK,
        zero_output_for_mask=True,
        go_backwards=True,
    ),
    _masked(
        "zero-output-without-mask",
        (12,),
        "Without a mask zero_output_for_mask changes nothing.",
        zero_output_for_mask=True,
    ),
    _masked(
        "lengths-tensor",
        (15, 18),
        "Lengths mean the mask time < length; a length of 0 masks all steps of the sample.",
        input_length=LENGTHS,
        gradients=True,
        drift="Keras 3 on numpy and jax ignores input_length; elsewhere it fails for tensors.",
    ),
    _masked(
        "lengths-unrolled",
        (9, 15),
        "Lengths work unrolled, too.",
        input_length=LENGTHS,
        unroll=True,
        drift="tf_keras ignores lengths when unrolled.",
    ),
    _masked(
        "lengths-backwards",
        (7, 15),
        "Backwards, lengths count from the start of the time axis.",
        input_length=np.array([2, 3, 1], dtype="int32"),
        go_backwards=True,
        drift="tf_keras assumes that the longest sample fills the time axis.",
    ),
    _masked(
        "lengths-backwards-unrolled",
        (7, 9, 15),
        "Backwards and unrolled, lengths count from the start of the time axis.",
        input_length=np.array([2, 3, 1], dtype="int32"),
        go_backwards=True,
        unroll=True,
        drift="tf_keras ignores lengths when unrolled.",
    ),
    _masked(
        "lengths-numpy",
        (15, 16),
        "Lengths may be a NumPy array of any integer dtype.",
        input_length=Host(LENGTHS.astype("uint8")),
    ),
    Case(
        name="lengths-int8-of-many-steps",
        rules=(15,),
        title="Lengths may have a dtype that cannot represent the number of time steps.",
        call=Call(
            step=running_sum,
            inputs=wave(2, 300, 1),
            initial_states=[wave(2, 1)],
            input_length=np.array([127, 2], "int8"),
        ),
        every_mode=False,
    ),
    _masked("lengths-list", (15, 16), "Lengths may be a list.", input_length=Host([2, 4, 1])),
    _masked("lengths-integer", (15,), "One integer is the length of all samples.", input_length=3),
    _masked(
        "lengths-numpy-integer",
        (15,),
        "One NumPy integer is the length of all samples.",
        input_length=Host(np.int64(2)),
        zero_output_for_mask=True,
    ),
    _masked(
        "lengths-integer-of-all-time",
        (15,),
        "An integer equal to the number of time steps masks nothing.",
        input_length=4,
    ),
    _masked(
        "lengths-scalar-tensor",
        (15, 18),
        "One tensor of shape () is the length of all samples.",
        input_length=np.array(3, dtype="int32"),
    ),
    _masked(
        "lengths-time-major",
        (6, 15),
        "With time_major lengths count along the first axis.",
        inputs=wave(4, 3, 2),
        input_length=LENGTHS,
        time_major=True,
        zero_output_for_mask=True,
    ),
    _masked(
        "lengths-beside-mask",
        (15,),
        "With a mask and lengths, the mask decides.",
        mask=MASK,
        input_length=np.array([1, 1, 1], dtype="int32"),
    ),
    _masked(
        "lengths-dense",
        (15, 19),
        "Gradients flow through the steps that lengths do not mask.",
        step=dense,
        weights=WEIGHTS,
        input_length=LENGTHS,
        gradients=True,
    ),
)
