"""The interface of a framework to the benchmark: tensors, steps, modes and hand-written loops."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from polyrnn_benchmark.scenarios import HAND_WRITTEN, Variant
from polyrnn_conformance.harness import Harness

Tensor: TypeAlias = Any

Step: TypeAlias = Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]
"""A step function as for `polyrnn.rnn`, with one input tensor and a list of states."""

Loop: TypeAlias = Callable[..., tuple[Tensor, Tensor, list[Tensor]]]
"""``(step, x, states, mask) -> (last_output, outputs, new_states)``; `mask` may be `None`."""

Layer: TypeAlias = Callable[..., tuple[Tensor, Tensor, list[Tensor]]]
"""``(x, states, weights, mask) -> (last_output, outputs, new_states)``."""

Program: TypeAlias = Callable[..., list[Tensor]]
"""``(x, *states, *weights[, mask]) -> [last_output, outputs, *states]``."""

DIFFERENTIABLE = 5
"""The number of leading arguments of a program with respect to which it is differentiated."""


class Framework(ABC):
    """A framework as an expert uses it, with its own functions, loops and compilers.

    All loops that are compared run the same step function. A harness names a subclass in
    ``Harness.handwritten``.
    """

    rival: ClassVar[str] = HAND_WRITTEN
    """The name of the loop of `hand_written` in results."""

    @classmethod
    def of(cls, harness: Harness) -> Self:
        """Return the framework of a harness."""
        return cls()

    @abstractmethod
    def use_threads(self, threads: int) -> None:
        """Set the number of threads, unless the environment variables already did."""

    @abstractmethod
    def tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        """Return a tensor with the values of an array."""

    @abstractmethod
    def array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """Return an array with the values of a tensor."""

    @abstractmethod
    def lstm_step(self, kernel: Tensor, bias: Tensor) -> Step:
        """Return the step function of an LSTM, which closes over its weights."""

    @abstractmethod
    def short_step(self, kernel: Tensor) -> Step:
        """Return a step function of one matrix product and a tanh.

        The step is so short that the time of the loop itself dominates.
        """

    @abstractmethod
    def hand_written(self, mode: str) -> Loop:
        """Return the loop that an expert writes for a mode."""

    @abstractmethod
    def call(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Return a function that runs a program in a mode and waits for its results.

        Args:
            mode: The name of a mode.
            program: What to run; a mode that compiles compiles it once.
            tensors: Its arguments.

        Returns:
            A function without arguments that returns the results.
        """

    @abstractmethod
    def gradient(
        self,
        mode: str,
        program: Program,
        tensors: Sequence[Tensor],
        *,
        leading: int = DIFFERENTIABLE,
    ) -> Callable[[], list[Tensor]]:
        """Return a function that differentiates the sum of the squares of all results.

        Args:
            mode: The name of a mode.
            program: What to differentiate.
            tensors: Its arguments.
            leading: With respect to how many of them, from the first, gradients are taken.

        Returns:
            A function without arguments that returns the gradients.
        """

    def compilations(self) -> AbstractContextManager[Callable[[], int]]:
        """Count the compilations of the framework within a block.

        Returns:
            A context manager; its value is a function that returns the count so far.
        """
        raise NotImplementedError("this framework does not count what it compiles")

    def program(self, mode: str, loop: Loop, variant: Variant) -> Program:
        """Return the program that runs the step of a variant by a loop."""
        layer = self.layer(mode, loop, variant)

        def program(x: Tensor, *tensors: Tensor) -> list[Tensor]:
            *others, mask = tensors if variant.masked else (*tensors, None)
            states, weights = others[: variant.states], others[variant.states :]
            last, outputs, new_states = layer(x, states, weights, mask)
            return [last, outputs, *new_states]

        return program

    def layer(self, mode: str, loop: Loop, variant: Variant) -> Layer:
        """Return a layer that calls a loop, with a new step function in each call."""
        make_step = self.short_step if variant.short else self.lstm_step
        return lambda x, states, weights, mask: loop(make_step(*weights), x, states, mask)
