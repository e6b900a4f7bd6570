"""The default `Framework` for backends whose harness names no hand-written loops."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

import polyrnn
from polyrnn_benchmark.framework import DIFFERENTIABLE, Framework, Loop, Program, Step, Tensor
from polyrnn_benchmark.scenarios import PYTHON_LOOP
from polyrnn_conformance.harness import Harness

FUNCTIONS = ("exp", "matmul", "stack", "tanh")
"""The functions that the namespace of the backend must have, besides ``sum`` for gradients."""


class PlainFramework(Framework):
    """Runs functions by the harness, and loops over the step by `polyrnn.python_loop`.

    Args:
        harness: The harness of the backend.

    If the framework compiles a function once for many calls, unlike `Harness.run`, the harness
    names a subclass in ``Harness.handwritten`` that overrides `call` and `gradient`.
    """

    rival: ClassVar[str] = PYTHON_LOOP

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.backend = harness.backend
        self.functions = self.backend.namespace
        missing = [name for name in FUNCTIONS if not hasattr(self.functions, name)]
        if missing:
            raise AttributeError(
                f"namespace: {self.functions.__name__} has no {', '.join(missing)}, which the "
                "steps that are measured need; a subclass of polyrnn_benchmark.framework.Framework "
                "that Harness.handwritten names can do without"
            )

    @classmethod
    def of(cls, harness: Harness) -> Self:
        """Return the framework of a harness."""
        return cls(harness)

    def use_threads(self, threads: int) -> None:
        """Do nothing: only environment variables set the number of threads."""

    def tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        """Return a tensor on the default device."""
        return self.backend.convert(array)

    def array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """Return the values of a tensor as an array."""
        return self.harness.to_numpy(tensor)

    def lstm_step(self, kernel: Tensor, bias: Tensor) -> Step:
        """Return the step of an LSTM, with one kernel for inputs and state."""
        functions = self.functions
        units = bias.shape[0] // 4
        features = kernel.shape[0] - units
        of_x, of_h = kernel[:features, ...], kernel[features:, ...]

        def sigmoid(x: Tensor) -> Tensor:
            return 1 / (1 + functions.exp(-x))

        def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h, c = states
            gates = functions.matmul(x, of_x) + functions.matmul(h, of_h) + bias
            i, f, g, o = (gates[:, n * units : (n + 1) * units] for n in range(4))
            c = sigmoid(f) * c + sigmoid(i) * functions.tanh(g)
            h = sigmoid(o) * functions.tanh(c)
            return h, [h, c]

        return step

    def short_step(self, kernel: Tensor) -> Step:
        """Return the short step."""
        functions = self.functions

        def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h = functions.tanh(x + functions.matmul(states[0], kernel))
            return h, [h]

        return step

    def hand_written(self, mode: str) -> Loop:
        """Return `walk`, in every mode."""
        return self.walk

    def walk(
        self, step: Step, x: Tensor, states: list[Tensor], mask: Tensor = None
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Call the step for each time step by `polyrnn.python_loop`, and stack the outputs."""
        backend = self.backend
        inputs = [backend.transpose(x)]
        if mask is not None:
            inputs = self._without_padding(inputs[0], backend.transpose(mask))

        def body(carry: Any, slices: list[Tensor]) -> Any:
            states, _ = carry
            output, new_states = step(slices[0], states)
            return (new_states, [output]), [output]

        def masked_body(carry: Any, slices: list[Tensor]) -> Any:
            (states, held), (x_t, valid) = carry, slices
            output, new_states = step(x_t, states)
            states = [
                backend.select(valid, new, old) for new, old in zip(new_states, states, strict=True)
            ]
            # At the first step there is no previous output: `select` then uses zeros.
            held = [backend.select(valid, output, *(held or ()))]
            return (states, held), held

        steps = ([tensor[t, ...] for tensor in inputs] for t in range(x.shape[1]))
        (new_states, last), outputs = polyrnn.python_loop(
            body if mask is None else masked_body,
            (states, None),
            steps,
            self.functions.stack,
        )
        assert new_states is not None
        assert last is not None
        return last[0], backend.transpose(outputs[0]), new_states

    def _without_padding(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """Return the inputs and the mask, with the first valid input in place of padding."""
        (first,) = self.backend.take_first(mask, [x])
        return [self.backend.select(mask, x, first), mask]

    def call(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Return a function that runs a program by `Harness.run`."""
        return lambda: self._ready(self.harness.run(mode, program, tensors))

    def gradient(
        self,
        mode: str,
        program: Program,
        tensors: Sequence[Tensor],
        *,
        leading: int = DIFFERENTIABLE,
    ) -> Callable[[], list[Tensor]]:
        """Return a function that differentiates a program by `Harness.gradients`."""
        wanted, others = list(tensors[:leading]), tensors[leading:]

        def loss(*wanted: Tensor) -> Tensor:
            squares = [self.functions.sum(r * r) for r in program(*wanted, *others)]
            return sum(squares[1:], start=squares[0])

        return lambda: self._ready(self.harness.gradients(mode, loss, wanted))

    def _ready(self, results: list[Tensor]) -> list[Tensor]:
        # Copying the first result to the host waits for its computation.
        self.harness.to_numpy(results[0])
        return results
