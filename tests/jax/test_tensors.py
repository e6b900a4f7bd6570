"""Test dtypes, devices, random keys, and classes registered with JAX."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import polyrnn
from polyrnn import nests
from polyrnn_jax import pytrees

DTYPES = (
    *("bool", "int8", "int16", "int32", "uint8", "uint32"),
    *("float16", "bfloat16", "float32", "complex64", "float8_e4m3fn"),
)
WIDE_DTYPES = ("int64", "uint64", "float64", "complex128")
MASK = np.array([[True, False, True], [True, True, False]])


def _echo(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    return (x, states[0]), [x]


@pytest.mark.parametrize("unroll", [False, True], ids=["looped", "unrolled"])
@pytest.mark.parametrize("options", [{}, {"mask": MASK}], ids=["plain", "masked"])
@pytest.mark.parametrize("dtype", [*DTYPES, *WIDE_DTYPES])
def test_dtype_in_is_dtype_out(dtype: str, options: dict[str, Any], unroll: bool) -> None:
    with jax.enable_x64(dtype in WIDE_DTYPES):
        inputs = jnp.ones((2, 3, 4), dtype)
        results = polyrnn.rnn(_echo, inputs, [jnp.ones((2, 4), dtype)], unroll=unroll, **options)
        assert {str(leaf.dtype) for leaf in jax.tree_util.tree_leaves(results)} == {dtype}


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint32", "uint64"])
@pytest.mark.parametrize("wide", [False, True], ids=["x32", "x64"])
def test_lengths_may_be_of_any_integer_type(dtype: str, wide: bool) -> None:
    with jax.enable_x64(wide), jax.numpy_dtype_promotion("strict"):
        outputs = polyrnn.rnn(
            lambda x, states: (x, states),
            np.ones((2, 200, 1), np.float32),
            [np.zeros((2, 1), np.float32)],
            input_length=np.array([1, 127], dtype),
            zero_output_for_mask=True,
            backend="jax",
        )[1]
        assert outputs.sum(axis=(1, 2)).tolist() == [1.0, 127.0]


@pytest.mark.parametrize("unroll", [False, True], ids=["looped", "unrolled"])
def test_what_python_numbers_made_has_a_dtype_of_its_own(unroll: bool) -> None:
    weak = jnp.full((2, 4), 1.0)
    assert weak.weak_type

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        return jnp.where(x > 0, 1.0, 0.0), [jnp.where(x > 0, 2.0, states[0])]

    results = polyrnn.rnn(step, jnp.ones((2, 3, 4)), [weak], unroll=unroll)
    assert not any(leaf.weak_type for leaf in jax.tree_util.tree_leaves(results))


@pytest.mark.parametrize("unroll", [False, True], ids=["looped", "unrolled"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "masked"])
def test_a_step_may_return_numpy_arrays_and_numbers(mask: Any, unroll: bool) -> None:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        return np.ones((2, 1), np.int32), [np.full((2, 4), 7, np.float32)]

    last, outputs, (state,) = polyrnn.rnn(
        step, jnp.ones((2, 3, 4)), [np.zeros((2, 4), np.float32)], mask=mask, unroll=unroll
    )
    assert outputs.dtype == last.dtype == jnp.int32
    assert (outputs == 1).all()
    assert (state == 7).all()


def _noise(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    key, used = jax.random.split(states[0])
    return x + jax.random.normal(used, x.shape), [key]


@pytest.mark.parametrize("make_key", [jax.random.key, jax.random.PRNGKey])
@pytest.mark.parametrize("options", [{}, {"return_all_outputs": False}, {"go_backwards": True}])
def test_a_random_key_may_be_a_state(make_key: Any, options: dict[str, Any]) -> None:
    run = partial(polyrnn.rnn, _noise, jnp.ones((2, 3, 4)), [make_key(0)], **options)
    last, outputs, (key,) = run()
    walked_last, walked, (walked_key,) = run(unroll=True)
    np.testing.assert_allclose(outputs, walked, rtol=1e-6)
    np.testing.assert_allclose(last, walked_last, rtol=1e-6)
    assert key.dtype == make_key(0).dtype
    assert (jax.random.key_data(key) == jax.random.key_data(walked_key)).all()


@pytest.mark.parametrize("all_outputs", [True, False], ids=["all", "last"])
def test_random_keys_may_be_outputs(all_outputs: bool) -> None:
    keys = polyrnn.rnn(
        lambda x, states: (states[0], [jax.random.split(states[0])[0]]),
        jnp.ones((2, 3, 4)),
        [jax.random.key(0)],
        return_all_outputs=all_outputs,
    )[1]
    assert keys.shape == ((3,) if all_outputs else (1,))
    assert keys.dtype == jax.random.key(0).dtype


@pytest.mark.parametrize("where", ["elsewhere", "uncommitted", "numpy"])
@pytest.mark.parametrize("argument", ["mask", "input_length"])
def test_mask_and_lengths_follow_the_inputs(argument: str, where: str) -> None:
    here, elsewhere = jax.devices()[1], jax.devices()[0]
    value = MASK if argument == "mask" else np.array([1, 3])
    place: dict[str, Any] = {
        "elsewhere": partial(jax.device_put, device=elsewhere),
        "uncommitted": jnp.asarray,
        "numpy": np.asarray,
    }
    results = polyrnn.rnn(
        _echo,
        jax.device_put(jnp.ones((2, 3, 4)), here),
        [np.zeros((2, 4), np.float32)],
        **{argument: place[where](value)},
    )
    assert {leaf.device for leaf in jax.tree_util.tree_leaves(results)} == {here}


@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("options", [{}, {"return_all_outputs": False}], ids=["all", "last"])
def test_a_mask_follows_sharded_inputs(axis_type: AxisType, options: dict[str, Any]) -> None:
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(axis_type,), devices=jax.devices()[:2])
    sharding = NamedSharding(mesh, PartitionSpec("batch"))
    with jax.set_mesh(mesh):
        results = polyrnn.rnn(
            lambda x, states: (x, [x]),
            jax.device_put(jnp.ones((2, 3, 4)), sharding),
            [jax.device_put(jnp.zeros((2, 4)), sharding)],
            mask=jax.device_put(MASK, jax.devices()[0]),
            **options,
        )
    for leaf in jax.tree_util.tree_leaves(results):
        assert leaf.sharding.is_equivalent_to(sharding, leaf.ndim)


@partial(jax.tree_util.register_dataclass, data_fields=["h", "c"], meta_fields=["cell"])
@dataclass
class _Carry:
    h: Any
    c: Any
    cell: str = field(default="lstm")


class _Pair(NamedTuple):
    left: Any
    right: Any


def test_what_is_registered_with_jax_is_a_nest() -> None:
    def step(x: _Carry, states: list[Any]) -> tuple[Any, list[Any]]:
        (state,) = states
        return _Pair(x.h, None), [_Carry(h=x.h + state.h, c=state.c + 1, cell=state.cell)]

    last, outputs, (state,) = polyrnn.rnn(
        step,
        _Carry(h=jnp.ones((2, 3, 4)), c=jnp.ones((2, 3, 1), jnp.int32)),
        _Carry(h=jnp.zeros((2, 4)), c=jnp.zeros((2,), jnp.int32), cell="gru"),
        mask=MASK,
        backend="jax",
    )
    assert outputs.left.shape == (2, 3, 4)
    assert last.right is None
    assert state.cell == "gru"
    assert state.c.tolist() == [2, 2]
    assert state.h[:, 0].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("new", "text"),
    [
        (
            lambda state: _Carry(h=state.h, c=state.c.astype("float16")),
            "state [0].c: step returned float16 (2,) for float32 (2,)",
        ),
        (
            lambda state: _Carry(h=state.h, c=state.c, cell="gru"),
            "state [0]: step returned _Carry(h=*, c=*, cell='gru') "
            "for _Carry(h=*, c=*, cell='lstm')",
        ),
    ],
    ids=["dtype", "metadata"],
)
def test_a_registered_state_is_named_by_its_path(new: Any, text: str) -> None:
    state = _Carry(h=jnp.zeros((2, 4)), c=jnp.zeros((2,)))
    with pytest.raises(ValueError, match=r".") as raised:
        polyrnn.rnn(lambda x, states: (x, [new(states[0])]), jnp.ones((2, 3, 4)), state)
    assert str(raised.value) == text


def test_paths_are_those_of_every_backend() -> None:
    tree = {"b": [1, (2, None)], "a": _Pair(left=3, right={"x y": 4, "z": []}), "c": 5}
    _, structure = pytrees.flatten(tree)
    assert pytrees.paths(structure) == nests.paths(nests.flatten(tree)[1])
    assert pytrees.paths(pytrees.flatten(0)[1]) == [""]
