"""Test integers and numbers that JAX converts: lengths, states, non-native byte orders."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import polyrnn
from polyrnn_jax.backend import JaxBackend

BATCH, TIME, FEATURES = 2, 3, 4
INPUTS = jnp.linspace(-1.0, 1.0, BATCH * TIME * FEATURES).reshape(BATCH, TIME, FEATURES)
STATE = jnp.zeros((BATCH, FEATURES))
MASK = np.array([[True, False, True], [False, True, True]])

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("time", [3, 300])
@pytest.mark.parametrize("wide", [False, True], ids=["x32", "x64"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_a_length_means_what_it_says(dtype: str, wide: bool, time: int, compiled: bool) -> None:
    if dtype.endswith("64") and not wide:
        return
    limits = np.iinfo(dtype)
    values = [limits.max, limits.max - 1, limits.max // 2 + 1, 2, 1, 0, limits.min]
    with jax.enable_x64(wide):
        backend = JaxBackend()
        lengths = jnp.array(np.array(values, dtype))
        like = jnp.zeros((time, len(values), 1))
        mask = (jax.jit(backend.length_mask) if compiled else backend.length_mask)(lengths, like)
        expected = [[t < value for value in map(int, values)] for t in range(time)]
        assert mask.tolist() == expected
        one = backend.length_mask(lengths[0], like)
        assert one.tolist() == [[t < int(values[0])] * len(values) for t in range(time)]


def test_the_largest_length_masks_nothing() -> None:
    lengths = jnp.array([2**32 - 1, 1], "uint32")
    _, outputs, _ = polyrnn.rnn(
        lambda x, states: (x, states),
        jnp.ones((2, 3, 1)),
        [jnp.zeros((2, 1))],
        input_length=lengths,
        zero_output_for_mask=True,
    )
    assert outputs[..., 0].tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    "value",
    [np.float64(1e-300), np.int64(2**32), np.uint64(2**63), np.complex128(1e-300j)],
    ids=["float64", "int64", "uint64", "complex128"],
)
def test_a_mask_is_true_where_it_was_true(value: Any) -> None:
    mask = np.where(MASK, value, value.dtype.type(0))
    with np.errstate(all="ignore"):
        outputs = polyrnn.rnn(lambda x, states: (x, states), INPUTS, [STATE], mask=mask)[1]
    expected = polyrnn.rnn(lambda x, states: (x, states), INPUTS, [STATE], mask=MASK)[1]
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.parametrize("code", ["i4", "u2", "f2", "f4", "c8", "i8", "f8"])
def test_bytes_of_a_foreign_order_are_read(code: str) -> None:
    wide = code in ("i8", "f8")
    with jax.enable_x64(wide):
        inputs = np.arange(BATCH * TIME * FEATURES).reshape(BATCH, TIME, FEATURES)
        swapped = np.dtype(code).newbyteorder("S")

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            total = states[0] + x
            return total, [total]

        _, outputs, (state,) = polyrnn.rnn(
            step,
            inputs.astype(swapped),
            [np.ones((BATCH, FEATURES), swapped)],
            mask=MASK.astype(swapped),
            backend="jax",
        )
        assert outputs.dtype == state.dtype == np.dtype(code)
        expected = np.cumsum(inputs * MASK[..., None], axis=1) + 1
        np.testing.assert_array_equal(state, expected[:, -1])


def _count_beside(kernel: Any, x: Any, **options: Any) -> Any:
    """Carry an integer, a key for each sample, and floats; output the first and the last."""

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        h, count, keys = states
        h = jnp.tanh(x @ kernel + h + 0.1 * count[:, None].astype(h.dtype))
        return (h, count), [h, count + 1, jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)]

    keys = jax.random.split(jax.random.key(0), BATCH)
    return polyrnn.rnn(step, x, [STATE, jnp.zeros(BATCH, "int32"), keys], **options)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "masked": {"mask": MASK},
    "zeroed-backwards": {"mask": MASK, "zero_output_for_mask": True, "go_backwards": True},
    "last": {"return_all_outputs": False},
    "last-masked": {"mask": MASK, "return_all_outputs": False},
}
KERNEL = jnp.sin(jnp.arange(FEATURES * FEATURES, dtype="float32")).reshape(FEATURES, FEATURES)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_eager_gradients_pass_by_what_has_none(options: dict[str, Any]) -> None:
    def loss(kernel: Any, x: Any, **unrolled: Any) -> Any:
        _, (h, _), states = _count_beside(kernel, x, **options, **unrolled)
        return (h**2).sum() + states[0].sum()

    got = jax.grad(loss, argnums=(0, 1))(KERNEL, INPUTS)
    walked = jax.grad(lambda *given: loss(*given, unroll=True), argnums=(0, 1))(KERNEL, INPUTS)
    for one, other in zip(got, walked, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
        assert np.abs(one).max() > 0


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_gradients_of_integers_are_float0(options: dict[str, Any]) -> None:
    """Differentiate results of all kinds with respect to arguments of all kinds."""

    def run(kernel: Any, count: Any, table: Any) -> Any:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            h, count = states
            h = jnp.tanh(x @ kernel + h) * table.astype("float32")
            return (h, count), [h, count + table[0]]

        return polyrnn.rnn(step, INPUTS, [STATE, count], **options)

    count, table = jnp.zeros(BATCH, "int32"), jnp.arange(FEATURES, dtype="int32")
    result, backward = jax.vjp(run, KERNEL, count, table)
    cotangents = jax.tree_util.tree_map(
        lambda leaf: (
            jnp.ones_like(leaf)
            if jnp.issubdtype(leaf.dtype, jnp.floating)
            else np.zeros(leaf.shape, jax.dtypes.float0)
        ),
        result,
    )
    of_kernel, of_count, of_table = backward(cotangents)
    assert of_kernel.dtype == jnp.float32
    assert np.abs(of_kernel).max() > 0
    assert of_count.dtype == of_table.dtype == jax.dtypes.float0
    gradients = jax.grad(lambda *given: run(*given)[0][0].sum(), argnums=(0, 1, 2), allow_int=True)(
        KERNEL, count, table
    )
    assert [gradient.dtype for gradient in gradients[1:]] == [jax.dtypes.float0] * 2
