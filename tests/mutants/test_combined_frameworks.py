"""Test that the suite rejects faults of devices, blocks and static shapes."""

from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf
import torch
from mutation import Mutant, assert_rejected

import polyrnn_tensorflow.backend
import polyrnn_torch.eager_loop
from polyrnn import plan, reading
from polyrnn_tensorflow.backend import TensorFlowBackend
from polyrnn_torch.backend import TorchBackend

SUITE = ("test_cases", "test_errors", "test_checks")


def blocks_forward(right: Any) -> Any:
    def steps(xs: Any, reverse: bool) -> Iterator[Any]:
        for block in zip(*[x.split(256) for x in xs], strict=True):
            yield from right(list(block), reverse)

    return steps


def tensorflow_blocks_forward(right: Any) -> Any:
    def slices(x: Any, reverse: bool) -> Iterator[Any]:
        for start in range(0, x.shape[0], 128):
            yield from right(x[start : start + 128], reverse)

    return slices


def lengths_of_32_bits(right: Any) -> Any:
    return lambda backend, lengths, like: right(backend, tf.cast(lengths, tf.int32), like)


class OfInputsAlone(reading.Reader):
    """Looks for a device among the inputs only."""

    def first_tensor(self, leaves: Any) -> Any:
        return super().first_tensor(leaves[:1])


def any_shape_later(right: Any) -> Any:
    return lambda x: (type(x), x.dtype, len(x.shape))


TORCH = [
    Mutant(
        "NumPy inputs ignore the device of the states.",
        "devices-numpy-inputs",
        plan,
        "Reader",
        lambda right: OfInputsAlone,
    ),
    Mutant(
        "A mask is not moved to the device of the inputs.",
        "devices-mask-numpy",
        TorchBackend,
        "convert",
        lambda right: lambda backend, value, like=None: right(backend, value),
    ),
    Mutant(
        "Backwards, blocks are in forward order.",
        "blocks-last-only-backwards",
        polyrnn_torch.eager_loop,
        "_steps",
        blocks_forward,
    ),
    Mutant(
        "An imaginary mask is false.",
        "contract-nonzero",
        TorchBackend,
        "nonzero",
        lambda right: lambda backend, x: (x.real if x.is_complex() else x) != torch.zeros(()),
    ),
]

TENSORFLOW = [
    Mutant(
        "Lengths are narrowed to 32 bits.",
        "contract-length-mask",
        TensorFlowBackend,
        "length_mask",
        lengths_of_32_bits,
    ),
    Mutant(
        "Backwards, blocks are in forward order.",
        "blocks-last-only-backwards",
        polyrnn_tensorflow.backend,
        "_slices",
        tensorflow_blocks_forward,
    ),
    Mutant(
        "Later outputs may have another shape.",
        "late-output-of-other-shape-last-only-backwards",
        polyrnn_tensorflow.backend,
        "_tensor_key",
        any_shape_later,
    ),
    Mutant(
        "Converted values are put on the default device.",
        "devices-of-what-is-converted",
        TensorFlowBackend,
        "convert",
        lambda right: lambda backend, value, like=None: right(backend, value),
    ),
    Mutant(
        "An imaginary mask is false.",
        "mask-tensor-imaginary",
        TensorFlowBackend,
        "nonzero",
        lambda right: lambda backend, x: tf.cast(x, tf.bool),
    ),
]


@pytest.mark.parametrize("mutant", TORCH, ids=lambda mutant: mutant.fault)
def test_a_fault_is_rejected_on_torch(mutant: Mutant) -> None:
    assert_rejected("torch", *SUITE, mutant=mutant)


@pytest.mark.filterwarnings("ignore:You are casting an input of type complex")
@pytest.mark.parametrize("mutant", TENSORFLOW, ids=lambda mutant: mutant.fault)
def test_a_fault_is_rejected_on_tensorflow(mutant: Mutant) -> None:
    assert_rejected("tensorflow", *SUITE, mutant=mutant)
