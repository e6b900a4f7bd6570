"""Test that errors found while the step is traced have the same text as on numpy."""

from typing import Any

import jax
import numpy as np
import pytest

import polyrnn

INPUTS = np.ones((2, 3, 4), np.float32)
STATES: list[Any] = [{"h": np.zeros((2, 4), np.float32)}, np.zeros((2,), np.int32)]

FAULTS: dict[str, Any] = {
    "dtype": lambda x, h, n: (x, [{"h": h.astype("float16")}, n]),
    "shape": lambda x, h, n: (x, [{"h": h[:, :1]}, n]),
    "rank": lambda x, h, n: (x, [{"h": h[:, 0]}, n]),
    "too-few-states": lambda x, h, n: (x, [{"h": h}]),
    "too-many-states": lambda x, h, n: (x, [{"h": h}, n, n]),
    "other-nest": lambda x, h, n: (x, [{"c": h}, n]),
    "none-for-a-state": lambda x, h, n: (x, [{"h": h}, None]),
    "no-pair": lambda x, h, n: x,
    "output-without-batch": lambda x, h, n: (x[0, 0], [{"h": h}, n]),
}


@pytest.mark.parametrize("unroll", [False, True], ids=["looped", "unrolled"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_error_of_the_step_has_the_text_of_numpy(fault: Any, unroll: bool) -> None:
    def step(x: Any, states: list[Any]) -> Any:
        return fault(x, states[0]["h"], states[1])

    def message(backend: str) -> str:
        with pytest.raises(ValueError, match=r".") as raised:
            polyrnn.rnn(step, INPUTS, STATES, mask=np.ones((2, 3)), unroll=unroll, backend=backend)
        return str(raised.value)

    assert message("jax") == message("numpy")


class _StepError(Exception):
    """An error that a user's step raises."""


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("mask", [None, np.ones((2, 3))], ids=["plain", "masked"])
def test_what_the_step_raises_is_not_wrapped(mask: Any, compiled: bool) -> None:
    error = _StepError("of the step")

    def step(x: Any, states: list[Any]) -> Any:
        raise error

    def run(x: Any) -> Any:
        return polyrnn.rnn(step, x, [STATES[0]["h"]], mask=mask, backend="jax")[1]

    with pytest.raises(_StepError) as raised:
        (jax.jit(run) if compiled else run)(INPUTS)
    assert raised.value is error
    assert "step" in [entry.name for entry in raised.traceback]
