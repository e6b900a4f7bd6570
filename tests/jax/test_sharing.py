"""Test that steps share a compiled loop only if they are equal, and that effects are kept."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

import polyrnn

INPUTS = jnp.linspace(0.5, 2.0, 24).reshape(2, 3, 4)


def _outputs(cell: Any, x: Any, **options: Any) -> Any:
    return polyrnn.rnn(lambda x, _: (cell(x), []), x, [], **options)[1]


class _Scale:
    """An object that compares equal to all others of its class."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Scale)

    def __hash__(self) -> int:
        return 0

    def __call__(self, x: Any) -> Any:
        return np.asarray(x * self.factor, np.float32)

    def method(self, x: Any) -> Any:
        return self(x)


def _closure(factor: float) -> Any:
    return lambda x: np.asarray(x * factor, np.float32)


def _callback(make: Any) -> Any:
    return lambda factor: lambda x: jax.pure_callback(make(factor), x, x)


def _with_matrix(factor: float) -> Any:
    matrix = np.eye(4, dtype=np.float32) * factor
    return jax.jit(lambda x: x @ matrix)


VALUES = {
    "callback-closure": (_callback(_closure), np.multiply),
    "callback-object": (_callback(_Scale), np.multiply),
    "callback-method": (_callback(lambda factor: _Scale(factor).method), np.multiply),
    "callback-partial": (
        _callback(lambda factor: partial(np.multiply, np.float32(factor))),
        np.multiply,
    ),
    "number": (lambda factor: lambda x: x * factor, np.multiply),
    "whole-number": (lambda factor: lambda x: x ** int(factor), np.power),
    "sign-of-zero": (
        lambda factor: lambda x: x / jnp.full_like(x, -0.0 if factor < 3 else 0.0),
        lambda x, factor: np.full(x.shape, -np.inf if factor < 3 else np.inf, np.float32),
    ),
    "dtype": (
        lambda factor: lambda x: x.astype("int32" if factor < 3 else "uint32"),
        lambda x, factor: x.astype("int32" if factor < 3 else "uint32"),
    ),
    "matrix-of-a-compiled-function": (_with_matrix, np.multiply),
}


@pytest.mark.parametrize(("make", "meaning"), VALUES.values(), ids=VALUES)
def test_steps_with_other_values_share_nothing(make: Any, meaning: Any) -> None:
    for factor in (2.0, 3.0):
        outputs, expected = _outputs(make(factor), INPUTS), meaning(np.asarray(INPUTS), factor)
        assert outputs.dtype == expected.dtype
        np.testing.assert_allclose(outputs, expected, rtol=1e-5)


def _with_jvp(factor: float) -> Any:
    @jax.custom_jvp
    def double(x: Any) -> Any:
        return x * 2

    double.defjvp(lambda primals, tangents: (double(*primals), tangents[0] * factor))
    return double


def _with_jvps(factor: float) -> Any:
    @jax.custom_jvp
    def double(x: Any) -> Any:
        return x * 2

    double.defjvps(lambda tangent, _, x: tangent * factor)
    return double


def _with_vjp(factor: float) -> Any:
    @jax.custom_vjp
    def double(x: Any) -> Any:
        return x * 2

    double.defvjp(lambda x: (double(x), None), lambda _, g: (g * factor,))
    return double


def _with_gradient(factor: float) -> Any:
    return jax.custom_gradient(lambda x: (x * 2, lambda g: g * factor))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _by_object(x: Any, scale: _Scale) -> Any:
    return x * 2


@_by_object.defjvp
def _by_object_jvp(scale: _Scale, primals: Any, tangents: Any) -> Any:
    return _by_object(*primals, scale), tangents[0] * scale.factor


SLOPES = {
    "custom_jvp": _with_jvp,
    "custom_jvp-by-argument": _with_jvps,
    "custom_vjp": _with_vjp,
    "custom_gradient": _with_gradient,
    "static-object": lambda factor: lambda x: _by_object(x, _Scale(factor)),
}


@pytest.mark.parametrize("make", SLOPES.values(), ids=SLOPES)
def test_steps_with_other_derivatives_share_nothing(make: Any) -> None:
    for factor in (2.0, 3.0):
        cell = make(factor)
        slope = jax.grad(lambda x, cell=cell: _outputs(cell, x).sum())(INPUTS)
        np.testing.assert_allclose(slope, np.full(INPUTS.shape, factor), rtol=1e-5)


def test_different_residuals_of_the_backward_pass_are_distinguished() -> None:
    policies = [
        jax.checkpoint_policies.everything_saveable,
        jax.checkpoint_policies.nothing_saveable,
    ]
    kept = []
    for policy in policies:
        cell = jax.checkpoint(lambda x: jnp.sin(jnp.sin(x)), policy=policy)
        _, backward = jax.vjp(lambda x, cell=cell: _outputs(cell, x), INPUTS)
        kept.append(sum(leaf.size for leaf in jax.tree_util.tree_leaves(backward)))
    assert kept[0] > kept[1]


def _write_into(store: list[Any]) -> Any:
    return lambda x: store.append(float(x))


def test_a_store_of_one_callback_is_not_that_of_another() -> None:
    stores: list[list[Any]] = [[], []]
    for store in stores:
        write = _write_into(store)
        _outputs(lambda x, write=write: (jax.debug.callback(write, x[0, 0]), x)[1], INPUTS)
    jax.effects_barrier()
    assert [sorted(store) for store in stores] == [INPUTS[0, :, 0].tolist()] * 2


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _by_store(x: Any, store: list[Any]) -> Any:
    return x * 2


_by_store.defvjp(
    lambda x, store: (x * 2, None), lambda store, _, g: (store.append(g.shape), (g * 2,))[1]
)


def test_a_store_of_one_rule_is_not_that_of_another() -> None:
    stores: list[list[Any]] = [[], []]
    for store in stores:
        jax.grad(lambda x, store=store: _outputs(lambda x: _by_store(x, store), x).sum())(INPUTS)
    assert (2, 4) in stores[0]
    assert (2, 4) in stores[1]


def _print(x: Any) -> Any:
    jax.debug.print("value {}", x[0, 0])
    return x


def test_a_printing_step_prints_at_each_call(capsys: pytest.CaptureFixture[str]) -> None:
    for calls in (1, 2):
        _outputs(_print, INPUTS * calls)
        jax.effects_barrier()
        lines = capsys.readouterr().out.splitlines()
        assert sorted(lines) == sorted(f"value {x}" for x in INPUTS[0, :, 0] * calls)


@pytest.mark.parametrize("options", [{}, {"input_length": 2}], ids=["plain", "masked"])
def test_an_effect_happens_once_for_each_step_of_each_call(options: dict[str, Any]) -> None:
    seen: list[float] = []

    def cell(x: Any, states: list[Any]) -> Any:
        io_callback(lambda x: seen.append(float(x)), None, x[0, 1], ordered=True)
        return x, states

    for calls in (1, 2):
        polyrnn.rnn(cell, INPUTS[:, :, :2], [jnp.zeros((2, 1))], go_backwards=True, **options)
        jax.effects_barrier()
        assert len(seen) == 3 * calls
    if not options:
        assert seen == INPUTS[0, ::-1, 1].tolist() * 2
