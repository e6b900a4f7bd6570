"""Test that functions that call `polyrnn.rnn` support the transformations of JAX."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, PartitionSpec
from sampling import one_of

import polyrnn

BATCH, TIME, FEATURES, UNITS = 2, 3, 4, 5


def _wave(*shape: int) -> Any:
    return jnp.sin(jnp.arange(np.prod(shape), dtype=jnp.float32) * 1.7).reshape(shape)


INPUTS, STATE = _wave(BATCH, TIME, FEATURES), _wave(BATCH, UNITS)
KERNEL, RECURRENT = _wave(FEATURES, UNITS), _wave(UNITS, UNITS)
MASK = np.array([[True, False, True], [False, True, True]])


def _layer(kernel: Any, recurrent: Any, x: Any, state: Any, **options: Any) -> Any:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        new = jnp.tanh(x @ kernel + states[0] @ recurrent)
        return new * 2, [new]

    return polyrnn.rnn(step, x, [state], **options)


def _loss(*arguments: Any, **options: Any) -> Any:
    last, outputs, (state,) = _layer(*arguments, **options)
    return (outputs**2).sum() + (last * 3).sum() + state.sum()


ARGUMENTS = (KERNEL, RECURRENT, INPUTS, STATE)

TRANSFORMATIONS: dict[str, Any] = {
    "jit": lambda loss: jax.jit(loss)(*ARGUMENTS),
    "grad": lambda loss: jax.grad(loss, argnums=(0, 1, 2, 3))(*ARGUMENTS),
    "grad-of-jit": lambda loss: jax.grad(jax.jit(loss), argnums=(0, 2))(*ARGUMENTS),
    "jit-of-grad": lambda loss: jax.jit(jax.grad(loss, argnums=(0, 2)))(*ARGUMENTS),
    "jvp": lambda loss: jax.jvp(loss, ARGUMENTS, ARGUMENTS),
    "linearize": lambda loss: jax.linearize(loss, *ARGUMENTS)[1](*ARGUMENTS),
    "second-derivative": lambda loss: jax.grad(
        lambda kernel: jax.grad(loss)(kernel, *ARGUMENTS[1:]).sum()
    )(KERNEL),
    "forward-over-reverse": lambda loss: jax.jvp(
        lambda kernel: jax.grad(loss)(kernel, *ARGUMENTS[1:]), (KERNEL,), (KERNEL,)
    ),
    "checkpoint": lambda loss: jax.grad(jax.checkpoint(loss))(*ARGUMENTS),
    "vmap-of-weights": lambda loss: jax.vmap(lambda scale: loss(KERNEL * scale, *ARGUMENTS[1:]))(
        jnp.array([0.5, 2.0])
    ),
    "vmap-of-states": lambda loss: jax.vmap(lambda state: loss(*ARGUMENTS[:3], state))(
        _wave(6, BATCH, UNITS)
    ),
    "gradient-for-each-sample": lambda loss: jax.vmap(
        lambda scale: jax.grad(loss)(KERNEL, RECURRENT, INPUTS * scale, STATE)
    )(jnp.array([0.5, 2.0])),
    "within-scan": lambda loss: lax.scan(
        lambda total, scale: (total + loss(KERNEL * scale, *ARGUMENTS[1:]), total),
        0.0,
        jnp.array([0.5, 2.0]),
    ),
    "gradient-of-scan": lambda loss: jax.grad(
        lambda kernel: lax.fori_loop(
            0, 2, lambda _, total: total + loss(kernel, *ARGUMENTS[1:]), 0.0
        )
    )(KERNEL),
    "within-cond": lambda loss: jax.jit(
        lambda flag: lax.cond(flag, lambda: loss(*ARGUMENTS), lambda: 0.0)
    )(True),
}


@pytest.mark.parametrize("options", one_of(2, [{"mask": MASK}, {}], ["masked", "plain"]))
@pytest.mark.parametrize("transform", TRANSFORMATIONS.values(), ids=TRANSFORMATIONS)
def test_a_loop_is_transformed_as_its_steps_are(transform: Any, options: dict[str, Any]) -> None:
    looped = transform(partial(_loss, **options))
    walked = transform(partial(_loss, **options, unroll=True))
    jax.tree_util.tree_map(
        partial(np.testing.assert_allclose, rtol=2e-4, atol=1e-5), looped, walked
    )


def test_a_step_may_call_rnn() -> None:
    def outer(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        _, _, (new,) = _layer(KERNEL, RECURRENT, x, states[0], mask=MASK)
        return new, [new]

    inputs = _wave(BATCH, 6, TIME, FEATURES)

    def final(kernel_scale: Any, **options: Any) -> Any:
        return polyrnn.rnn(outer, inputs * kernel_scale, [STATE], **options)[0].sum()

    np.testing.assert_allclose(final(0.5), final(0.5, unroll=True), rtol=1e-4)
    np.testing.assert_allclose(
        jax.grad(final)(0.5), jax.grad(partial(final, unroll=True))(0.5), rtol=1e-4
    )


def test_a_step_may_reduce_over_a_named_axis() -> None:
    def centred(x: Any, **options: Any) -> Any:
        return polyrnn.rnn(lambda x, _: (x - lax.pmean(x, "replica"), []), x, [], **options)[1]

    inputs = _wave(3, BATCH, TIME, FEATURES)
    for _ in range(2):
        outputs = jax.vmap(centred, axis_name="replica")(inputs)
        np.testing.assert_allclose(outputs, inputs - inputs.mean(0), atol=1e-6)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "masked": {"mask": MASK},
    "zeroed-backwards": {"mask": MASK, "zero_output_for_mask": True, "go_backwards": True},
    "last-of-lengths": {"input_length": 2, "return_all_outputs": False},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
def test_a_batch_may_be_sharded(options: dict[str, Any], compiled: bool) -> None:
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])

    def layer(x: Any, state: Any, mask: Any) -> Any:
        used = {**options, "mask": mask} if "mask" in options else options
        return _layer(KERNEL, RECURRENT, x, state, **used)[1]

    split = PartitionSpec("batch")
    sharded = jax.shard_map(layer, mesh=mesh, in_specs=(split, split, split), out_specs=split)
    outputs = (jax.jit(sharded) if compiled else sharded)(INPUTS, STATE, MASK)
    np.testing.assert_allclose(outputs, layer(INPUTS, STATE, MASK), rtol=1e-5)


def test_disabled_compilation_calls_the_step_with_values() -> None:
    seen: list[float] = []

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        seen.append(float(x[0, 0]))
        return x, states

    with jax.disable_jit():
        polyrnn.rnn(step, INPUTS, [STATE], go_backwards=True)
    assert seen == INPUTS[0, ::-1, 0].tolist()


@pytest.mark.parametrize(
    ("options", "traces"),
    [
        ({}, 1),
        ({"mask": MASK, "zero_output_for_mask": True}, 1),
        ({"mask": MASK}, 2),
        ({"return_all_outputs": False}, 2),
        ({"unroll": True}, TIME),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
def test_the_step_is_traced_as_often_as_documented(
    options: dict[str, Any], traces: int, compiled: bool
) -> None:
    calls: list[Any] = []

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        calls.append(x)
        return x, states

    def run(x: Any) -> Any:
        return polyrnn.rnn(step, x, [STATE], **options)[1]

    function = jax.jit(run) if compiled else run
    function(INPUTS)
    assert len(calls) == traces
