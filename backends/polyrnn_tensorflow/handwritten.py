"""The handwritten TensorFlow loops that the benchmark compares polyrnn with."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from polyrnn_benchmark.framework import DIFFERENTIABLE, Framework, Loop, Program, Step, Tensor


class TensorflowFramework(Framework):
    """Runs loops eagerly, in a graph and under XLA, on the device that TensorFlow chooses."""

    def use_threads(self, threads: int) -> None:
        """Set the number of threads of TensorFlow."""
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        """Return a constant tensor."""
        return tf.constant(array)

    def array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """Return the values of a tensor as a NumPy array."""
        return np.asarray(tensor)

    def lstm_step(self, kernel: Tensor, bias: Tensor) -> Step:
        """Return the step function of an LSTM."""

        def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h, c = states
            i, f, g, o = tf.split(tf.concat([x, h], axis=1) @ kernel + bias, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            return h, [h, c]

        return step

    def short_step(self, kernel: Tensor) -> Step:
        """Return the step function of a simple RNN."""

        def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h = tf.tanh(x + states[0] @ kernel)
            return h, [h]

        return step

    def hand_written(self, mode: str) -> Loop:
        """Return the Python loop for eager mode, else the loop in a graph."""
        if mode == "eager":
            return eager_loop
        # XLA requires a bound on the number of iterations, which makes an ordinary graph slower.
        return lambda *arguments: graph_loop(*arguments, bounded=mode == "xla")

    def call(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Return a function that runs a program."""
        compiled = _compiled(mode, program)
        return lambda: _ready(compiled(*tensors))

    def gradient(
        self,
        mode: str,
        program: Program,
        tensors: Sequence[Tensor],
        *,
        leading: int = DIFFERENTIABLE,
    ) -> Callable[[], list[Tensor]]:
        """Return a function that runs a program forward and backward."""

        def gradient(*arguments: Tensor) -> list[Tensor]:
            wanted = list(arguments[:leading])
            with tf.GradientTape() as tape:
                tape.watch(wanted)
                loss = tf.add_n([tf.reduce_sum(tf.square(r)) for r in program(*arguments)])
            found: list[Tensor] = tape.gradient(loss, wanted)
            return found

        compiled = _compiled(mode, gradient)
        return lambda: _ready(compiled(*tensors))


def _compiled(mode: str, function: Callable[..., list[Tensor]]) -> Callable[..., list[Tensor]]:
    if mode == "eager":
        return function
    compiled: Callable[..., list[Tensor]] = tf.function(
        function, autograph=False, jit_compile=mode == "xla"
    )
    return compiled


def _ready(results: list[Tensor]) -> list[Tensor]:
    tf.test.experimental.sync_devices()
    return results


def eager_loop(
    step: Step, x: Tensor, states: list[Tensor], mask: Tensor = None
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Run a step function over the unstacked time steps and stack the outputs at the end."""
    outputs = []
    if mask is None:
        for x_t in tf.unstack(x, axis=1):
            output, states = step(x_t, states)
            outputs.append(output)
        return output, tf.stack(outputs, axis=1), states

    x = without_padding(x, mask)
    held = tf.zeros_like(states[0])
    for x_t, valid in zip(tf.unstack(x, axis=1), tf.unstack(mask[..., None], axis=1), strict=True):
        output, new_states = step(x_t, states)
        states = [tf.where(valid, new, old) for new, old in zip(new_states, states, strict=True)]
        held = tf.where(valid, output, held)
        outputs.append(held)
    return held, tf.stack(outputs, axis=1), states


def graph_loop(
    step: Step, x: Tensor, states: list[Tensor], mask: Tensor = None, *, bounded: bool
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Run a step function in a `tf.while_loop` over inputs in a `tf.TensorArray`.

    Args:
        step: The step function.
        x: The inputs.
        states: The initial states.
        mask: The mask, or `None`.
        bounded: Whether to tell TensorFlow the maximal number of iterations.
    """
    time = x.shape[1]
    if mask is not None:
        x = without_padding(x, mask)
        valid_rows = _taken_apart(mask[..., None])
    rows = _taken_apart(x)
    outputs = tf.TensorArray(x.dtype, size=time, element_shape=states[0].shape)

    def body(t: Tensor, outputs: Any, states: list[Tensor]) -> Any:
        output, new_states = step(rows.read(t), states)
        return t + 1, outputs.write(t, output), new_states

    def masked_body(t: Tensor, outputs: Any, states: list[Tensor], held: Tensor) -> Any:
        output, new_states = step(rows.read(t), states)
        valid = valid_rows.read(t)
        states = [tf.where(valid, new, old) for new, old in zip(new_states, states, strict=True)]
        held = tf.where(valid, output, held)
        return t + 1, outputs.write(t, held), states, held

    masked = mask is not None
    first = (tf.constant(0), outputs, states)
    carried = tf.while_loop(
        lambda t, *_: t < time,
        masked_body if masked else body,
        (*first, tf.zeros_like(states[0])) if masked else first,
        maximum_iterations=time if bounded else None,
    )
    stacked = carried[1].stack()
    last = carried[3] if masked else stacked[-1]
    return last, tf.transpose(stacked, (1, 0, 2)), carried[2]


def _taken_apart(x: Tensor) -> Any:
    swapped = tf.transpose(x, (1, 0, 2))
    return tf.TensorArray(x.dtype, size=x.shape[1]).unstack(swapped)


def without_padding(x: Tensor, mask: Tensor) -> Tensor:
    """Return the inputs with the padding of each row replaced by its first valid input."""
    first = tf.gather(x, tf.argmax(tf.cast(mask, tf.uint8), axis=1), axis=1, batch_dims=1)
    return tf.where(mask[..., None], x, first[:, None])
