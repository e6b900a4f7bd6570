"""How the conformance suite drives JAX: eagerly and compiled, with 64-bit types."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax

from polyrnn import Backend
from polyrnn_conformance.harness import Capability, Function, Harness, StepCalls


class JaxHarness(Harness):
    """Runs functions as they are, and under ``jax.jit``.

    Args:
        backend: The backend under test.

    It turns ``jax_enable_x64`` on for the process: without it JAX has no float64, in
    which the suite compares gradients, and no complex128.
    """

    limitations: ClassVar[Mapping[Capability, str]] = {}
    modes: ClassVar[tuple[str, ...]] = ("eager", "jit")

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        jax.config.update("jax_enable_x64", True)

    def step_calls(self, mode: str) -> StepCalls:
        return "traced"

    def run(self, mode: str, function: Function, tensors: Sequence[Any]) -> list[Any]:
        return list((jax.jit(function) if mode == "jit" else function)(*tensors))

    def gradients(
        self, mode: str, function: Callable[..., Any], tensors: Sequence[Any]
    ) -> list[Any]:
        gradient = jax.grad(function, argnums=tuple(range(len(tensors))))
        return list((jax.jit(gradient) if mode == "jit" else gradient)(*tensors))
