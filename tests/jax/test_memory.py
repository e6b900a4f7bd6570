"""Test that a call keeps no weight, closure or trace alive after it returns."""

import copy
import gc
import pickle
import resource
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sampling import one_of

import polyrnn
from polyrnn_jax.backend import JaxBackend

INPUTS, STATE = jnp.ones((2, 3, 4)), jnp.zeros((2, 4))
MASK = jnp.array([[True, False, True], [True, True, False]])
NUMPY_MASK = np.array([[True, False], [True, True]])

Cell = Callable[[Any, Any], Any]


def _product(x: Any, weight: Any) -> Any:
    return x * weight


def _with_callback(x: Any, weight: Any) -> Any:
    scale = np.ones(4, np.float32)
    return jax.pure_callback(lambda x: x * scale, x, x) * weight


def _with_method(x: Any, weight: Any) -> Any:
    class Scale:
        def __init__(self) -> None:
            self.factor = np.ones(4, np.float32)

        def apply(self, x: Any) -> Any:
            return x * self.factor

    return jax.pure_callback(Scale().apply, x, x) * weight


def _with_vjp(x: Any, weight: Any) -> Any:
    slope = jnp.ones(4)
    double = jax.custom_vjp(lambda x: x * 2)
    double.defvjp(lambda x: (x * 2, None), lambda _, g: (g * slope,))
    return double(x) * weight


def _with_jvp(x: Any, weight: Any) -> Any:
    slope = np.ones(4, np.float32)
    double = jax.custom_jvp(lambda x: x * 2)
    double.defjvp(lambda primals, tangents: (primals[0] * 2, tangents[0] * slope))
    return double(x) * weight


def _with_jvps(x: Any, weight: Any) -> Any:
    slope = np.ones(4, np.float32)
    double = jax.custom_jvp(lambda x: x * 2)
    double.defjvps(lambda tangent, _, x: tangent * slope)
    return double(x) * weight


def _compiled(x: Any, weight: Any) -> Any:
    return jax.jit(lambda x: jax.jit(lambda x: jnp.tanh(x) * weight)(x) + 1)(x)


def _compiled_within(x: Any, weight: Any) -> Any:
    return jax.lax.cond(x[0, 0] > 0, jax.jit(lambda x: x * weight), lambda x: x, x)


def _nested(x: Any, weight: Any) -> Any:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        new = jnp.tanh(x * weight + states[0])
        return new, [new]

    return polyrnn.rnn(step, jnp.stack([x, x], axis=1), [x], mask=NUMPY_MASK)[0]


CELLS: dict[str, Cell] = {
    "plain": _product,
    "nested": _nested,
    "callback": _with_callback,
    "method": _with_method,
    "custom_vjp": _with_vjp,
    "custom_jvp": _with_jvp,
    "custom_jvp-by-argument": _with_jvps,
    "compiled": _compiled,
    "compiled-within": _compiled_within,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "masked": {"mask": MASK},
    "last": {"return_all_outputs": False},
}


class _StepError(Exception):
    """An error that the steps of these tests raise."""


def _outputs(weight: Any, cell: Cell = _product, **options: Any) -> Any:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        new = jnp.tanh(cell(x, weight) + states[0])
        return new, [new]

    return polyrnn.rnn(step, INPUTS, [STATE], **options)[1]


def _slope(weight: Any, cell: Cell = _product, **options: Any) -> Any:
    return jax.grad(lambda weight: _outputs(weight, cell, **options).sum())(weight)


def _raising(weight: Any, at_trace: int = 1, **options: Any) -> None:
    traces = []

    def cell(x: Any, weight: Any) -> Any:
        traces.append(1)
        if len(traces) == at_trace:
            raise _StepError
        return x * weight

    with pytest.raises(_StepError):
        _outputs(weight, cell, **options)


