"""Test that a new step function with an equal trace is not compiled again."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import polyrnn
from polyrnn_jax.backend import JaxBackend

BATCH, TIME, FEATURES = 2, 3, 4
INPUTS = jnp.linspace(-1.0, 1.0, BATCH * TIME * FEATURES).reshape(BATCH, TIME, FEATURES)
STATE = jnp.zeros((BATCH, FEATURES))
MASK = jnp.array([[True, False, True], [True, True, False]])


@jax.custom_jvp
def _rule_of_jvp(x: Any) -> Any:
    return x * 2


_rule_of_jvp.defjvp(lambda primals, tangents: (_rule_of_jvp(*primals), tangents[0] * 2))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _rule_of_vjp(x: Any, power: int) -> Any:
    return x**power


_rule_of_vjp.defvjp(
    lambda x, power: (_rule_of_vjp(x, power), x), lambda power, x, g: (g * power * x,)
)


def _host(x: Any) -> Any:
    return np.asarray(x) * 2


MATRIX = jnp.linspace(0.0, 1.0, FEATURES * FEATURES).reshape(FEATURES, FEATURES)

CELLS = {
    "matmul": lambda x: x @ MATRIX,
    "relu": jax.nn.relu,
    "softmax": jax.nn.softmax,
    "gelu": jax.nn.gelu,
    "logsumexp": lambda x: x - jax.nn.logsumexp(x, axis=-1, keepdims=True),
    "where": lambda x: jnp.where(x > 0, x, 0.5),
    "gather": lambda x: x[:, jnp.array([1, 0, 3, 2])],
    "scatter": lambda x: x.at[0].add(1.0),
    "cond": lambda x: lax.cond(x[0, 0] > 0, lambda x: x @ MATRIX, lambda x: x * 2, x),
    "switch": lambda x: lax.switch(1, [lambda x: x, lambda x: x + 1.5], x),
    "fori_loop": lambda x: lax.fori_loop(0, 3, lambda _, x: x @ MATRIX, x),
    "scan": lambda x: lax.scan(lambda c, y: (c + y, c), x[0], x)[1],
    "jit": lambda x: jax.jit(lambda x: x @ MATRIX)(x),
    "vmap": lambda x: jax.vmap(lambda row: row @ MATRIX)(x),
    "grad": jax.grad(lambda x: jnp.tanh(x).sum()),
    "checkpoint": lambda x: jax.checkpoint(lambda x: jnp.sin(x) @ MATRIX)(x),
    "random": lambda x: x + jax.random.normal(jax.random.key(0), x.shape),
    "custom_jvp": _rule_of_jvp,
    "custom_vjp": lambda x: _rule_of_vjp(x, 2),
    "pure_callback": lambda x: jax.pure_callback(_host, x, x),
    "convolution": lambda x: jnp.apply_along_axis(partial(jnp.convolve, v=MATRIX[0]), 1, x)[:, :4],
}
"""Steps whose traces contain inner functions, derivative rules, callbacks and constants."""


def _run(cell: Any, weight: Any, **options: Any) -> Any:
    """Call `rnn` with a new closure as the step."""

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        new = cell(x) * weight + states[0]
        return new, [new]

    return polyrnn.rnn(step, INPUTS, [STATE], **options)


def _outputs(cell: Any, weight: Any, **options: Any) -> Any:
    return _run(cell, weight, **options)[1]


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_fresh_closure_compiles_nothing(cell: Any, compilations: Any) -> None:
    weights = jnp.array([0.5, -2.0])
    backend = JaxBackend()  # with an empty cache, because cells may have equal traces
    first = _outputs(cell, weights[0], backend=backend)
    assert compilations.since_last() > 0
    second = _outputs(cell, weights[1], backend=backend)
    # A changed weight takes effect, and the step of the first call is not called again.
    assert compilations.since_last() == 0
    np.testing.assert_allclose(first, _outputs(cell, weights[0], unroll=True), rtol=1e-5)
    np.testing.assert_allclose(second, _outputs(cell, weights[1], unroll=True), rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"mask": MASK},
        {"mask": MASK, "zero_output_for_mask": True},
        {"mask": MASK, "go_backwards": True},
        {"input_length": np.array([1, 3])},
        {"return_all_outputs": False},
        {"go_backwards": True},
        {"checkpoint_every": 1},
        {"mask": MASK, "checkpoint_every": 2},
    ],
    ids=lambda options: "-".join(options),
)
def test_no_option_makes_a_fresh_closure_compile(
    options: dict[str, Any], compilations: Any
) -> None:
    _run(jnp.tanh, jnp.array(0.5), **options)
    compilations.since_last()
    _run(jnp.tanh, jnp.array(1.5), **options)
    assert compilations.since_last() == 0


@pytest.mark.parametrize(
    "make",
    [jnp.asarray, np.asarray, np.float32],
    ids=["jax", "numpy", "numpy-number"],
)
def test_what_the_step_closes_over_may_be_of_any_kind(make: Any) -> None:
    for value in (0.5, 1.5):
        weight = make(np.float32(value))
        np.testing.assert_allclose(
            _outputs(jnp.tanh, weight), _outputs(jnp.tanh, value, unroll=True), rtol=1e-5
        )


TRANSFORMED = {
    "grad": lambda weight, options: jax.grad(lambda w: _outputs(jnp.tanh, w, **options).sum())(
        weight
    ),
    "value_and_grad": lambda weight, options: jax.value_and_grad(
        lambda w: _outputs(jnp.tanh, w, **options).sum()
    )(weight),
    "jvp": lambda weight, options: jax.jvp(
        lambda w: _outputs(jnp.tanh, w, **options), (weight,), (weight,)
    ),
    "vmap": lambda weight, options: jax.vmap(lambda w: _outputs(jnp.tanh, w, **options))(
        jnp.stack([weight, weight * 2])
    ),
}


@pytest.mark.parametrize("transformed", TRANSFORMED.values(), ids=TRANSFORMED)
@pytest.mark.parametrize("options", [{}, {"mask": MASK}], ids=["plain", "masked"])
def test_a_fresh_closure_compiles_nothing_when_transformed(
    transformed: Any, options: dict[str, Any], compilations: Any
) -> None:
    transformed(jnp.array(0.5), options)
    compilations.since_last()
    result = transformed(jnp.array(1.5), options)
    assert compilations.since_last() == 0
    expected = transformed(jnp.array(1.5), {**options, "unroll": True})
    jax.tree_util.tree_map(partial(np.testing.assert_allclose, rtol=1e-4), result, expected)


@pytest.mark.parametrize("name", ["relu", "softmax", "gelu", "custom_jvp", "custom_vjp", "cond"])
def test_a_derivative_rule_is_compiled_once(name: str, compilations: Any) -> None:
    def slope(weight: Any, **options: Any) -> Any:
        return jax.grad(lambda w: _outputs(CELLS[name], w, **options).sum())(weight)

    slope(jnp.array(0.5))
    compilations.since_last()
    result = slope(jnp.array(1.5))
    assert compilations.since_last() == 0
    np.testing.assert_allclose(result, slope(jnp.array(1.5), unroll=True), rtol=1e-4)
