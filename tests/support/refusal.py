"""Assert errors of calls that are valid except for the arguments under test."""

from typing import Any

import numpy as np
import pytest

import polyrnn
from polyrnn.registry import installed

UNKNOWN = f"which no installed backend knows (there are {', '.join(installed().names())})"
"""The end of the error for a value whose type no backend knows."""

BATCH, TIME, WIDTH = 2, 3, 4

X = np.ones((BATCH, TIME, WIDTH), np.float32)
H = np.zeros((BATCH, WIDTH), np.float32)


def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    """Return the input as the output, and the first state unchanged."""
    return x, [states[0]]


def refused(error: type[Exception], text: str, **arguments: Any) -> None:
    """Assert that a call raises an error of exactly this type and text."""
    call: dict[str, Any] = {"step_function": step, "inputs": X, "initial_states": [H]}
    with pytest.raises(error) as caught:
        polyrnn.rnn(**(call | arguments))
    assert type(caught.value) is error
    assert str(caught.value) == text
