"""Test that the cache of compiled loops is bounded, keeps no array alive, and is thread-safe."""

import gc
import resource
import threading
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import polyrnn
from polyrnn_jax.loop_cache import LoopCache

INPUTS = jnp.ones((2, 3, 4))


def _call(weight: Any) -> Any:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        new = jnp.tanh(x * weight + states[0])
        return new, [new]

    return polyrnn.rnn(step, INPUTS, [jnp.zeros((2, 4))])[1]


def _run(cache: LoopCache, function: Any, *arguments: Any) -> Any:
    return cache.run(jax.make_jaxpr(function, return_shape=True)(*arguments), *arguments)


def test_the_least_recently_used_is_forgotten(compilations: Any) -> None:
    cache = LoopCache(capacity=2)

    def compiles(power: int) -> bool:
        compilations.since_last()
        assert _run(cache, lambda x: x**power, jnp.float32(2.0)) == 2.0**power
        return bool(compilations.since_last() > 0)

    assert [compiles(power) for power in (2, 3, 2, 4, 2, 3)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    assert len(cache) == 2


def test_no_array_is_kept_alive() -> None:
    weight = jnp.full(4, 0.5)
    released = weakref.ref(weight)
    _call(weight)
    jax.grad(lambda weight: _call(weight).sum())(weight)
    del weight
    gc.collect()
    assert released() is None


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _by_argument(x: Any, factor: Any) -> Any:
    return x * factor


_by_argument.defjvp(lambda factor, primals, tangents: (primals[0] * factor, tangents[0] * factor))


class _Module:
    """An object with a weight that a derivative rule reads."""

    def __init__(self, factor: Any) -> None:
        self.factor = factor

    def rule(self, primals: Any, tangents: Any) -> Any:
        return primals[0] * self.factor, tangents[0] * self.factor


def _by_closure(x: Any, factor: Any) -> Any:
    scaled = jax.custom_jvp(lambda x: x * factor)
    scaled.defjvp(lambda primals, tangents: (primals[0] * factor, tangents[0] * factor))
    return scaled(x)


def _by_method(x: Any, factor: Any) -> Any:
    scaled = jax.custom_jvp(lambda x: x * factor)
    scaled.defjvp(_Module(factor).rule)
    return scaled(x)


@pytest.mark.parametrize("scaled", [_by_closure, _by_method])
def test_a_rule_may_read_tracers_of_an_outer_transformation(scaled: Any) -> None:
    cache = LoopCache(capacity=8)

    def slope(factor: Any) -> Any:
        return jax.grad(lambda x: _run(cache, lambda x: scaled(x, factor), x))(jnp.float32(1.0))

    assert jax.vmap(slope)(jnp.array([2.0, 3.0])).tolist() == [2.0, 3.0]
    assert jax.jit(slope)(jnp.float32(3.0)) == 3.0
    assert jax.grad(slope)(jnp.float32(3.0)) == 1.0
    assert len(cache) == 0


def test_a_tracer_that_is_a_static_argument_is_not_kept() -> None:
    cache = LoopCache(capacity=8)
    scaled = jax.vmap(lambda factor: _run(cache, lambda x: _by_argument(x, factor), jnp.float32(2)))
    assert scaled(jnp.array([2.0, 3.0])).tolist() == [4.0, 6.0]
    assert len(cache) == 0


def test_what_has_symbolic_sizes_is_not_kept() -> None:
    cache = LoopCache(capacity=8)
    (size,) = jax.export.symbolic_shape("size")
    exported = jax.export.export(jax.jit(lambda x: _run(cache, lambda x: x + 1, x)))(
        jax.ShapeDtypeStruct((size,), "float32")
    )
    assert exported.call(np.zeros(2, np.float32)).tolist() == [1.0, 1.0]
    assert len(cache) == 0


def test_threads_compile_one_loop_between_them() -> None:
    cache = LoopCache(capacity=8)
    results: dict[int, Any] = {}
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        weight = jnp.float32(number)
        barrier.wait()
        results[number] = _run(cache, lambda x: x * 3 + weight, jnp.float32(2.0))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: float(result) for number, result in results.items()} == {
        number: 6.0 + number for number in range(8)
    }
    assert len(cache) == 1


def test_five_hundred_fresh_closures_leave_memory_flat() -> None:
    def megabytes() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20

    for number in range(50):
        _call(np.float32(number))
    before = megabytes()
    for number in range(500):
        _call(np.float32(number) * jnp.ones(4))
    gc.collect()
    # Plain lax.scan keeps more than a megabyte for each such call.
    assert megabytes() - before < 4
