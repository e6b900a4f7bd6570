"""Test that objects with ``__jax_array__`` are tensors, and that descriptions of arrays are not."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import polyrnn

X, H = jnp.ones((2, 3, 4)), jnp.zeros((2, 4))


class Parameter:
    """An object with ``__jax_array__``, like the variables of Keras."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __jax_array__(self) -> Any:
        return self.array


def running_sum(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    total = states[0] + x
    return total, [total]


def test_what_stands_for_an_array_has_a_gradient() -> None:
    def last(start: Any) -> Any:
        return polyrnn.rnn(running_sum, X, [Parameter(start)])[0].sum()

    np.testing.assert_array_equal(jax.grad(last)(H), np.ones((2, 4)))


def test_a_description_of_an_array_is_none() -> None:
    with pytest.raises(TypeError) as caught:
        polyrnn.rnn(running_sum, jax.ShapeDtypeStruct((2, 3, 4), "float32"), [H])
    assert str(caught.value).startswith(
        "inputs: expected a tensor, got jax.ShapeDtypeStruct, which cannot be made one of jax: "
        "TypeError: "
    )
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_deep_nests_are_refused(depth: int) -> None:
    nest: Any = H
    for _ in range(depth):
        nest = [nest]
    try:
        with pytest.raises(ValueError, match=r"^initial_states: expected a nest of at most 128"):
            polyrnn.rnn(running_sum, X, nest, backend="jax")
    finally:
        while isinstance(nest, list):
            nest = nest.pop()