CALLS: dict[str, Callable[[Any], Any]] = {
    **{
        f"{name}-{way}": partial(_outputs, cell=cell, **options)
        for name, cell in CELLS.items()
        for way, options in OPTIONS.items()
    },
    **{
        f"gradient-{name}-{way}": partial(_slope, cell=cell, **options)
        for name, cell in CELLS.items()
        if name not in ("callback", "method")
        for way, options in OPTIONS.items()
    },
    **{f"raising-{way}": partial(_raising, **options) for way, options in OPTIONS.items()},
    "raising-in-its-second-trace": partial(_raising, at_trace=2, mask=MASK),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_a_step_closes_over_is_freed(call: Callable[[Any], Any]) -> None:
    released = []
    for number in range(3):
        weight = jnp.full(4, 0.5 + number)
        released.append(weakref.ref(weight))
        call(weight)
        del weight
    gc.collect()
    assert [reference() for reference in released] == [None] * 3


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


# Calls that compile are slow, so fewer of them are made.
COUNTS = {
    **dict.fromkeys(["plain-all", "plain-masked", "plain-last"], 1000),
    **dict.fromkeys(["gradient-plain-masked", "compiled-masked", "nested-masked"], 250),
    **dict.fromkeys(["raising-all", "raising-masked", "raising-in-its-second-trace"], 500),
    **dict.fromkeys(["callback-masked", "custom_vjp-masked", "gradient-custom_vjp-masked"], 30),
}


@pytest.mark.parametrize(("name", "count"), one_of(2, COUNTS.items(), COUNTS))
def test_calls_do_not_leak(name: str, count: int) -> None:
    call = CALLS[name]
    weight = jnp.full(4, 0.5)
    # JAX keeps some objects for each compiled function, and fills caches of bounded size.
    for _ in range(20):
        call(weight)
    gc.collect()
    objects, megabytes = len(gc.get_objects()), _megabytes()
    for number in range(count):
        call(weight + number)
    gc.collect()
    assert len(gc.get_objects()) - objects < 5 * count + 2000
    # An aborted trace or a compiled loop that is kept takes 7 kB to 4 MB for each call.
    assert _megabytes() - megabytes < max(10, 0.003 * count)


def _cell_with_slope(slope: Any) -> Cell:
    def cell(x: Any, weight: Any) -> Any:
        double = jax.custom_vjp(lambda x: x * 2)
        double.defvjp(lambda x: (x * 2, None), lambda _, g: (g * slope,))
        return double(x) * weight

    return cell


def test_the_closure_of_a_rule_is_freed() -> None:
    slope = np.ones(4, np.float32)
    released = weakref.ref(slope)
    _outputs(jnp.ones(4), _cell_with_slope(slope))
    _slope(jnp.ones(4), _cell_with_slope(slope))
    del slope
    gc.collect()
    assert released() is None


class _Scale:
    """A callback that holds an array."""

    def __init__(self) -> None:
        self.factor = np.ones(4, np.float32)

    def __call__(self, x: Any) -> Any:
        return x * self.factor


@pytest.mark.parametrize("calls", [1, 3])
def test_a_callback_that_was_used_again_is_freed(calls: int) -> None:
    scale: Any = _Scale()
    released = weakref.ref(scale)
    for _ in range(calls):
        _outputs(jnp.ones(4), lambda x, _: jax.pure_callback(scale, x, x))
    scale = None
    gc.collect()
    assert released() is None


def _double(x: Any) -> Any:
    return np.asarray(x) * 2


_scale = _Scale()


@pytest.mark.parametrize(
    "callback",
    [_double, _scale, partial(np.multiply, np.float32(2)), np.negative],
    ids=["function", "object", "partial", "ufunc"],
)
def test_a_callback_of_a_module_is_compiled_once(callback: Any, compilations: Any) -> None:
    backend = JaxBackend()
    for compiles in (True, False, False):
        compilations.since_last()
        _outputs(jnp.ones(4), lambda x, _: jax.pure_callback(callback, x, x), backend=backend)
        assert (compilations.since_last() > 0) == compiles


def test_a_callback_without_a_closure_is_that_of_the_call_before(compilations: Any) -> None:
    backend = JaxBackend()

    def cell(x: Any, weight: Any) -> Any:
        return jax.pure_callback(lambda x, power=2: np.asarray(x) ** power, x, x)

    _outputs(jnp.ones(4), cell, backend=backend)
    compilations.since_last()
    _outputs(jnp.ones(4), cell, backend=backend)
    assert compilations.since_last() == 0


def test_an_object_that_a_module_no_longer_names_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = JaxBackend()
    scale: Any = _Scale()
    monkeypatch.setitem(globals(), "_another", scale)
    released = weakref.ref(scale)
    _outputs(jnp.ones(4), lambda x, _: jax.pure_callback(scale, x, x), backend=backend)
    assert len(backend._loops) == 1
    monkeypatch.undo()
    scale = None
    _outputs(jnp.ones(4), backend=backend)
    gc.collect()
    assert released() is None
    assert len(backend._loops) == 1


def test_a_weight_of_a_compiled_step_counts(compilations: Any) -> None:
    backend = JaxBackend()

    def call(weight: Any, **options: Any) -> Any:
        @jax.jit
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            new = jax.nn.relu(x * weight) + states[0]
            return new, [new]

        return polyrnn.rnn(step, INPUTS, [STATE], backend=backend, **options)[1]

    weights = jnp.array([[0.5], [2.0]])
    first = call(weights[0])
    compilations.since_last()
    second = call(weights[1])
    assert compilations.since_last() == 0
    np.testing.assert_allclose(first, call(weights[0], unroll=True), rtol=1e-6)
    np.testing.assert_allclose(second, call(weights[1], unroll=True), rtol=1e-6)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda backend: pickle.loads(pickle.dumps(backend)),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_backend_that_was_used_can_be_copied(copied: Any) -> None:
    backend: Any = JaxBackend()
    backend.note = "kept"
    expected = _outputs(jnp.ones(4), backend=backend, mask=MASK)
    other: Any = copied(backend)
    assert isinstance(other, JaxBackend)
    assert vars(other)["note"] == "kept"
    assert other._loops is not backend._loops
    assert len(other._loops) == 0
    np.testing.assert_array_equal(_outputs(jnp.ones(4), backend=other, mask=MASK), expected)
