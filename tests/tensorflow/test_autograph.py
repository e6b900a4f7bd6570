"""Test that AutoGraph does not convert polyrnn, and converts steps as without polyrnn."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import polyrnn

X = tf.reshape(tf.range(24, dtype=tf.float32), (2, 3, 4))
H = tf.zeros((2, 4))

PREAMBLE = """
import sys
import tensorflow as tf
import polyrnn

X, H = tf.ones((2, 3, 4)), tf.zeros((2, 4))
DOUBLE = True

def step(x, states):
    if DOUBLE:
        x = 2 * x
    return x + states[0], [x + states[0]]

@tf.function
def run(x):
{body}

print(float(run(X)[0, 0]), sum("__autograph_generated" in name for name in sys.modules))
"""
BODIES = {
    "rnn": "    return polyrnn.rnn(step, x, [H])[0]",
    "namespace": """
    def step(x, states):
        ns = polyrnn.namespace(x)
        total = ns.maximum(0.0, x + states[0]) + ns.matmul(x, tf.eye(4))
        return total, [total]
    return polyrnn.rnn(step, x, [H])[0]""",
    "use_backend": """
    with polyrnn.use_backend("tensorflow"):
        return polyrnn.rnn(step, x, [H])[0]""",
    "backends": """
    known = [backend.name for backend in polyrnn.backends()]
    return polyrnn.rnn(step, x, [H], backend=known[known.index("tensorflow")])[0]""",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_first_call_of_a_process_converts_the_function_of_the_user_only(
    body: str, tmp_path: Path
) -> None:
    # AutoGraph reads source code, so it needs a file.
    script = tmp_path / "script.py"
    script.write_text(PREAMBLE.format(body=body))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["6.0", "1"]
    assert "AutoGraph" not in done.stderr


def test_a_step_defined_in_the_function_is_converted() -> None:
    @tf.function
    def graph(x: Any) -> Any:
        def step(x: Any, states: list[Any]) -> Any:
            total = states[0]
            if tf.reduce_sum(x) > 70.0:
                total += x
            for _ in tf.range(2):
                total += 1.0
            return total, [total]

        return polyrnn.rnn(step, x, [H])[0]

    sums = X.numpy().sum((0, 2))
    expected = X.numpy()[:, sums > 70.0].sum(1) + 2 * X.shape[1]
    assert 0 < (sums > 70.0).sum() < X.shape[1]
    np.testing.assert_array_equal(graph(X), expected)


def test_a_step_that_is_a_graph_itself_may_branch_on_values() -> None:
    @tf.function
    def step(x: Any, states: list[Any]) -> Any:
        if tf.reduce_sum(x) > 70.0:
            return x, [states[0] + 1.0]
        return -x, [states[0]]

    _, outputs, states = tf.function(lambda x: polyrnn.rnn(step, x, [H]))(X)
    expected = polyrnn.rnn(step, X, [H])
    np.testing.assert_array_equal(outputs, expected[1])
    np.testing.assert_array_equal(states[0], expected[2][0])


def keeps(x: Any, states: list[Any]) -> Any:
    return x, [states[0]]


FAULTS: dict[str, tuple[type[Exception], Any, dict[str, Any]]] = {
    "rank": (ValueError, keeps, {"inputs": H}),
    "mask": (ValueError, keeps, {"mask": tf.ones((2, 4))}),
    "lengths": (ValueError, keeps, {"input_length": tf.ones(2)}),
    "flag": (TypeError, keeps, {"unroll": 1}),
    "not-a-tensor": (TypeError, keeps, {"initial_states": [object()]}),
    "state-shape": (ValueError, lambda x, states: (x, [x[:, :2]]), {}),
    "state-dtype": (ValueError, lambda x, states: (x, [tf.cast(x, tf.float16)]), {}),
    "state-nest": (ValueError, lambda x, states: (x, [{"h": x}]), {}),
    "state-count": (ValueError, lambda x, states: (x, [x, x]), {}),
    "no-pair": (ValueError, lambda x, states: x, {}),
}


@pytest.mark.parametrize(("error", "step", "wrong"), FAULTS.values(), ids=FAULTS)
def test_errors_keep_type_and_text_in_a_graph(
    error: type[Exception], step: Any, wrong: dict[str, Any]
) -> None:
    arguments = {"inputs": X, "initial_states": [H], "backend": "tensorflow", **wrong}
    with pytest.raises(error) as eager:
        polyrnn.rnn(step, **arguments)

    @tf.function
    def graph() -> Any:
        return polyrnn.rnn(step, **arguments)

    with pytest.raises(error) as traced:
        graph()
    assert type(traced.value) is type(eager.value) is error
    # AutoGraph prepends the place where the error was raised.
    assert str(traced.value).rstrip().endswith(str(eager.value))


def test_states_are_checked_in_the_body_of_a_loop() -> None:
    calls = 0

    def step(x: Any, states: list[Any]) -> Any:
        nonlocal calls
        calls += 1
        return x, [states[0] if calls == 1 else tf.cast(states[0], tf.float64)]

    with pytest.raises(ValueError, match=r"state \[0\]: step returned float64 .* for float32"):
        tf.function(lambda x: polyrnn.rnn(step, x, [H]))(X)


def test_what_a_step_raises_is_not_wrapped() -> None:
    def step(x: Any, states: list[Any]) -> Any:
        raise KeyError("from the step")

    with pytest.raises(KeyError, match=r"^'from the step'$"):
        polyrnn.rnn(step, X, [H])
    with pytest.raises(KeyError, match="from the step"):
        tf.function(lambda x: polyrnn.rnn(step, x, [H]))(X)


def test_the_errors_of_polyrnn_are_not_replaced_by_those_of_autograph() -> None:
    @tf.function
    def graph(x: Any) -> Any:
        return polyrnn.rnn(keeps, x, [H], backend="tensorflwo")

    with pytest.raises(polyrnn.UnknownBackendError, match="did you mean 'tensorflow'"):
        graph(X)
