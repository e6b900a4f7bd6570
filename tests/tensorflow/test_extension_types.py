"""Test that an instance of `tf.experimental.ExtensionType` is a nest of its tensors."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import polyrnn

BATCH, TIME, WIDTH = 2, 3, 4
X = tf.reshape(tf.range(24, dtype=tf.float32), (BATCH, TIME, WIDTH))
H = tf.zeros((BATCH, WIDTH))
MASK = tf.constant([[True, False, True], [True, True, False]])


class Pair(tf.experimental.ExtensionType):
    h: tf.Tensor
    c: tf.Tensor
    unit: str = "metre"


class Nested(tf.experimental.ExtensionType):
    pair: Pair
    several: tuple[tf.Tensor, int, tf.Tensor]
    named: Mapping[str, tf.Tensor]
    scale: float

    def __init__(self, x: Any, scale: float = 2.0) -> None:
        self.pair = Pair(x, -x)
        self.several = (x + 1, 7, x + 2)
        self.named = {"b": x + 3, "a": x + 4}
        self.scale = scale

    def __validate__(self) -> None:
        assert self.pair.h.shape[-1] == WIDTH


class Derived(Pair):
    extra: tf.Tensor


class Ragged(tf.experimental.ExtensionType):
    values: tf.RaggedTensor


MODES: dict[str, Callable[[Any], Any]] = {
    "eager": lambda f: f,
    "function": tf.function,
    "xla": lambda f: tf.function(f, jit_compile=True),
}
IN_EVERY_MODE = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def parts(value: Nested) -> list[Any]:
    return [value.pair.h, value.pair.c, value.several[0], value.several[2], *value.named.values()]


@IN_EVERY_MODE
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_inputs_states_and_outputs_may_be_extension_types(mode: Any, masked: bool) -> None:
    def step(x: Nested, states: list[Any]) -> Any:
        assert isinstance(x, Nested)
        assert (x.several[1], x.scale, x.pair.unit) == (7, 2.0, "metre")
        (pair,) = states
        total = Pair(pair.h + x.pair.h, pair.c + x.named["a"])
        return x, [total]

    mask = MASK if masked else None
    last, outputs, (state,) = mode(
        lambda x, h: polyrnn.rnn(step, Nested(x), [Pair(h, h)], mask=mask)
    )(X, H)
    assert isinstance(outputs, Nested)
    assert isinstance(last, Nested)
    assert isinstance(state, Pair)
    assert (outputs.several[1], outputs.scale) == (7, 2.0)
    for part, name in zip(parts(outputs), parts(Nested(X)), strict=True):
        expected = polyrnn.rnn(lambda x, states: (x, states), name, [H], mask=mask)[1]
        np.testing.assert_array_equal(part, expected)
    weights = tf.cast(MASK if masked else tf.ones_like(MASK), tf.float32)[..., None]
    np.testing.assert_allclose(state.h, tf.reduce_sum(X * weights, 1))
    np.testing.assert_allclose(state.c, tf.reduce_sum((X + 4) * weights, 1))


@IN_EVERY_MODE
def test_a_state_that_is_one_is_the_only_state(mode: Any) -> None:
    def step(x: Any, states: list[Any]) -> Any:
        (state,) = states
        return state, Derived(h=state.h + x, c=state.c, extra=state.extra)

    def run(x: Any, h: Any) -> Any:
        return polyrnn.rnn(step, x, Derived(h=h, c=h, extra=h))

    last, _, (state,) = mode(run)(X, H)
    assert isinstance(last, Derived)
    np.testing.assert_allclose(state.h, tf.reduce_sum(X, 1))


@IN_EVERY_MODE
def test_gradients_pass_through_extension_types(mode: Any) -> None:
    def slope(x: Any, h: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            last, _, _ = polyrnn.rnn(
                lambda x, states: (Pair(x.h * 2, x.c), states), Pair(x, x), [h]
            )
            total = tf.reduce_sum(last.h)
        return tape.gradient(total, x)

    np.testing.assert_array_equal(mode(slope)(X, H)[:, :, 0], [[0, 0, 2]] * BATCH)


def test_fields_that_are_not_tensors_are_part_of_the_structure() -> None:
    def step(x: Any, states: list[Any]) -> Any:
        return x, [Pair(states[0].h, states[0].c, unit="inch")]

    with pytest.raises(ValueError, match=r"state \[0\]: step returned Pair\(.*'inch'.*'metre'"):
        polyrnn.rnn(step, X, [Pair(H, H)])


def test_a_fault_is_named_by_its_path() -> None:
    faulty = Nested(X)
    faulty.__dict__["several"] = (X, 7, X[:, :2])
    with pytest.raises(ValueError, match=r"^inputs\.several\[2\]: expected time 3 as in "):
        polyrnn.rnn(lambda x, states: (x, states), faulty, [])


def test_tensors_with_parts_are_no_nests() -> None:
    ragged = tf.ragged.constant([[[1.0]], [[2.0]]])
    with pytest.raises(TypeError, match=r"^inputs\.values: expected a tensor, got .*RaggedTensor"):
        polyrnn.rnn(lambda x, states: (x, states), Ragged(ragged), [])
    for part in (ragged, tf.sparse.from_dense([[[1.0]], [[2.0]]])):
        with pytest.raises(TypeError, match=r"^inputs: expected a tensor"):
            polyrnn.rnn(lambda x, states: (x, states), part, [])


def test_a_type_may_be_seen_first_by_several_threads_at_once() -> None:
    kinds = [
        type(
            f"Kind{number}", (tf.experimental.ExtensionType,), {"__annotations__": {"x": tf.Tensor}}
        )
        for number in range(30)
    ]
    failures: list[Exception] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        for kind in kinds:
            barrier.wait()
            try:
                outputs = polyrnn.rnn(lambda x, states: (x, states), kind(X), [])[1]
                assert isinstance(outputs, kind)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
