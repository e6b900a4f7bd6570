"""One call of `polyrnn.rnn` as plain data, which runs on every framework."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import ml_dtypes
import numpy as np

from polyrnn_conformance.trees import Host, map_leaves

StepMaker = Callable[..., Callable[[Any, list[Any]], tuple[Any, Any]]]
"""``make(namespace, *weights)`` returns the step function for the framework of the namespace.

It may use ``log``, ``matmul``, ``sum``, ``tanh`` and ``where`` of the namespace.
"""


BEYOND = ("reset", "reset_states", "initial_output", "truncate_every", "checkpoint_every")
"""Arguments that ``tf.keras.backend.rnn`` does not have."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """The arguments of one call; arrays become tensors of the framework, `Host` values do not.

    Args:
        step: Makes the step function from the namespace and the weights.
        weights: The arrays that the step closes over.
        inputs: As for `polyrnn.rnn`, like all arguments below.
        initial_states: The states before the first step.
        go_backwards: The direction of the walk.
        mask: Which steps count.
        constants: What each step gets besides the states.
        unroll: How the loop runs.
        input_length: How many steps count.
        time_major: The layout.
        zero_output_for_mask: What a masked step puts out.
        return_all_outputs: Which outputs are kept.
        reset: Where new sequences begin.
        reset_states: The states with which they begin.
        initial_output: What masked steps put out before the first valid one.
        truncate_every: Through how many steps gradients flow.
        checkpoint_every: How many steps are computed again together in the backward pass.
    """

    step: StepMaker
    weights: tuple[Any, ...] = ()
    inputs: Any
    initial_states: Any
    go_backwards: Any = False
    mask: Any = None
    constants: Any = None
    unroll: Any = False
    input_length: Any = None
    time_major: Any = False
    zero_output_for_mask: Any = False
    return_all_outputs: Any = True
    reset: Any = None
    reset_states: Any = None
    initial_output: Any = None
    truncate_every: Any = None
    checkpoint_every: Any = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `polyrnn.rnn` except the step function, by name.

        Those that ``tf.keras.backend.rnn`` does not have are left out where they are `None`, so
        that other implementations of that interface can be called, too.
        """
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value
            for name, value in given.items()
            if name not in ("step", "weights") and not (name in BEYOND and value is None)
        }

    def in_dtype(self, dtype: str) -> "Call":
        """Return the same call with all real floating-point arrays cast to another dtype."""

        def cast(leaf: Any) -> Any:
            is_real = isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"
            return leaf.astype(dtype) if is_real else leaf

        changed = {
            field.name: map_leaves(cast, getattr(self, field.name))
            for field in fields(self)
            if field.name != "step"
        }
        return replace(self, **changed)


def on_host(tree: Any) -> Any:
    """Return a nest for the reference, with each `Host` replaced by its value."""
    return map_leaves(lambda leaf: leaf.value if isinstance(leaf, Host) else leaf, tree)


def wave(*shape: int, dtype: str = "float32", phase: float = 0.0) -> np.ndarray[Any, Any]:
    """Return an array of irregular, reproducible values between -1 and 1.

    Args:
        *shape: The shape.
        dtype: A floating-point or complex dtype.
        phase: Each value gives a different array.
    """
    count = int(np.prod(shape))
    values = np.sin(1.7 * np.arange(count) ** 1.1 + 1.0 + phase)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * np.cos(values + phase)
    return np.asarray(values.reshape(shape), dtype)


def digits(*shape: int, dtype: str = "int32", phase: int = 0) -> np.ndarray[Any, Any]:
    """Return an array of whole numbers from 0 to 3 in any dtype; for bool, of both values.

    Args:
        *shape: The shape.
        dtype: Any dtype.
        phase: Each value gives a different array.
    """
    count = int(np.prod(shape))
    values = (np.arange(count) * 7 + np.arange(count) // 3 + phase) % 4
    if dtype == "bool":
        values = values // 2
    return values.reshape(shape).astype(dtype)


def array_of(values: Any, dtype: str) -> np.ndarray[Any, Any]:
    """Return an array of any of the dtypes, including those that NumPy does not know by name."""
    return np.asarray(values).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
