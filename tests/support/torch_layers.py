"""A small layer for the tests of torch, and a compiler that records its graphs."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

import polyrnn

BATCH, SIZE = 3, 4


class Memory:
    """A recurrent layer whose step closes over its weights.

    Args:
        seed: The seed of its weights.
        trained: Whether its weights require gradients.
        dtype: The dtype of its weights and states.
    """

    def __init__(
        self, seed: int, trained: bool = False, dtype: torch.dtype = torch.float64
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.weights = [
            torch.randn(SIZE, 4 * SIZE, dtype=dtype, generator=generator)
            .mul(0.5)
            .requires_grad_(trained)
            for _ in range(2)
        ]

    def step(self, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        """Compute one time step; the output is twice the hidden state."""
        hidden, cell = states
        gates = x @ self.weights[0] + hidden @ self.weights[1]
        forgotten, new, shown, content = gates.chunk(4, -1)
        cell = forgotten.sigmoid() * cell + new.sigmoid() * torch.tanh(content)
        hidden = shown.sigmoid() * torch.tanh(cell)
        return hidden * 2, [hidden, cell]

    def __call__(self, inputs: Any, **options: Any) -> tuple[Any, Any, list[Any]]:
        """Call `rnn` on inputs of shape (batch, time, size), with initial states of 0.1."""
        start = torch.full((BATCH, SIZE), 0.1, dtype=self.weights[0].dtype)
        return polyrnn.rnn(self.step, inputs, [start, start], **options)


def sequence(time: int, seed: int = 0) -> torch.Tensor:
    """Return inputs of shape (batch, time, size)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(BATCH, time, SIZE, dtype=torch.float64, generator=generator)


def mask(time: int, seed: int = 0) -> torch.Tensor:
    """Return a mask of shape (batch, time) with gaps, and with one sample masked at all steps."""
    generator = torch.Generator().manual_seed(seed)
    valid = torch.rand(BATCH, time, generator=generator) > 0.3
    valid[1] = False
    return valid


def tensors(results: tuple[Any, Any, list[Any]]) -> list[torch.Tensor]:
    """Return the tensors of the results of a call whose output is one tensor."""
    last, outputs, states = results
    return [last, outputs, *states]


class Graphs:
    """A compiler that records the graphs it is given, and runs them unchanged."""

    def __init__(self) -> None:
        self.kept: list[torch.fx.GraphModule] = []

    def __call__(
        self, graph: torch.fx.GraphModule, example_inputs: list[Any]
    ) -> Callable[..., Any]:
        self.kept.append(graph)
        forward: Callable[..., Any] = graph
        return forward


def nodes(graph: torch.fx.GraphModule) -> Iterator[torch.fx.Node]:
    """Yield all nodes of a graph, including those within its loops."""
    for module in graph.modules():
        if isinstance(module, torch.fx.GraphModule):
            yield from module.graph.nodes
