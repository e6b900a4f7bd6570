"""The recurrent loops of Keras 3 and tf_keras, if they are installed."""

import importlib
import importlib.util
from typing import Any

from polyrnn_benchmark.framework import Loop, Step, Tensor
from polyrnn_benchmark.scenarios import BACKENDS, KERAS, TF_KERAS


def peers(backend: str) -> dict[str, Loop]:
    """Return the loops of the installed libraries that run on a backend.

    Keras uses one backend in each process, the one that ``KERAS_BACKEND`` names.

    Args:
        backend: The name of the backend.

    Returns:
        The loops by the name of their library.
    """
    found: dict[str, Loop] = {}
    if backend in BACKENDS and importlib.util.find_spec("keras") is not None:
        # Keras does not export the function that its recurrent layers call.
        found[KERAS] = _loop(importlib.import_module("keras.src.backend").rnn)
    if backend == "tensorflow" and importlib.util.find_spec("tf_keras") is not None:
        found[TF_KERAS] = _loop(importlib.import_module("tf_keras.backend").rnn)
    return found


def _loop(rnn: Any) -> Loop:
    def loop(
        step: Step, x: Tensor, states: list[Tensor], mask: Tensor = None, **constants: Any
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        last, outputs, new_states = rnn(step, x, states, mask=mask, **constants)
        return last, outputs, list(new_states)

    return loop
