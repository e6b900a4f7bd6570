"""The harness with which the conformance suite runs JAX: eagerly and compiled, in 64 bits."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import jax

from polyrnn import Backend
from polyrnn_conformance.harness import Capability, Function, Harness, StepCalls


class JaxHarness(Harness):
    """Runs functions eagerly and under ``jax.jit``.

    It enables ``jax_enable_x64`` for the whole process: without it JAX has neither float64, in
    which the suite compares gradients, nor complex128. Unless JAX is already initialized, the CPU
    is split into two devices.

    Args:
        backend: The backend under test.
    """

    limitations: ClassVar[Mapping[Capability, str]] = {
        "unknown_shapes": "JAX represents an unknown size by a symbol, which equals no number.",
    }
    handwritten: ClassVar[str | None] = "polyrnn_jax.handwritten:JaxFramework"
    modes: ClassVar[tuple[str, ...]] = ("eager", "jit")

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        jax.config.update("jax_enable_x64", True)
        with suppress(RuntimeError):  # JAX is already initialized
            jax.config.update("jax_num_cpu_devices", 2)
        self.devices = tuple(map(_name, jax.devices("cpu")))

    def step_calls(self, mode: str) -> StepCalls:
        return "traced"

    def register_node(
        self, kind: type, take_apart: Callable[[Any], Sequence[Any]], rebuild: Callable[..., Any]
    ) -> None:
        jax.tree_util.register_pytree_node(
            kind,
            lambda node: (tuple(take_apart(node)), None),
            lambda _, children: rebuild(*children),
        )

    def on_device(self, tensor: Any, device: str) -> Any:
        return jax.device_put(tensor, {_name(one): one for one in jax.devices("cpu")}[device])

    def device_of(self, tensor: Any) -> str:
        return ", ".join(map(_name, tensor.devices()))

    def run(self, mode: str, function: Function, tensors: Sequence[Any]) -> list[Any]:
        return list(_in_mode(mode, function)(*tensors))

    def gradients(
        self, mode: str, function: Callable[..., Any], tensors: Sequence[Any]
    ) -> list[Any]:
        gradient = jax.grad(function, argnums=tuple(range(len(tensors))))
        return list(_in_mode(mode, gradient)(*tensors))


def _name(device: Any) -> str:
    return f"{device.platform}:{device.id}"


def _in_mode(mode: str, function: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = jax.jit(function)
    return compiled if mode == "jit" else function
