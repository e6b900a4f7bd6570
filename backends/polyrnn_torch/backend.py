"""The torch backend.

`polyrnn_torch.eager_loop` implements the loop that runs in Python and `polyrnn_torch.compiled_loop`
the loop that torch.compile traces. `polyrnn_torch.tracing` keeps torch.compile from compiling
functions of polyrnn separately.
"""

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch

from polyrnn import Backend
from polyrnn.backend import Body, Carry, CheckpointedLoop, Sharing
from polyrnn_torch import registered_nodes
from polyrnn_torch.checkpointing import checkpointed_loop
from polyrnn_torch.compiled_loop import compiled_loop
from polyrnn_torch.eager_loop import apart, count_of_writes, eager_loop
from polyrnn_torch.internals import is_transformed
from polyrnn_torch.tracing import keep_in_one_piece

_CONVERTED = (np.ndarray, np.generic, bool, int, float, complex)


class TorchBackend(Backend):
    """The torch backend; its tensors are instances of `torch.Tensor`.

    Eagerly the step is called once for each time step. In a function that torch.compile traces
    for training, the step is traced once for each time step. Without gradients it is traced at
    most `longest_written_out` times, for any number of time steps.
    """

    tensor_type: ClassVar = torch.Tensor
    namespace: ClassVar = torch

    steps_per_round: ClassVar[int] = 8
    """How many time steps one iteration of a compiled loop runs, as iterations have overhead."""

    longest_written_out: ClassVar[int] = 32
    """Loops up to this length are unrolled, which is faster.

    It is at least ``2 * steps_per_round - 1``, the number of steps that are traced for a scan:
    up to ``steps_per_round - 1`` before the scan, and `steps_per_round` within.
    """

    nests = registered_nodes

    @property
    def tensor_key(self) -> Callable[[Any], tuple[Any, ...]]:
        return _traceable_key if torch.compiler.is_compiling() else super().tensor_key

    def transpose(self, x: Any) -> Any:
        return x.transpose(0, 1)

    def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        if mask.ndim < on_true.ndim:
            mask = mask.reshape(mask.shape + (1,) * (on_true.ndim - mask.ndim))
        # torch.jit.trace does not accept a plain number for zero.
        return torch.where(mask, on_true, on_true.new_zeros(()) if on_false is None else on_false)

    def loop(
        self, body: Body, carry: Carry, xs: list[Any], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Any]]:
        if not torch.compiler.is_compiling():
            return eager_loop(body, carry, xs, reverse=reverse)
        return compiled_loop(
            body,
            carry,
            [x.flip(0) for x in xs] if reverse else xs,
            unroll=unroll,
            steps_per_round=self.steps_per_round,
            longest_written_out=self.longest_written_out,
        )

    def convert(self, value: Any, like: Any = None) -> Any:
        device = None if like is None else like.device
        if isinstance(value, torch.Tensor):
            if value.layout is not torch.strided or value.is_nested or value.is_quantized:
                raise TypeError(_what_to_pass_instead(value))
            return value if device is None else value.to(device)
        if isinstance(value, registered_nodes.PACKED):
            raise TypeError(registered_nodes.WHAT_TO_PASS_INSTEAD)
        if torch.compiler.is_compiling():
            # An error that torch itself raises for a value cannot be caught in a trace.
            if not isinstance(value, _CONVERTED):
                raise TypeError(f"expected numbers, got {type(value).__name__}")
        elif isinstance(value, (np.ndarray, np.generic)):
            value = _from_numpy(value)
        return torch.as_tensor(value, device=device)

    def nonzero(self, x: Any) -> Any:
        return x if x.dtype == torch.bool else x != 0

    def length_mask(self, lengths: Any, like: Any) -> Any:
        time, batch = like.shape[:2]
        steps = torch.arange(time, device=like.device)
        return (steps[:, None] < lengths.long()).expand(time, batch)

    def take_first(self, mask: Any, xs: list[Any], *, reverse: bool = False) -> list[Any]:
        valid = mask.to(torch.uint8)
        steps = mask.shape[0] - 1 - valid.flip(0).argmax(0) if reverse else valid.argmax(0)
        samples = torch.arange(mask.shape[1], device=mask.device)
        return [x[steps, samples] for x in xs]

    def detach(self, x: Any) -> Any:
        return x.detach()

    @property
    def sharing(self) -> Sharing:
        counts = count_of_writes()
        return Sharing(_clone, hand_out=apart if counts is None else None, counts=counts)

    @property
    def forward_fill(self) -> Callable[[Any, Any], Any] | None:
        return None if torch.compiler.is_compiling() else _forward_fill

    @property
    def checkpointed_loop(self) -> CheckpointedLoop | None:
        # Neither torch.func nor torch.jit.trace takes a function that frees its graph by itself.
        if is_transformed() or torch.jit.is_tracing() or not torch.is_grad_enabled():
            return None
        return checkpointed_loop

    def flip(self, x: Any) -> Any:
        return x.flip(0)

    def shape(self, x: Any) -> tuple[Any, ...]:
        # In a trace of torch.jit.trace, sizes are tensors rather than integers.
        return _untraced_shape(x) if torch.jit.is_tracing() else tuple(x.shape)

    def dtype_name(self, x: Any) -> str:
        return str(x.dtype).removeprefix("torch.")

    def devices(self) -> list[str]:
        accelerator = torch.accelerator.current_accelerator()
        count = torch.accelerator.device_count()
        return ["cpu", *(f"{accelerator.type}:{number}" for number in range(count))]

    def reads_arrays(self) -> bool:
        return not torch.compiler.is_compiling()


def _traceable_key(x: Any) -> tuple[Any, ...]:
    # torch.compile cannot trace the default key. It also gives tensors one type within a step
    # and another type around it, so the exact type is not part of this key.
    return isinstance(x, torch.Tensor), x.dtype, x.shape


def _clone(x: Any) -> Any:
    return x.clone()


def _what_to_pass_instead(x: torch.Tensor) -> str:
    if x.is_nested:
        return (
            "it is nested; pass torch.nested.to_padded_tensor(x, 0.0), with the lengths of its "
            "parts as input_length"
        )
    if x.is_quantized:
        return "it is quantized; pass x.dequantize()"
    return f"its layout is {x.layout}; pass x.to_dense()"


def _forward_fill(x: Any, mask: Any) -> Any:
    time, batch = mask.shape
    numbers = torch.arange(time * batch, device=x.device).view(time, batch)
    # Rows are numbered in the order of time, so the last valid row of a sample up to some step
    # is the one with the maximal number.
    sources = torch.where(mask, numbers, numbers[:1]).cummax(0).values.flatten()
    # One index over rows is faster than an index each over time and batch, gradients included.
    return x.flatten(0, 1).index_select(0, sources).unflatten(0, (time, batch))


def _untraced_shape(x: Any) -> tuple[Any, ...]:
    with warnings.catch_warnings():
        # torch.jit.trace warns of each conversion that it cannot record.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return tuple(int(size) for size in x.shape)


def _from_numpy(value: Any) -> torch.Tensor:
    # torch supports neither negative strides nor non-native byte orders nor the bfloat16 of
    # ml_dtypes, and warns of arrays that are not writable.
    array = np.require(value, value.dtype.newbyteorder("="), ["C", "W"])
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


keep_in_one_piece()
