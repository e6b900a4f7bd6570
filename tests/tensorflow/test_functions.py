"""Test that the namespace of the tensorflow backend agrees with NumPy, and keeps dtypes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import polyrnn
from polyrnn_tensorflow import functions

FLOATS = ["float16", "bfloat16", "float32", "float64"]
X = np.array([[0.5, -1.25, 2.0], [1.5, 0.25, -0.75]])
Y = np.array([[0.25, 1.5, -2.0], [2.5, 0.75, 1.25]])
MATRIX = np.array([[0.5, 1.0], [-1.5, 0.25], [2.0, 0.75]])

MODES: dict[str, Callable[[Any], Any]] = {
    "eager": lambda f: f,
    "function": lambda f: tf.function(f, autograph=False),
    "xla": lambda f: tf.function(f, jit_compile=True, autograph=False),
}

Call = Callable[..., Any]


def named(names: str, call: Callable[..., Any], note: str = "") -> dict[str, Call]:
    """Return one call for each named function; the first argument of `call` is the function."""
    return {
        name + note: lambda ns, *tensors, name=name: call(getattr(ns, name), *tensors)
        for name in names.split()
    }


UNARY = (
    "abs ceil cos cosh exp expm1 floor isfinite isinf isnan negative ones_like sign sin sinh "
    "square tan tanh zeros_like"
)
BINARY = (
    "add divide equal greater greater_equal less less_equal maximum minimum multiply not_equal "
    "subtract"
)
REDUCTIONS = "amax amin max mean min prod sum"

CALLS: dict[str, Call] = {
    **named(UNARY, lambda f, x, y, m: f(x)),
    **named("log log1p sqrt", lambda f, x, y, m: f(abs(x))),
    **named(BINARY, lambda f, x, y, m: f(x, y)),
    **named("power", lambda f, x, y, m: f(abs(x), y)),
    **named("add maximum multiply", lambda f, x, y, m: f(0.25, x), " of a number first"),
    **named("divide power subtract", lambda f, x, y, m: f(2, abs(x)), " of an integer first"),
    **named("maximum power", lambda f, x, y, m: f(abs(x), 0.5), " of a number second"),
    **named("logical_not", lambda f, x, y, m: f(x > y)),
    **named("logical_and logical_or logical_xor", lambda f, x, y, m: f(x > y, x > 0.0)),
    **named("all any", lambda f, x, y, m: f(x > y, axis=0)),
    **named(REDUCTIONS, lambda f, x, y, m: f(x), " of all"),
    **named(REDUCTIONS, lambda f, x, y, m: f(x, axis=-1, keepdims=True), " along an axis"),
    **named("where", lambda f, x, y, m: f(x > y, x, y)),
    **named("where", lambda f, x, y, m: f(x > y, 0.0, y), " with a number first"),
    **named("where", lambda f, x, y, m: f(x > y, x, 0.0), " with a number second"),
    **named("matmul", lambda f, x, y, m: f(x, m)),
    **named("matmul", lambda f, x, y, m: f(x[None], m), " of stacks"),
    **named("matmul", lambda f, x, y, m: f(x, y[0]), " by a vector"),
    **named("matmul", lambda f, x, y, m: f(x[0], m[None]), " of a vector"),
    **named("matmul", lambda f, x, y, m: f(x[0], y[0]), " of vectors"),
    **named("concat concatenate stack", lambda f, x, y, m: f([x, y])),
    **named("concat concatenate stack", lambda f, x, y, m: f((x, y), axis=-1), " at the end"),
    **named("broadcast_to", lambda f, x, y, m: f(x, (4, 2, 3))),
    **named("clip", lambda f, x, y, m: f(x, -1.0, 1.0)),
    **named("einsum", lambda f, x, y, m: f("bi,ij->bj", x, m)),
    **named("expand_dims", lambda f, x, y, m: f(x, 1)),
    **named("reshape", lambda f, x, y, m: f(x, (3, 2))),
    **named("take", lambda f, x, y, m: f(x, [1, 0, 1], axis=0)),
    **named("squeeze", lambda f, x, y, m: f(x[:, None], 1)),
    **named("tensordot", lambda f, x, y, m: f(x, m, 1)),
    **named("ones zeros", lambda f, x, y, m: f((2, 3), x.dtype)),
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_agree_with_numpy_and_keep_the_dtype(mode: Any, dtype: str) -> None:
    kind = tf.as_dtype(dtype)
    arrays = [array.astype(kind.as_numpy_dtype) for array in (X, Y, MATRIX)]
    tensors = [tf.constant(array) for array in arrays]
    given = mode(lambda *tensors: {name: call(functions, *tensors) for name, call in CALLS.items()})
    for name, result in given(*tensors).items():
        expected = CALLS[name](np, *(array.astype(np.float64) for array in arrays))
        assert result.dtype == (tf.bool if expected.dtype == bool else kind), name
        assert result.shape == expected.shape, name
        np.testing.assert_allclose(
            tf.cast(result, tf.float64),
            expected,
            rtol=4 * float(np.exp2(-{"float16": 10, "bfloat16": 7}.get(dtype, 20))),
            atol=2e-2 if kind.size == 2 else 1e-6,
            err_msg=name,
        )


def test_the_calls_cover_what_there_is() -> None:
    public = {
        name
        for name, value in vars(functions).items()
        if callable(value) and not name.startswith("_") and name not in NOT_FUNCTIONS
    }
    assert public == {name.partition(" ")[0] for name in CALLS}


NOT_FUNCTIONS = {"Any", "Callable", "left_alone"}


def test_a_number_that_the_dtype_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        functions.maximum(0.5, tf.constant([1, 2]))


@pytest.mark.parametrize("make", [tf.constant, tf.Variable])
def test_the_namespace_is_found_by_a_tensor(make: Any) -> None:
    assert polyrnn.namespace(make(1.0)) is functions
