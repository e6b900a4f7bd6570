"""The handwritten numpy loop that the benchmark compares polyrnn with."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from polyrnn_benchmark.framework import DIFFERENTIABLE, Framework, Loop, Program, Step, Tensor


class NumpyFramework(Framework):
    """Runs loops eagerly; environment variables set the threads of its linear algebra."""

    def use_threads(self, threads: int) -> None:
        """Do nothing, because environment variables set the number of threads."""

    def tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        """Return the array itself."""
        return array

    def array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """Return the tensor, which is an array."""
        return np.asarray(tensor)

    def lstm_step(self, kernel: Tensor, bias: Tensor) -> Step:
        """Return the step function of an LSTM."""

        def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h, c = states
            gates = np.concatenate([x, h], axis=1) @ kernel + bias
            i, f, g, o = np.split(gates, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            return h, [h, c]

        return step

    def short_step(self, kernel: Tensor) -> Step:
        """Return the step function of a simple RNN."""

        def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h = np.tanh(x + states[0] @ kernel)
            return h, [h]

        return step

    def hand_written(self, mode: str) -> Loop:
        """Return the eager loop."""
        return loop

    def call(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Return a function that runs a program; its results are always ready."""
        return lambda: program(*tensors)

    def gradient(
        self,
        mode: str,
        program: Program,
        tensors: Sequence[Tensor],
        *,
        leading: int = DIFFERENTIABLE,
    ) -> Callable[[], list[Tensor]]:
        """Raise a `TypeError`, because numpy does not differentiate."""
        raise TypeError("numpy does not differentiate")


def sigmoid(x: Tensor) -> Tensor:
    """Return the logistic sigmoid of a tensor."""
    return 1 / (1 + np.exp(-x))


def loop(
    step: Step, x: Tensor, states: list[Tensor], mask: Tensor = None
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Run a step function over ``x[:, t]`` and write the outputs into one array."""
    batch, time = x.shape[:2]
    outputs = np.empty((batch, time, states[0].shape[1]), x.dtype)
    if mask is None:
        for t in range(time):
            outputs[:, t], states = step(x[:, t], states)
        return outputs[:, -1], outputs, states

    x = without_padding(x, mask)
    held = np.zeros_like(states[0])
    for t in range(time):
        valid = mask[:, t, None]
        output, new_states = step(x[:, t], states)
        states = [np.where(valid, new, old) for new, old in zip(new_states, states, strict=True)]
        held = outputs[:, t] = np.where(valid, output, held)
    return held, outputs, states


def without_padding(x: Tensor, mask: Tensor) -> Tensor:
    """Return the inputs with the padding of each row replaced by its first valid input."""
    first = x[np.arange(len(x)), mask.argmax(axis=1)]
    return np.where(mask[..., None], x, first[:, None])
