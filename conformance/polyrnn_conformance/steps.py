"""Step functions that several cases use, each written once for all frameworks."""

from collections.abc import Callable
from typing import Any

Step = Callable[[Any, list[Any]], tuple[Any, Any]]


def running_sum(xp: Any) -> Step:
    """Add up the inputs; the total is both the output and the state."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + x
        return total, [total]

    return step


def count_and_echo(xp: Any) -> Step:
    """Return twice the input as the output, which differs from the state, the sum of inputs."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        return x + x, [states[0] + x]

    return step


def dense(xp: Any, kernel: Any, recurrent: Any) -> Step:
    """Compute ``tanh(x @ kernel + h @ recurrent)``, the plain recurrent layer."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        h = xp.tanh(xp.matmul(x, kernel) + xp.matmul(states[0], recurrent))
        return h, [h]

    return step


def two_states(xp: Any, kernel: Any, recurrent: Any) -> Step:
    """Use a cell and a hidden state, as an LSTM does; the output is neither of them."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        h, c = states
        gate = xp.tanh(xp.matmul(x, kernel) + xp.matmul(h, recurrent))
        c = c * gate + gate
        h = xp.tanh(c) * gate
        return h + c, [h, c]

    return step


def with_constants(xp: Any) -> Step:
    """Multiply by the first constant and add the second."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total, scale, shift = states
        total = total * scale + x + shift
        return total, [total]

    return step


def tuple_of_states(xp: Any) -> Step:
    """Return the new states as a tuple."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        return states[0] + x, (states[1] + x, states[0])

    return step
