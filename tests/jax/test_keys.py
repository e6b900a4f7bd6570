"""Test keys of JAX as states and outputs: one for each sample, or one for all samples."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sampling import one_of

import polyrnn

BATCH, TIME, FEATURES = 2, 3, 4
INPUTS = jnp.linspace(-1.0, 1.0, BATCH * TIME * FEATURES).reshape(BATCH, TIME, FEATURES)
MASK = np.array([[True, False, True], [False, False, True]])

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "masked": {"mask": MASK},
    "zeroed": {"mask": MASK, "zero_output_for_mask": True},
    "last": {"mask": MASK, "return_all_outputs": False},
    "backwards": {"mask": MASK, "go_backwards": True},
    "unrolled": {"mask": MASK, "unroll": True},
    "masked-throughout": {"mask": np.zeros((BATCH, TIME), bool)},
    "lengths": {"input_length": np.array([1, 3])},
}

MODES: dict[str, Any] = {
    "eager": lambda run, *arguments: run(*arguments),
    "jit": lambda run, *arguments: jax.jit(run)(*arguments),
    "vmap": lambda run, *arguments: jax.tree_util.tree_map(
        lambda leaf: leaf[0],
        jax.vmap(run)(*(jax.tree_util.tree_map(lambda leaf: leaf[None], arguments))),
    ),
    "scan": lambda run, *arguments: jax.tree_util.tree_map(
        lambda leaf: leaf[0],
        jax.lax.scan(
            lambda carry, given: (carry, run(*given)),
            0,
            jax.tree_util.tree_map(lambda leaf: leaf[None], arguments),
        )[1],
    ),
}


def _data(tree: Any) -> Any:
    """Return a nest with keys replaced by their data."""
    return jax.tree_util.tree_map(
        lambda leaf: (
            jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        ),
        tree,
    )


def _assert_equal(got: Any, wanted: Any) -> None:
    assert [leaf.dtype for leaf in jax.tree_util.tree_leaves(got)] == [
        leaf.dtype for leaf in jax.tree_util.tree_leaves(wanted)
    ]
    jax.tree_util.tree_map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6),
        _data(got),
        _data(wanted),
    )


def _of_samples(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    """Draw a number for each sample with its own key, and output the key that was used."""
    pairs = jax.vmap(jax.random.split)(states[0])
    noise = jax.vmap(lambda key: jax.random.normal(key, (FEATURES,)))(pairs[:, 1])
    return (x * noise, pairs[:, 1]), [pairs[:, 0]]


def _noise_of_walk(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    key, total = states
    key, used = jax.random.split(key)
    total = total + x * jax.random.normal(used, x.shape)
    return total, [key, total]


def _walked_by_hand(keys: Any, valid: Any, order: Any) -> tuple[Any, Any]:
    """Return the products and final keys of `_of_samples`, computed sample by sample."""
    products, left = [], []
    for sample in range(BATCH):
        key, row, held = keys[sample], [], jnp.zeros(FEATURES)
        for t in order:
            if valid[sample, t]:
                key, used = jax.random.split(key)
                held = INPUTS[sample, t] * jax.random.normal(used, (FEATURES,))
            row.append(held)
        products.append(jnp.stack(row))
        left.append(key)
    return jnp.stack(products), jnp.stack(left)


@pytest.mark.parametrize("kind", one_of(2, ["threefry2x32", "rbg"]))
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_each_sample_may_have_a_key(options: dict[str, Any], mode: Any, kind: str) -> None:
    keys = jax.random.split(jax.random.key(0, impl=kind), BATCH)

    def run(x: Any, keys: Any) -> Any:
        return polyrnn.rnn(_of_samples, x, [keys], **options)

    got = mode(run, INPUTS, keys)
    _assert_equal(got, polyrnn.rnn(_of_samples, INPUTS, [keys], **{**options, "unroll": True}))
    assert {str(leaf.dtype) for leaf in jax.tree_util.tree_leaves(got)} == {
        "float32",
        str(keys.dtype),
    }


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("unroll", [False, True])
def test_the_key_of_a_sample_stays_at_masked_steps(backwards: bool, unroll: bool) -> None:
    keys = jax.random.split(jax.random.key(0), BATCH)
    order = range(TIME)[::-1] if backwards else range(TIME)
    products, left = _walked_by_hand(keys, MASK, order)
    _, (outputs, _), (state,) = polyrnn.rnn(
        _of_samples, INPUTS, [keys], mask=MASK, go_backwards=backwards, unroll=unroll
    )
    np.testing.assert_allclose(outputs, products, rtol=1e-6)
    np.testing.assert_array_equal(jax.random.key_data(state), jax.random.key_data(left))


@pytest.mark.parametrize("name", ["masked", "zeroed", "last", "lengths"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
def test_gradients_pass_by_a_key(name: str, compiled: bool) -> None:
    keys = jax.random.split(jax.random.key(0), BATCH)

    def loss(x: Any, **options: Any) -> Any:
        last, outputs, _ = polyrnn.rnn(_of_samples, x, [keys], **OPTIONS[name], **options)
        return (outputs[0] ** 2).sum() + last[0].sum()

    gradient = jax.grad(loss)
    got = (jax.jit(gradient) if compiled else gradient)(INPUTS)
    np.testing.assert_allclose(got, jax.grad(lambda x: loss(x, unroll=True))(INPUTS), rtol=1e-5)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_one_key_may_serve_a_whole_walk(mode: Any) -> None:
    def run(x: Any, key: Any) -> Any:
        return polyrnn.rnn(_noise_of_walk, x, [key, jnp.zeros((BATCH, FEATURES))])

    got = mode(run, INPUTS, jax.random.key(0))
    states, outputs = [jax.random.key(0), jnp.zeros((BATCH, FEATURES))], []
    for t in range(TIME):
        output, states = _noise_of_walk(INPUTS[:, t], states)
        outputs.append(output)
    _assert_equal(got, (outputs[-1], jnp.stack(outputs, axis=1), states))


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_the_key_of_a_walk_goes_on_at_masked_steps(mode: Any, unroll: bool) -> None:
    def run(x: Any, key: Any) -> Any:
        states = [key, jnp.zeros((BATCH, FEATURES))]
        return polyrnn.rnn(_noise_of_walk, x, states, mask=MASK, unroll=unroll)

    last, outputs, (key, total) = mode(run, INPUTS, jax.random.key(0))
    wanted_key, wanted_total = jax.random.key(0), jnp.zeros((BATCH, FEATURES))
    held, walked = jnp.zeros((BATCH, FEATURES)), []
    for t in range(TIME):
        valid = MASK[:, t, None]
        output, (wanted_key, new) = _noise_of_walk(INPUTS[:, t], [wanted_key, wanted_total])
        wanted_total = jnp.where(valid, new, wanted_total)
        held = jnp.where(valid, output, held)
        walked.append(held)
    _assert_equal(
        (last, outputs, key, total), (held, jnp.stack(walked, axis=1), wanted_key, wanted_total)
    )


def test_gradients_pass_by_the_key_of_a_masked_walk() -> None:
    def loss(x: Any, **options: Any) -> Any:
        states = [jax.random.key(0), jnp.zeros((BATCH, FEATURES))]
        return polyrnn.rnn(_noise_of_walk, x, states, mask=MASK, **options)[1].sum()

    np.testing.assert_allclose(
        jax.grad(loss)(INPUTS), jax.grad(lambda x: loss(x, unroll=True))(INPUTS), rtol=1e-6
    )


def test_a_batch_of_keys_may_be_an_input() -> None:
    keys = jax.random.split(jax.random.key(0), (BATCH, TIME, 1))

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        total = states[0] + jax.vmap(jax.random.normal)(x[:, 0])
        return total, [total]

    _, outputs, _ = polyrnn.rnn(step, keys, [jnp.zeros(BATCH)], mask=MASK)
    drawn = np.asarray(jax.vmap(jax.vmap(jax.random.normal))(keys[..., 0]))
    np.testing.assert_allclose(outputs, np.cumsum(drawn * MASK, axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("argument", "shape", "text"),
    [
        ("mask", (BATCH, TIME), "mask: expected bool or numbers, got dtype key<fry>"),
        ("input_length", (BATCH,), "input_length: expected integers, got dtype key<fry>"),
    ],
)
def test_keys_are_no_mask(argument: str, shape: tuple[int, ...], text: str) -> None:
    keys = jax.random.split(jax.random.key(0), shape)
    with pytest.raises(ValueError, match=r".") as raised:
        polyrnn.rnn(lambda x, states: (x, states), INPUTS, [INPUTS[:, 0]], **{argument: keys})
    assert str(raised.value) == text
