"""Test that a call compiled by Inductor gives the values and gradients of the eager loop."""

from typing import Any

import pytest
import torch
from sampling import one_of
from torch_layers import Memory, mask, sequence, tensors

from polyrnn_torch.backend import TorchBackend

# torch itself still uses its deprecated functions.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")

TIME = 5


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce the number of unrolled steps, so that few steps make a scan."""
    monkeypatch.setattr(TorchBackend, "steps_per_round", 2)
    monkeypatch.setattr(TorchBackend, "longest_written_out", 3)


def two_layers(first: Memory, second: Memory, inputs: Any, valid: Any) -> list[Any]:
    """Run the second layer over the outputs of the first, and the first over those again."""
    _, hidden, _ = first(inputs, mask=valid)
    _, hidden, _ = second(hidden, mask=valid, go_backwards=True)
    return tensors(first(hidden))


@pytest.mark.nightly
def test_stacked_layers() -> None:
    layers = Memory(0), Memory(1)
    arguments = (sequence(TIME), mask(TIME))
    compiled = torch.compile(two_layers, fullgraph=True)
    got = compiled(*layers, *arguments)
    torch.testing.assert_close(got, two_layers(*layers, *arguments))


def test_gradients_of_stacked_layers() -> None:
    layers = Memory(0, trained=True), Memory(1, trained=True)
    inputs, valid = sequence(TIME).requires_grad_(), mask(TIME)

    def loss(*arguments: Any) -> Any:
        return sum(result.square().sum() for result in two_layers(*arguments))

    wanted = [inputs, *layers[0].weights, *layers[1].weights]
    compiled = torch.compile(loss, fullgraph=True)
    got = torch.autograd.grad(compiled(*layers, inputs, valid), wanted)
    expected = torch.autograd.grad(loss(*layers, inputs, valid), wanted)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ("time", "dtype"),
    one_of(2, [(41, torch.float64), (3, torch.float32), (8, torch.float64), (41, torch.float32)]),
)
def test_inference_needs_no_option(time: int, dtype: torch.dtype) -> None:
    memory = Memory(0, trained=True, dtype=dtype)

    @torch.no_grad()
    def walks(inputs: Any, valid: Any) -> list[Any]:
        plain, masked = memory(inputs), memory(inputs, mask=valid)
        backwards = memory(inputs, mask=valid, go_backwards=True)
        return [*tensors(plain), *tensors(masked), *tensors(backwards)]

    arguments = (sequence(time).to(dtype), mask(time))
    graph_breaks = torch._dynamo.utils.counters["graph_break"]
    graph_breaks.clear()
    got = torch.compile(walks)(*arguments)
    torch.testing.assert_close(got, walks(*arguments))
    assert not graph_breaks
