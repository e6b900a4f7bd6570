"""Test torch.func and double backward, eager and compiled."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch_layers import BATCH, SIZE, Memory, mask, sequence

from polyrnn_torch.backend import TorchBackend

# torch itself still uses its deprecated functions.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")

MEMORY = Memory(0)


def loss(inputs: Any, valid: Any) -> Any:
    last, outputs, (_, cell) = MEMORY(inputs, mask=valid, go_backwards=True)
    return (outputs * outputs).sum() + (last * cell).sum()


def by_backward(inputs: Any, valid: Any) -> Any:
    inputs = inputs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(inputs, valid), inputs)
    return gradient


def of_tangent(inputs: Any, valid: Any) -> Any:
    _, tangent = torch.func.jvp(lambda x: loss(x, valid), (inputs,), (torch.ones_like(inputs),))
    return tangent


def of_norm(inputs: Any, valid: Any) -> Any:
    gradient = torch.func.grad(loss)
    return torch.func.grad(lambda x: gradient(x, valid).pow(2).sum())(inputs)


def by_double_backward(inputs: Any, valid: Any) -> Any:
    inputs = inputs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(inputs, valid), inputs, create_graph=True)
    (second,) = torch.autograd.grad(gradient.pow(2).sum(), inputs)
    return second


def test_grad_is_the_gradient() -> None:
    inputs, valid = sequence(5), mask(5)
    torch.testing.assert_close(torch.func.grad(loss)(inputs, valid), by_backward(inputs, valid))


def test_jvp_is_the_gradient_along_a_direction() -> None:
    inputs, valid = sequence(5), mask(5)
    torch.testing.assert_close(of_tangent(inputs, valid), by_backward(inputs, valid).sum())


def test_nested_grad_is_double_backward() -> None:
    inputs, valid = sequence(5), mask(5)
    torch.testing.assert_close(of_norm(inputs, valid), by_double_backward(inputs, valid))


def test_second_derivatives_are_those_of_differences() -> None:
    valid = mask(3)
    inputs = sequence(3).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: loss(x, valid), (inputs,))


@pytest.mark.parametrize("mapped_mask", [False, True])
def test_vmap_agrees_with_separate_calls(mapped_mask: bool) -> None:
    inputs = torch.stack([sequence(5, seed) for seed in range(3)])
    valid = torch.stack([mask(5, seed) for seed in range(3)]) if mapped_mask else mask(5)
    got = torch.vmap(loss, in_dims=(0, 0 if mapped_mask else None))(inputs, valid)
    for position in range(3):
        expected = loss(inputs[position], valid[position] if mapped_mask else valid)
        torch.testing.assert_close(got[position], expected)


def test_gradients_for_each_sample() -> None:
    inputs = torch.stack([sequence(5, seed) for seed in range(3)])
    valid = mask(5)
    got = torch.vmap(torch.func.grad(loss), in_dims=(0, None))(inputs, valid)
    expected = torch.stack([by_backward(one, valid) for one in inputs])
    torch.testing.assert_close(got, expected)


def for_each_sample(inputs: Any, valid: Any) -> Any:
    return torch.vmap(torch.func.grad(loss), in_dims=(0, None))(
        inputs[None].repeat(2, 1, 1, 1), valid
    )


@pytest.mark.parametrize(
    "transformed", [torch.func.grad(loss), of_tangent, of_norm, for_each_sample]
)
def test_compiled_transformations(
    transformed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TorchBackend, "longest_written_out", TorchBackend.steps_per_round)
    time = TorchBackend.steps_per_round + 2
    inputs, valid = sequence(time), mask(time)
    compiled = torch.compile(transformed, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(inputs, valid), transformed(inputs, valid))


def test_checkpointing_changes_no_gradient() -> None:
    inputs, valid = sequence(5).requires_grad_(), mask(5)
    value = torch.utils.checkpoint.checkpoint(loss, inputs, valid, use_reentrant=False)
    (gradient,) = torch.autograd.grad(value, inputs)
    torch.testing.assert_close(gradient, by_backward(inputs, valid))
    assert gradient.shape == (BATCH, 5, SIZE)
