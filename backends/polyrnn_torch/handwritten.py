"""The handwritten torch loop that the benchmark compares polyrnn with, eager and compiled."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from polyrnn_benchmark.framework import DIFFERENTIABLE, Framework, Loop, Program, Step, Tensor


class TorchFramework(Framework):
    """Runs loops on the default device of torch."""

    def use_threads(self, threads: int) -> None:
        """Set the number of threads of torch."""
        torch.set_num_threads(threads)

    def tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        """Return a tensor on the default device."""
        return torch.tensor(array)

    def array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """Return the values of a tensor as a NumPy array."""
        found: np.ndarray[Any, Any] = tensor.detach().cpu().numpy()
        return found

    def lstm_step(self, kernel: Tensor, bias: Tensor) -> Step:
        """Return the step function of an LSTM."""

        def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h, c = states
            i, f, g, o = torch.addmm(bias, torch.cat([x, h], dim=1), kernel).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            return h, [h, c]

        return step

    def short_step(self, kernel: Tensor) -> Step:
        """Return the step function of a simple RNN."""

        def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            h = torch.tanh(x + states[0] @ kernel)
            return h, [h]

        return step

    def hand_written(self, mode: str) -> Loop:
        """Return the Python loop, which `torch.compile` unrolls."""
        return loop

    def call(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Return a function that runs a program without gradients."""
        compiled = _compiled(mode, program)

        def call() -> list[Tensor]:
            with torch.no_grad():
                return _ready(compiled(*tensors))

        return call

    def gradient(
        self,
        mode: str,
        program: Program,
        tensors: Sequence[Tensor],
        *,
        leading: int = DIFFERENTIABLE,
    ) -> Callable[[], list[Tensor]]:
        """Return a function that runs a program forward and backward."""
        wanted = [tensor.clone().requires_grad_() for tensor in tensors[:leading]]
        arguments = [*wanted, *tensors[leading:]]

        def loss(*arguments: Tensor) -> Tensor:
            return sum(result.square().sum() for result in program(*arguments))

        compiled = _compiled(mode, loss)
        return lambda: _ready(list(torch.autograd.grad(compiled(*arguments), wanted)))


def _compiled(mode: str, function: Callable[..., Any]) -> Callable[..., Any]:
    # An unrolled loop is compiled anew for each length, and so are the loops it is compared with.
    return torch.compile(function, dynamic=False) if mode == "compile" else function


def _ready(results: list[Tensor]) -> list[Tensor]:
    if results[0].is_cuda:
        torch.cuda.synchronize()
    return results


def loop(
    step: Step, x: Tensor, states: list[Tensor], mask: Tensor = None
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Run a step function over the unbound time steps and stack the outputs at the end."""
    outputs = []
    if mask is None:
        for x_t in x.unbind(1):
            output, states = step(x_t, states)
            outputs.append(output)
        return output, torch.stack(outputs, dim=1), states

    x = without_padding(x, mask)
    held = torch.zeros_like(states[0])
    for x_t, valid in zip(x.unbind(1), mask[..., None].unbind(1), strict=True):
        output, new_states = step(x_t, states)
        states = [torch.where(valid, new, old) for new, old in zip(new_states, states, strict=True)]
        held = torch.where(valid, output, held)
        outputs.append(held)
    return held, torch.stack(outputs, dim=1), states


def without_padding(x: Tensor, mask: Tensor) -> Tensor:
    """Return the inputs with the padding of each row replaced by its first valid input."""
    first = x[torch.arange(len(x), device=x.device), mask.to(torch.uint8).argmax(dim=1)]
    return torch.where(mask[..., None], x, first[:, None])
