"""The handwritten `jax.lax.scan` loops that the benchmark compares polyrnn with."""

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
"""The event that jax records once for each program that it compiles."""


class JaxFramework(Framework):
    """Runs loops eagerly and under `jax.jit`, on the first device."""

    def use_threads(self, threads: int) -> None:
        """Enable 64-bit types; environment variables set the number of threads."""
        jax.config.update("jax_enable_x64", True)

    def tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        """Return a jax array."""
        return jnp.asarray(array)

    def array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """Return the values of a jax array as a NumPy array."""
        return np.asarray(tensor)

    def lstm_step(self, kernel: Tensor, bias: Tensor) -> Step:
        """Return the step function of an LSTM."""
        return lambda x, states: lstm(x, [*states, kernel, bias])

    def short_step(self, kernel: Tensor) -> Step:
        """Return the step function of a simple RNN."""
        return lambda x, states: short(x, [*states, kernel])

    def layer(self, mode: str, loop: Loop, variant: Variant) -> Layer:
        """Return a layer that calls a loop.

        In eager mode, all calls use the same step function, which is given its weights as constants
        because it cannot close over them.
        """
        if mode != "eager":
            return super().layer(mode, loop, variant)
        step = short if variant.short else lstm
        return lambda x, states, weights, mask: loop(step, x, states, mask, constants=weights)

    def hand_written(self, mode: str) -> Loop:
        """Return the scan that reuses its body in eager mode, else the plain scan."""
        return kept_loop if mode == "eager" else loop

    def call(
        self, mode: str, program: Program, tensors: Sequence[Tensor]
    ) -> Callable[[], list[Tensor]]:
        """Return a function that runs a program."""
        compiled = jax.jit(program) if mode == "jit" else program
        return lambda: jax.block_until_ready(compiled(*tensors))

    def gradient(
        self,
        mode: str,
        program: Program,
        tensors: Sequence[Tensor],
        *,
        leading: int = DIFFERENTIABLE,
    ) -> Callable[[], list[Tensor]]:
        """Return a function that runs a program forward and backward."""

        def loss(*arguments: Tensor) -> Tensor:
            return sum(jnp.square(result).sum() for result in program(*arguments))

        gradient = jax.grad(loss, argnums=tuple(range(leading)))
        compiled = jax.jit(gradient) if mode == "jit" else gradient
        return lambda: list(jax.block_until_ready(compiled(*tensors)))

    @contextmanager
    def compilations(self) -> Iterator[Callable[[], int]]:
        """Yield a function that returns how many programs jax has compiled in the block."""
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
    """Compute one step of an LSTM; the weights follow the two states."""
    h, c, kernel, bias = states
    i, f, g, o = jnp.split(jnp.concatenate([x, h], axis=1) @ kernel + bias, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return h, [h, c]


def short(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Compute one step of a simple RNN; the weight follows the state."""
    h, kernel = states
    h = jnp.tanh(x + h @ kernel)
    return h, [h]


def loop(
    step: Step, x: Tensor, states: list[Tensor], mask: Tensor = None
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Run a step function in a scan whose body closes over the step."""
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
    """Run a step function in a scan that reuses its body, so that jax compiles it only once.

    The weights are part of the carry, because a body that closes over them would be a new function
    in each call.
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
    """Return the plain and the masked body for a step, creating them once per step."""

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
    """Return states and output with those of the previous step where the mask is false."""
    states = [jnp.where(valid, new, old) for new, old in zip(new_states, states, strict=True)]
    held = jnp.where(valid, output, held)
    return (states, held), held


def masked_slices(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return time-major inputs and mask, with padding replaced by the first valid input."""
    first = x[jnp.arange(len(x)), mask.argmax(axis=1)]
    x = jnp.where(mask[..., None], x, first[:, None])
    return x.swapaxes(0, 1), mask.T[..., None]
