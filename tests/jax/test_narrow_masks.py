"""Test that a tiny or huge number in a mask is true, although JAX would convert it to zero."""

from typing import Any

import jax
import numpy as np
import pytest

import polyrnn


@pytest.mark.parametrize("value", [1e-300, 2**32, 1e-300j])
@pytest.mark.parametrize("kind", [np.array, list, tuple])
def test_what_is_not_zero_counts(value: Any, kind: Any) -> None:
    mask = kind([[value, 0, value]])
    with jax.enable_x64(False):
        counted = polyrnn.rnn(
            lambda x, states: (x, [states[0] + 1]),
            np.ones((1, 3, 1), np.float32),
            np.zeros((1, 1), np.float32),
            mask=mask,
            backend="jax",
        )[2][0]
    assert counted.tolist() == [[2.0]]
