"""Test torch.jit.trace, for inputs of the traced shapes."""

from typing import Any

import pytest
import torch
from torch_layers import Memory, mask, sequence, tensors

# torch.jit is deprecated, and its tracer warns wherever a shape is read.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

TIME = 5


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"go_backwards": True},
        {"zero_output_for_mask": True, "unroll": True},
        {"checkpoint_every": 2},
    ],
)
@pytest.mark.parametrize("return_all_outputs", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_other_values_of_the_same_shape(
    options: dict[str, Any], time_major: bool, return_all_outputs: bool, masked: bool
) -> None:
    memory = Memory(0)
    options = {**options, "time_major": time_major, "return_all_outputs": return_all_outputs}

    def walk(inputs: Any, valid: Any) -> list[torch.Tensor]:
        return tensors(memory(inputs, mask=valid if masked else None, **options))

    def arguments(seed: int) -> tuple[Any, Any]:
        inputs, valid = sequence(TIME, seed), mask(TIME, seed)
        return (inputs.transpose(0, 1), valid.T) if time_major else (inputs, valid)

    traced = torch.jit.trace(walk, arguments(0), check_trace=False)
    torch.testing.assert_close(traced(*arguments(1)), walk(*arguments(1)))


def test_other_lengths() -> None:
    memory = Memory(0)

    def walk(inputs: Any, lengths: Any) -> list[torch.Tensor]:
        return tensors(memory(inputs, input_length=lengths))

    traced = torch.jit.trace(walk, (sequence(TIME), torch.tensor([1, 2, 3])), check_trace=False)
    arguments = (sequence(TIME, 1), torch.tensor([5, 0, 2]))
    torch.testing.assert_close(traced(*arguments), walk(*arguments))
