"""The cache of compiled loops is bounded, keeps no array alive, and may be used by threads."""

import gc
import resource
import threading
import weakref
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import polyrnn
from polyrnn_jax.loop_cache import LoopCache

INPUTS = jnp.ones((2, 3, 4))


def _call(weight: Any) -> Any:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        new = jnp.tanh(x * weight + states[0])
        return new, [new]

    return polyrnn.rnn(step, INPUTS, [jnp.zeros((2, 4))])[1]


def test_the_least_recently_used_is_forgotten(compilations: Any) -> None:
    cache = LoopCache(capacity=2)

    def compiles(power: int) -> bool:
        compilations.since_last()
        assert cache.call(lambda x: x**power, jnp.float32(2.0)) == 2.0**power
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


def test_threads_compile_one_loop_between_them() -> None:
    cache = LoopCache(capacity=8)
    results: dict[int, Any] = {}
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        weight = jnp.float32(number)
        barrier.wait()
        results[number] = cache.call(lambda x: x * 3 + weight, jnp.float32(2.0))

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
