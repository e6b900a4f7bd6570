"""Test the backend while a private name of JAX that it uses is missing."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from missing_names import backend_of, names_of, private_uses, without

import polyrnn
from polyrnn import Backend
from polyrnn_jax.internals import CACHE, PRIVATE, VARYING, missing_of_cache

Missing = tuple[Any, Any]

ignore_the_warning = pytest.mark.filterwarnings("ignore:each eager call compiles:RuntimeWarning")


@pytest.fixture
def missing(name: str) -> Iterator[Missing]:
    """Yield the private names and the backend while a name is missing."""
    # A missing attribute raises AttributeError, a missing module ImportError.
    error = AttributeError if "." in name.partition(":")[2] else ImportError
    with without("polyrnn_jax", name, error) as module:
        yield module, backend_of("polyrnn_jax", "JaxBackend")


each_name = pytest.mark.parametrize("name", names_of(PRIVATE))

KEYS = jax.random.split(jax.random.key(0), 3)
INPUTS = jax.random.uniform(KEYS[0], (2, 5, 3))
WEIGHT = jax.random.uniform(KEYS[1], (3,))
MASK = jax.random.uniform(KEYS[2], (2, 5)) > 0.3


def walk(backend: Any, weight: Any, mask: Any = None, **options: Any) -> list[Any]:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        hidden = jnp.tanh(x * weight + states[0])
        return hidden * 2, [hidden]

    last, outputs, (state,) = polyrnn.rnn(
        step, INPUTS, [jnp.zeros((2, 3))], mask=mask, backend=backend, **options
    )
    return [last, outputs, state]


def total(backend: Any, mask: Any) -> Any:
    return lambda weight: sum((result**2).sum() for result in walk(backend, weight, mask))


@each_name
@ignore_the_warning
def test_eager_calls_are_right(name: str, missing: Missing) -> None:
    _, backend = missing
    for options in ({}, {"go_backwards": True, "return_all_outputs": False}):
        found = walk(backend, WEIGHT, MASK, **options)
        for one, other in zip(found, walk("jax", WEIGHT, MASK, **options), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_allclose(
        jax.grad(total(backend, MASK))(WEIGHT), jax.grad(total("jax", MASK))(WEIGHT), rtol=1e-5
    )


@each_name
def test_compiled_calls_are_right_without_warnings(name: str, missing: Missing) -> None:
    _, backend = missing
    found = jax.jit(lambda x: walk(backend, WEIGHT, x)[1])(MASK)
    np.testing.assert_allclose(found, walk("jax", WEIGHT, MASK)[1], rtol=1e-6)


@pytest.mark.parametrize("name", PRIVATE.uses[CACHE])
def test_an_eager_call_says_once_which_jax_its_cache_needs(name: str, missing: Missing) -> None:
    _, backend = missing
    with pytest.warns(RuntimeWarning) as warned:
        walk(backend, WEIGHT)
    (message,) = [str(each.message) for each in warned]
    assert message.startswith("each eager call compiles its loop again")
    assert f"needs jax 0.10: jax {jax.__version__} has no " in message
    assert name.replace(":", ".") in message
    walk(backend, WEIGHT)


def test_debug_info_may_have_moved() -> None:
    with without("polyrnn_jax", None, ImportError) as module:
        module._OF_DEBUG_INFO = "_replace_moved"
        backend = backend_of("polyrnn_jax", "JaxBackend")
        with pytest.warns(RuntimeWarning, match="has no .*debug_info._replace_moved"):
            walk(backend, WEIGHT)


@pytest.mark.parametrize("name", PRIVATE.uses[CACHE][:1])
@ignore_the_warning
def test_what_a_step_raises_is_raised(name: str, missing: Missing) -> None:
    def fails(x: Any, states: list[Any]) -> Any:
        raise KeyError("a step")

    with pytest.raises(KeyError, match="a step"):
        polyrnn.rnn(fails, INPUTS, [jnp.zeros((2, 3))], backend=missing[1])


@pytest.mark.parametrize("name", PRIVATE.uses[VARYING])
def test_zeros_within_shard_map_are_right_or_refused(name: str, missing: Missing) -> None:
    backend: Backend = missing[1]
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.PartitionSpec("batch")

    def last(inputs: Any, mask: Any) -> Any:
        start = [inputs[:, 0]]
        return polyrnn.rnn(
            lambda x, states: (x * 2, [states[0] + x]), inputs, start, mask=mask, backend=backend
        )[1]

    sharded = jax.shard_map(last, mesh=mesh, in_specs=(split, split), out_specs=split)
    with pytest.raises(TypeError) as raised:
        sharded(INPUTS, MASK)
    notes = "".join(raised.value.__notes__)
    assert f"needs jax 0.10: jax {jax.__version__} has no jax.core.ShapedArray" in notes


def test_nothing_is_missing_here() -> None:
    assert not [name for use in PRIVATE.uses for name in PRIVATE.missing(use)]
    assert not missing_of_cache()


def test_private_names_are_in_one_module() -> None:
    pattern = r"jax\._src|jax\.extend|\._trace\b|manual_axis_type|jax\.core\.(?!Tracer)"
    assert not private_uses("polyrnn_jax", pattern)
