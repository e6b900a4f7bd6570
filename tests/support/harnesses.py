"""Harnesses of numpy with right or wrong declarations; the suite loads them by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

import polyrnn_numpy.backend
from polyrnn_conformance.harness import Capability, Function, Harness
from polyrnn_numpy.harness import NumpyHarness

MISSING = NumpyHarness.limitations


class Differentiating(NumpyHarness):
    """Differentiates by finite differences, and declares it."""

    limitations: ClassVar[Mapping[Capability, str]] = {
        capability: sentence
        for capability, sentence in MISSING.items()
        if capability != "gradients"
    }

    def gradients(
        self, mode: str, function: Callable[..., Any], tensors: Sequence[Any]
    ) -> list[Any]:
        return [
            self._gradient(function, list(tensors), position) for position in range(len(tensors))
        ]

    def _gradient(self, function: Callable[..., Any], tensors: list[Any], position: int) -> Any:
        x, gradient, step = tensors[position], np.zeros_like(tensors[position]), 1e-6
        for index in np.ndindex(x.shape):
            ends = []
            for shift in (step, -step):
                shifted = x.copy()
                shifted[index] += shift
                ends.append(function(*tensors[:position], shifted, *tensors[position + 1 :]))
            gradient[index] = (ends[0] - ends[1]) / (2 * step)
        return gradient


class Modest(Differentiating):
    """Differentiates, and declares that it does not."""

    limitations: ClassVar[Mapping[Capability, str]] = MISSING


class Boasting(NumpyHarness):
    """Does not differentiate, and declares that it does."""

    limitations: ClassVar[Mapping[Capability, str]] = Differentiating.limitations


class Compiling(NumpyHarness):
    """Has a second mode, and declares that there is none."""

    modes: ClassVar[tuple[str, ...]] = ("eager", "again")

    def run(self, mode: str, function: Function, tensors: Sequence[Any]) -> list[Any]:
        return function(*tensors)


class NotCompiling(NumpyHarness):
    """Has one mode, and declares a second."""

    limitations: ClassVar[Mapping[Capability, str]] = {
        "gradients": MISSING["gradients"],
        "unknown_shapes": MISSING["unknown_shapes"],
    }


class KnowingShapes(NumpyHarness):
    """Has a mode of unknown shapes, and declares that there is none."""

    modes: ClassVar[tuple[str, ...]] = ("eager", "unknown")
    unknown_shape_modes: ClassVar[tuple[str, ...]] = ("unknown",)
    limitations: ClassVar[Mapping[Capability, str]] = {
        "gradients": MISSING["gradients"],
        "unknown_shapes": MISSING["unknown_shapes"],
    }


class Misspelling(NumpyHarness):
    """Declares a limitation of an unknown capability."""

    limitations: ClassVar[Mapping[Any, str]] = {**MISSING, "gradient": "It is misspelt."}


class Speechless(NumpyHarness):
    """Declares a limitation without a reason."""

    limitations: ClassVar[Mapping[Capability, str]] = {**MISSING, "gradients": ""}


class FewerDtypes(NumpyHarness):
    """Has float16, and does not list it."""

    dtypes: ClassVar[tuple[str, ...]] = tuple(name for name in Harness.dtypes if name != "float16")


class RealBackend(polyrnn_numpy.backend.NumpyBackend):
    """A backend without complex numbers."""

    def convert(self, value: Any, like: Any = None) -> Any:
        tensor = super().convert(value, like)
        if tensor.dtype.kind == "c":
            raise TypeError("there are no complex numbers here")
        return tensor


class Real(NumpyHarness):
    """Lists the dtypes of `RealBackend`."""

    dtypes: ClassVar[tuple[str, ...]] = tuple(
        name for name in Harness.dtypes if not name.startswith("complex")
    )
