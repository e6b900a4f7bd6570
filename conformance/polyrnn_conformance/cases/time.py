"""Rules 6 to 9: layouts, directions, numbers of time steps, unrolling."""

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.cases.outputs import nested_outputs
from polyrnn_conformance.rows import Case
from polyrnn_conformance.steps import count_and_echo, dense, two_states

WEIGHTS = (wave(3, 2), wave(2, 2))
X, H = wave(2, 4, 3), wave(2, 2, phase=1)
MASK = np.array([[True, True, False, True], [False, True, True, False]])
NO_LAST = "Keras 3 on numpy and jax ignores return_all_outputs=False when looped."
BATCH_FOR_TIME = (
    "Keras 3 on tensorflow and torch takes the batch for the number of steps when time_major, "
    "and stops early."
)

ROWS = (
    Case(
        name="layout-time-major",
        rules=(6, 8),
        title="With time_major inputs and outputs are (time, batch, ...).",
        call=Call(
            step=dense,
            weights=WEIGHTS,
            inputs=wave(4, 2, 3),
            initial_states=[H],
            time_major=True,
        ),
        gradients=True,
        drift=BATCH_FOR_TIME,
    ),
    Case(
        name="layout-time-major-more-samples",
        rules=(8,),
        title="With time_major a batch larger than the time axis adds no steps.",
        call=Call(
            step=dense,
            weights=WEIGHTS,
            inputs=wave(2, 5, 3),
            initial_states=[wave(5, 2)],
            time_major=True,
        ),
        drift=BATCH_FOR_TIME,
    ),
    Case(
        name="layout-time-major-nested",
        rules=(1, 6),
        title="With time_major every leaf of the outputs is (time, batch, ...).",
        call=Call(
            step=nested_outputs,
            inputs=wave(4, 2, 3),
            initial_states=[wave(2, 3)],
            time_major=True,
        ),
    ),
    Case(
        name="outputs-last-only",
        rules=(6,),
        title="With return_all_outputs=False the time axis of outputs is 1.",
        call=Call(
            step=dense,
            weights=WEIGHTS,
            inputs=X,
            initial_states=[H],
            return_all_outputs=False,
        ),
        gradients=True,
        drift=NO_LAST,
    ),
    Case(
        name="outputs-last-only-time-major",
        rules=(6,),
        title="With return_all_outputs=False and time_major outputs are (1, batch, ...).",
        call=Call(
            step=nested_outputs,
            inputs=wave(4, 2, 3),
            initial_states=[wave(2, 3)],
            time_major=True,
            return_all_outputs=False,
        ),
        drift=NO_LAST,
    ),
    Case(
        name="backwards",
        rules=(7,),
        title="Backwards, outputs are in the order of the loop.",
        call=Call(
            step=two_states,
            weights=WEIGHTS,
            inputs=X,
            initial_states=[H, H + 1],
            go_backwards=True,
        ),
        gradients=True,
    ),
    Case(
        name="backwards-unrolled",
        rules=(7, 9),
        title="Backwards and unrolled, outputs are in the order of the loop.",
        call=Call(
            step=two_states,
            weights=WEIGHTS,
            inputs=X,
            initial_states=[H, H + 1],
            go_backwards=True,
            unroll=True,
        ),
    ),
    Case(
        name="backwards-time-major-last-only",
        rules=(6, 7),
        title="Backwards, the last output is that of the first time step.",
        call=Call(
            step=dense,
            weights=WEIGHTS,
            inputs=wave(4, 2, 3),
            initial_states=[H],
            go_backwards=True,
            time_major=True,
            return_all_outputs=False,
        ),
    ),
    Case(
        name="backwards-masked",
        rules=(7, 12),
        title="Backwards, the mask stays with its time steps.",
        call=Call(
            step=count_and_echo,
            inputs=X,
            initial_states=[wave(2, 3)],
            mask=MASK,
            go_backwards=True,
        ),
        gradients=True,
    ),
    Case(
        name="backwards-masked-unrolled",
        rules=(7, 9, 12),
        title="Backwards and unrolled, the mask stays with its time steps.",
        call=Call(
            step=count_and_echo,
            inputs=X,
            initial_states=[wave(2, 3)],
            mask=MASK,
            go_backwards=True,
            unroll=True,
        ),
        drift="Keras 3 on torch fails when unrolled, backwards and masked.",
    ),
    Case(
        name="backwards-zero-output",
        rules=(7, 12),
        title="Backwards, outputs are zero at the masked time steps.",
        call=Call(
            step=count_and_echo,
            inputs=X,
            initial_states=[wave(2, 3)],
            mask=MASK,
            go_backwards=True,
            zero_output_for_mask=True,
        ),
    ),
    Case(
        name="backwards-zero-output-unrolled",
        rules=(7, 9, 12),
        title="Backwards and unrolled, outputs are zero at the masked time steps.",
        call=Call(
            step=count_and_echo,
            inputs=X,
            initial_states=[wave(2, 3)],
            mask=MASK,
            go_backwards=True,
            zero_output_for_mask=True,
            unroll=True,
        ),
        drift="tf_keras does not reverse the mask when it zeroes unrolled outputs.",
    ),
    Case(
        name="time-one-step",
        rules=(8,),
        title="There may be a single time step.",
        call=Call(step=dense, weights=WEIGHTS, inputs=wave(2, 1, 3), initial_states=[H]),
    ),
    Case(
        name="time-one-step-masked",
        rules=(8, 12),
        title="A single time step may be masked for one sample and not for another.",
        call=Call(
            step=dense,
            weights=WEIGHTS,
            inputs=wave(2, 1, 3),
            initial_states=[H],
            mask=np.array([[True], [False]]),
        ),
    ),
    Case(
        name="time-one-sample",
        rules=(8,),
        title="There may be a single sample.",
        call=Call(step=dense, weights=WEIGHTS, inputs=wave(1, 4, 3), initial_states=[wave(1, 2)]),
    ),
    Case(
        name="unrolled",
        rules=(9,),
        title="Unrolled, the loop returns the same.",
        call=Call(step=dense, weights=WEIGHTS, inputs=X, initial_states=[H], unroll=True),
        gradients=True,
    ),
    Case(
        name="unrolled-last-only",
        rules=(6, 9),
        title="Unrolled, return_all_outputs=False returns the same.",
        call=Call(
            step=two_states,
            weights=WEIGHTS,
            inputs=X,
            initial_states=[H, H + 1],
            unroll=True,
            return_all_outputs=False,
        ),
    ),
    Case(
        name="unrolled-time-major",
        rules=(6, 9),
        title="Unrolled, time_major returns the same.",
        call=Call(
            step=dense,
            weights=WEIGHTS,
            inputs=wave(4, 2, 3),
            initial_states=[H],
            unroll=True,
            time_major=True,
        ),
    ),
)
