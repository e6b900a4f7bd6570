"""The harness with which the conformance suite runs torch: eagerly and under torch.compile."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import torch

from polyrnn_conformance.harness import Capability, Function, Harness, StepCalls
from polyrnn_torch.backend import TorchBackend
from polyrnn_torch.eager_loop import SLICED_AT_ONCE
from polyrnn_torch.internals import unsupported

STEPS_PER_ROUND = 2
_FEW_STEPS: dict[str, Any] = {"steps_per_round": STEPS_PER_ROUND, "longest_written_out": 2}


class TorchHarness(Harness):
    """Runs functions eagerly, and compiled with ``torch.compile(fullgraph=True)``.

    The compiler traces functions but generates no code, which would take most of the time; the
    tests of polyrnn do that for fewer cases. Loops of more than two steps become a scan, so that
    the short loops of the suite test it.

    Args:
        backend: The backend under test.
    """

    limitations: ClassVar[Mapping[Capability, str]] = {
        "unknown_shapes": "torch.compile represents an unknown size by an integer like any other.",
    }
    handwritten: ClassVar[str | None] = "polyrnn_torch.handwritten:TorchFramework"
    modes: ClassVar[tuple[str, ...]] = ("eager", "compile")
    devices = ("cpu", "meta")
    block_sizes: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "eager": (SLICED_AT_ONCE,),
        "compile": (STEPS_PER_ROUND,),
    }
    traced_array_modes: ClassVar[tuple[str, ...]] = ("compile",)

    def step_calls(self, mode: str) -> StepCalls:
        # Counting calls takes a side effect, and a scan forbids its body side effects.
        return "each" if mode == "eager" else "unrolled"

    def to_numpy(self, tensor: Any) -> np.ndarray[Any, Any]:
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
        if tensor.dtype == torch.bfloat16:
            # The extra "conformance" installs it; the benchmark does not need it.
            import ml_dtypes

            return np.asarray(tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16))
        return np.asarray(tensor.numpy())

    def on_device(self, tensor: Any, device: str) -> Any:
        return tensor.to(device)

    def device_of(self, tensor: Any) -> str:
        return str(tensor.device)

    def has_values(self, device: str) -> bool:
        return device != "meta"

    def run(self, mode: str, function: Function, tensors: Sequence[Any]) -> list[Any]:
        return list(_in_mode(mode, function)(*tensors))

    def gradients(
        self, mode: str, function: Callable[..., Any], tensors: Sequence[Any]
    ) -> list[Any]:
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        value = _in_mode(mode, function)(*leaves)
        return list(torch.autograd.grad(value, leaves, materialize_grads=True))


def _in_mode(mode: str, function: Callable[..., Any]) -> Callable[..., Any]:
    return function if mode == "eager" else _compiled(function)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    whole = torch.compile(function, fullgraph=True, backend="aot_eager")
    broken = torch.compile(function, backend="aot_eager")

    def call(*tensors: Any) -> Any:
        # Functions compiled earlier would count towards the recompile limit.
        torch.compiler.reset()
        with mock.patch.multiple(TorchBackend, **_FEW_STEPS):
            try:
                return whole(*tensors)
            except unsupported():
                # The compiler also wraps errors that the function itself raises. Without
                # fullgraph=True it falls back to eager execution, which raises the original error.
                broken(*tensors)
                raise

    return call
