"""What the benchmark asks of a framework, whoever loops: tensors, a step, modes, results."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from polyrnn_benchmark.scenarios import HAND_WRITTEN, Variant
from polyrnn_conformance.harness import Harness

Tensor: TypeAlias = Any

Step: TypeAlias = Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]
"""What `polyrnn.rnn` calls a step function, for one input tensor and its states."""

Loop: TypeAlias = Callable[..., tuple[Tensor, Tensor, list[Tensor]]]
"""``(step, x, states, mask) -> (last_output, outputs, new_states)``, `mask` may be `None`."""

Layer: TypeAlias = Callable[..., tuple[Tensor, Tensor, list[Tensor]]]
"""``(x, states, weights, mask) -> (last_output, outputs, new_states)``."""

Program: TypeAlias = Callable[..., list[Tensor]]
"""``(x, *states, *weights[, mask]) -> [last_output, outputs, *states]``."""

DIFFERENTIABLE = 5
"""How many of the arguments of a program, from the first on, it is differentiated by."""


class Framework(ABC):
    """One framework as an expert uses it: its own step, its own loops, its own compilers.

    The step of a variant is the same for every loop that is measured; only who loops differs.
    A harness names its subclass in ``Harness.handwritten``.
    """

    rival: ClassVar[str] = HAND_WRITTEN
    """What the loop of `hand_written` is called."""

    @classmethod
    def of(cls, harness: Harness) -> Self:
        """Make the framework that a harness drives."""
        return cls()

    @abstractmethod
    def use_threads(self, threads: int) -> None:
        """Settle the number of threads, as far as the environment has not settled it."""

    @abstractmethod
    def tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        """Make a tensor."""

    @abstractmethod
    def array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """Make an array."""

    @abstractmethod
    def lstm_step(self, kernel: Tensor, bias: Tensor) -> Step:
        """Make the step of an LSTM: a function that closes over its weights."""

    @abstractmethod
    def short_step(self, kernel: Tensor) -> Step:
        """Make a step of one matrix product and a tanh, which leaves the loop most to do."""

    @abstractmethod
    def hand_written(self, mode: str) -> Loop:
        """Give the loop that an expert writes for a mode."""

    @abstractmethod
    def call(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Make a call that runs a program in a mode and waits for its results.

        Args:
            mode: The name of a mode.
            program: What to run; where the mode compiles, it is compiled once.
            tensors: Its arguments.

        Returns:
            A call that gives the results.
        """

    @abstractmethod
    def gradient(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Make a call that differentiates the sum of the squares of all results.

        Args:
            mode: The name of a mode.
            program: What to differentiate.
            tensors: Its arguments; the gradients are by the first `DIFFERENTIABLE`.

        Returns:
            A call that gives the gradients.
        """

    def compilations(self) -> AbstractContextManager[Callable[[], int]]:
        """Count what the framework compiles within a block.

        Returns:
            A context manager that gives a function, which returns the count so far.
        """
        raise NotImplementedError("this framework does not count what it compiles")

    def program(self, mode: str, loop: Loop, variant: Variant) -> Program:
        """Write the task of a variant around a loop."""
        layer = self.layer(mode, loop, variant)

        def program(x: Tensor, *tensors: Tensor) -> list[Tensor]:
            *others, mask = tensors if variant.masked else (*tensors, None)
            states, weights = others[: variant.states], others[variant.states :]
            last, outputs, new_states = layer(x, states, weights, mask)
            return [last, outputs, *new_states]

        return program

    def layer(self, mode: str, loop: Loop, variant: Variant) -> Layer:
        """Make a layer's call of a loop, in which the step is made anew."""
        make_step = self.short_step if variant.short else self.lstm_step
        return lambda x, states, weights, mask: loop(make_step(*weights), x, states, mask)
