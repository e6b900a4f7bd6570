"""How the conformance suite drives JAX: eagerly and compiled, with 64-bit types."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import jax

from polyrnn import Backend
from polyrnn_conformance.harness import Capability, Function, Harness, StepCalls


class JaxHarness(Harness):
    """Runs functions as they are, and under ``jax.jit``.

    Args:
        backend: The backend under test.

    It turns ``jax_enable_x64`` on for the whole process: without it JAX has no float64, in
    which the suite compares gradients, and no complex128. And it makes two devices of the CPU,
    unless JAX runs already.
    """

    limitations: ClassVar[Mapping[Capability, str]] = {
        "unknown_shapes": "A size that JAX does not know is a symbol, and agrees with no number.",
    }
    handwritten: ClassVar[str | None] = "polyrnn_jax.handwritten:JaxFramework"
    modes: ClassVar[tuple[str, ...]] = ("eager", "jit")

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        jax.config.update("jax_enable_x64", True)
        with suppress(RuntimeError):  # where JAX runs already it has the devices that it has
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
