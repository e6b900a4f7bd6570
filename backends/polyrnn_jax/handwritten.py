"""The loop that an expert writes by hand for jax: `jax.lax.scan`, jitted and eager."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from polyrnn_benchmark.framework import (
    DIFFERENTIABLE,
    Framework,
    Layer,
    Loop,
    Program,
    Step,
    Tensor,
)
from polyrnn_benchmark.scenarios import Variant

COMPILED = "/jax/core/compile/backend_compile_duration"
"""The event that jax records once for each program it compiles."""


class JaxFramework(Framework):
    """Runs on the first device."""

    def use_threads(self, threads: int) -> None:
        """Do nothing about threads, which the environment has settled; allow 64 bits."""
        jax.config.update("jax_enable_x64", True)

    def tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        """Make an array of jax."""
        return jnp.asarray(array)

    def array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """Bring an array to the host."""
        return np.asarray(tensor)

    def lstm_step(self, kernel: Tensor, bias: Tensor) -> Step:
        """Make the step of an LSTM."""
        return lambda x, states: lstm(x, [*states, kernel, bias])

    def short_step(self, kernel: Tensor) -> Step:
        """Make the short step."""
        return lambda x, states: short(x, [*states, kernel])

    def layer(self, mode: str, loop: Loop, variant: Variant) -> Layer:
        """Make a layer's call of a loop; in eager mode the step is one function for good.

        Then its weights come as constants, for it cannot close over them.
        """
        if mode != "eager":
            return super().layer(mode, loop, variant)
        step = short if variant.short else lstm
        return lambda x, states, weights, mask: loop(step, x, states, mask, constants=weights)

    def hand_written(self, mode: str) -> Loop:
        """Give the scan whose body is made at each call, or the one whose body stays."""
        return kept_loop if mode == "eager" else loop

    def call(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Make a call."""
        compiled = jax.jit(program) if mode == "jit" else program
        return lambda: jax.block_until_ready(compiled(*tensors))

    def gradient(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Make a call that runs a program forward and backward."""

        def loss(*arguments: Tensor) -> Tensor:
            return sum(jnp.square(result).sum() for result in program(*arguments))

        gradient = jax.grad(loss, argnums=tuple(range(DIFFERENTIABLE)))
        compiled = jax.jit(gradient) if mode == "jit" else gradient
        return lambda: list(jax.block_until_ready(compiled(*tensors)))

    @contextmanager
    def compilations(self) -> Iterator[Callable[[], int]]:
        """Count the programs that jax compiles within a block."""
        count = 0

        def listen(event: str, seconds: float, **_: Any) -> None:
            nonlocal count
            count += event == COMPILED

        jax.monitoring.register_event_duration_secs_listener(listen)
        try:
            yield lambda: count
        finally:
            jax.monitoring.unregister_event_duration_listener(listen)


def lstm(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Compute one step of an LSTM; the weights come after the two states."""
    h, c, kernel, bias = states
    i, f, g, o = jnp.split(jnp.concatenate([x, h], axis=1) @ kernel + bias, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return h, [h, c]


def short(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Compute one short step; the weight comes after the state."""
    h, kernel = states
    h = jnp.tanh(x + h @ kernel)
    return h, [h]


def loop(
    step: Step, x: Tensor, states: list[Tensor], mask: Tensor = None
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Scan over time with a body that closes over the step."""
    if mask is None:

        def body(states: list[Tensor], x_t: Tensor) -> tuple[list[Tensor], Tensor]:
            output, new_states = step(x_t, states)
            return new_states, output

        new_states, outputs = lax.scan(body, states, x.swapaxes(0, 1))
        return outputs[-1], outputs.swapaxes(0, 1), new_states

    def masked_body(carry: Any, slices: Any) -> Any:
        (states, held), (x_t, valid) = carry, slices
        output, new_states = step(x_t, states)
        return held_back(valid, states, new_states, held, output)

    (new_states, held), outputs = lax.scan(
        masked_body, (states, jnp.zeros_like(states[0])), masked_slices(x, mask)
    )
    return held, outputs.swapaxes(0, 1), new_states


def kept_loop(
    step: Step,
    x: Tensor,
    states: list[Tensor],
    mask: Tensor = None,
    *,
    constants: Sequence[Tensor],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Scan over time with a body that stays the same object, so that jax knows it again.

    The weights go round with the states: closed over, they would make the body new.
    """
    plain_body, masked_body = kept_bodies(step)
    if mask is None:
        (new_states, _), outputs = lax.scan(plain_body, (states, list(constants)), x.swapaxes(0, 1))
        return outputs[-1], outputs.swapaxes(0, 1), new_states
    (new_states, held, _), outputs = lax.scan(
        masked_body,
        (states, jnp.zeros_like(states[0]), list(constants)),
        masked_slices(x, mask),
    )
    return held, outputs.swapaxes(0, 1), new_states


@cache
def kept_bodies(step: Step) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Make the plain and the masked body for a step, once."""

    def plain_body(carry: Any, x_t: Tensor) -> Any:
        states, constants = carry
        output, new_states = step(x_t, [*states, *constants])
        return (new_states, constants), output

    def masked_body(carry: Any, slices: Any) -> Any:
        (states, held, constants), (x_t, valid) = carry, slices
        output, new_states = step(x_t, [*states, *constants])
        (new_states, held), output = held_back(valid, states, new_states, held, output)
        return (new_states, held, constants), output

    return plain_body, masked_body


def held_back(
    valid: Tensor, states: list[Tensor], new_states: list[Tensor], held: Tensor, output: Tensor
) -> tuple[tuple[list[Tensor], Tensor], Tensor]:
    """Keep states and output as they were where the time step is padding."""
    states = [jnp.where(valid, new, old) for new, old in zip(new_states, states, strict=True)]
    held = jnp.where(valid, output, held)
    return (states, held), held


def masked_slices(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Give inputs and mask with time first, the first valid input of a row as its padding."""
    first = x[jnp.arange(len(x)), mask.argmax(axis=1)]
    x = jnp.where(mask[..., None], x, first[:, None])
    return x.swapaxes(0, 1), mask.T[..., None]
