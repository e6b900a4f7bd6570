"""Test that cells of torch run by polyrnn give the results of the layers of torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import polyrnn

BATCH, TIME, FEATURES, UNITS = 3, 6, 4, 5
LENGTHS = torch.tensor([6, 2, 4])


def lstm_step(cell: torch.nn.LSTMCell) -> Callable[[Any, Any], Any]:
    def step(x: Any, states: Any) -> Any:
        hidden, memory = cell(x, tuple(states))
        return hidden, [hidden, memory]

    return step


def stacked_step(cells: torch.nn.ModuleList) -> Callable[[Any, Any], Any]:
    """Return a step of all layers of a stack, each with a nest of states."""

    def step(x: Any, states: Any) -> Any:
        new = []
        for cell, state in zip(cells, states, strict=True):
            x, memory = cell(x, (state["hidden"], state["memory"]))
            new.append({"hidden": x, "memory": memory})
        return x, new

    return step


def cells_of(lstm: torch.nn.LSTM, direction: str = "") -> torch.nn.ModuleList:
    """Return cells that share the weights of the layers of an LSTM."""
    cells = torch.nn.ModuleList()
    for layer in range(lstm.num_layers):
        size = lstm.input_size if layer == 0 else lstm.hidden_size
        cell = torch.nn.LSTMCell(size, lstm.hidden_size, dtype=torch.float64)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(cell, name, getattr(lstm, f"{name}_l{layer}{direction}"))
        cells.append(cell)
    return cells


def zeros() -> torch.Tensor:
    return torch.zeros(BATCH, UNITS, dtype=torch.float64)


def inputs() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(BATCH, TIME, FEATURES, dtype=torch.float64)


def make_lstm(**options: Any) -> torch.nn.LSTM:
    torch.manual_seed(1)
    return torch.nn.LSTM(FEATURES, UNITS, batch_first=True, dtype=torch.float64, **options)


def packed(lstm: torch.nn.LSTM, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
    sequence = torch.nn.utils.rnn.pack_padded_sequence(
        x, LENGTHS, batch_first=True, enforce_sorted=False
    )
    outputs, states = lstm(sequence)
    return torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0], states


@pytest.mark.parametrize("layers", [1, 3])
def test_a_stack_of_cells_is_an_lstm(layers: int) -> None:
    lstm = make_lstm(num_layers=layers)
    start = [{"hidden": zeros(), "memory": zeros()} for _ in range(layers)]

    _, outputs, states = polyrnn.rnn(stacked_step(cells_of(lstm)), inputs(), start)

    expected, (hidden, memory) = lstm(inputs())
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(torch.stack([state["hidden"] for state in states]), hidden)
    torch.testing.assert_close(torch.stack([state["memory"] for state in states]), memory)


@pytest.mark.parametrize("layers", [1, 3])
def test_lengths_are_a_packed_sequence(layers: int) -> None:
    lstm = make_lstm(num_layers=layers)
    start = [{"hidden": zeros(), "memory": zeros()} for _ in range(layers)]

    _, outputs, states = polyrnn.rnn(
        stacked_step(cells_of(lstm)),
        inputs(),
        start,
        input_length=LENGTHS,
        zero_output_for_mask=True,
    )

    expected, (hidden, memory) = packed(lstm, inputs())
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(torch.stack([state["hidden"] for state in states]), hidden)
    torch.testing.assert_close(torch.stack([state["memory"] for state in states]), memory)


def test_both_directions_of_a_packed_sequence_are_a_bidirectional_lstm() -> None:
    lstm = make_lstm(bidirectional=True)
    x, options = inputs(), {"input_length": LENGTHS, "zero_output_for_mask": True}

    forward_step = lstm_step(cells_of(lstm)[0])
    _, forward, forward_states = polyrnn.rnn(forward_step, x, [zeros(), zeros()], **options)
    backward_step = lstm_step(cells_of(lstm, "_reverse")[0])
    _, backward, backward_states = polyrnn.rnn(
        backward_step, x, [zeros(), zeros()], go_backwards=True, **options
    )

    expected, (hidden, memory) = packed(lstm, x)
    torch.testing.assert_close(torch.cat([forward, backward.flip(1)], 2), expected)
    torch.testing.assert_close(torch.stack([forward_states[0], backward_states[0]]), hidden)
    torch.testing.assert_close(torch.stack([forward_states[1], backward_states[1]]), memory)


def test_gradients_of_a_packed_sequence_agree() -> None:
    lstm = make_lstm()
    _, outputs, _ = polyrnn.rnn(
        lstm_step(cells_of(lstm)[0]),
        inputs(),
        [zeros(), zeros()],
        input_length=LENGTHS,
        zero_output_for_mask=True,
    )

    ours = torch.autograd.grad(outputs.square().sum(), lstm.parameters())
    theirs = torch.autograd.grad(packed(lstm, inputs())[0].square().sum(), lstm.parameters())
    torch.testing.assert_close(ours, theirs)
