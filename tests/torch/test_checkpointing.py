"""Test `checkpoint_every` on torch: gradients of all kinds, random numbers, calls and memory."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.functional import dropout
from torch_layers import BATCH, SIZE, mask, sequence
from training_memory import training_figures

import polyrnn

TIME, EVERY = 11, 3

Add = Callable[[Any, int], Any]
"""``(h, number) -> what a step adds``, for the state and the number of the step."""


def loss_of(add: Add, every: int | None, inputs: Any, **options: Any) -> Any:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        h, number = states
        h = torch.tanh(x + add(h, int(number)))
        return h, [h, number + 1]

    start = torch.full((BATCH, SIZE), 0.1, dtype=inputs.dtype)
    last, outputs, (state, _) = polyrnn.rnn(
        step, inputs, [start, torch.tensor(0)], checkpoint_every=every, **options
    )
    return (outputs * outputs).sum() + (last * state).sum()


def assert_same(make: Callable[[], tuple[Add, list[Any]]], **options: Any) -> None:
    """Check that checkpoints change neither values nor gradients nor later random numbers.

    Args:
        make: Return what a step adds, and the tensors with respect to which to differentiate.
        options: Further arguments of the call.
    """
    found = []
    for every in (None, EVERY):
        torch.manual_seed(3)
        add, wanted = make()
        inputs = sequence(TIME).requires_grad_()
        loss = loss_of(add, every, inputs, **options)
        found.append([loss, torch.rand(1), *torch.autograd.grad(loss, [inputs, *wanted])])
    torch.testing.assert_close(found[1], found[0])


def weight(scale: float = 0.3) -> Any:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(SIZE, SIZE, dtype=torch.float64, generator=generator)
    return drawn.mul(scale).requires_grad_()


@pytest.mark.parametrize("valid", [None, mask(TIME)], ids=["plain", "masked"])
def test_random_numbers_are_drawn_once(valid: Any) -> None:
    def make() -> tuple[Add, list[Any]]:
        kernel = weight()
        return lambda h, number: dropout(h @ kernel, 0.5), [kernel]

    assert_same(make, mask=valid)


@pytest.mark.parametrize("first", [1, EVERY, 6, TIME - 1])
def test_a_computed_weight_may_come_in_at_any_step(first: int) -> None:
    def make() -> tuple[Add, list[Any]]:
        kernel, base = weight(), weight(0.1)
        computed = base * 2
        return lambda h, number: h @ (kernel if number < first else computed), [kernel, base]

    assert_same(make)


class Scaled(torch.autograd.Function):
    """A product whose arguments no mode of torch sees."""

    @staticmethod
    def forward(ctx: Any, x: Any, factor: Any) -> Any:
        ctx.save_for_backward(x, factor)
        return x * factor

    @staticmethod
    def backward(ctx: Any, slope: Any) -> Any:
        x, factor = ctx.saved_tensors
        return slope * factor, (slope * x).sum(0)


@pytest.mark.parametrize("is_computed", [False, True])
def test_a_weight_may_be_used_by_a_custom_function_alone(is_computed: bool) -> None:
    def make() -> tuple[Add, list[Any]]:
        base = torch.full((SIZE,), 0.4, dtype=torch.float64, requires_grad=True)
        factor = base * 2 if is_computed else base
        return lambda h, number: Scaled.apply(h, factor), [base]

    assert_same(make)


def test_a_parameter_accumulates_the_gradients_of_all_blocks() -> None:
    kernel = torch.nn.Parameter(weight().detach())
    for every in (None, EVERY):
        loss_of(lambda h, number: h @ kernel, every, sequence(TIME)).backward()
    once, twice = (
        torch.autograd.grad(loss_of(lambda h, number: h @ kernel, None, sequence(TIME)), kernel)[0],
        kernel.grad,
    )
    torch.testing.assert_close(twice, once * 2)


def test_precision_is_that_of_the_first_pass() -> None:
    kernel, dtypes = weight().detach().float().requires_grad_(), []

    def add(h: Any, number: int) -> Any:
        product = h @ kernel
        dtypes.append(product.dtype)
        return product.float()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(add, EVERY, sequence(TIME).float())
    first = len(dtypes)
    loss.backward()
    assert len(dtypes) > first
    assert set(dtypes) == {torch.bfloat16}
    assert kernel.grad is not None


def test_gradients_of_gradients_are_refused() -> None:
    kernel = weight()
    loss = loss_of(lambda h, number: h @ kernel, EVERY, sequence(TIME))
    (gradient,) = torch.autograd.grad(loss, kernel, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("trained", [False, True])
def test_steps_are_called_again_in_the_backward_pass_only(trained: bool) -> None:
    calls = 0

    def add(h: Any, number: int) -> Any:
        nonlocal calls
        calls += 1
        return h @ kernel

    kernel = weight()
    with torch.set_grad_enabled(trained):
        loss = loss_of(add, EVERY, sequence(TIME))
    assert calls == TIME
    if trained:
        loss.backward()
        # The first two steps are no whole block, and the block after them is an ordinary loop.
        assert calls == TIME + TIME - TIME % EVERY - EVERY


def test_training_takes_a_twentieth_of_the_memory() -> None:
    plain, checkpointed = (
        training_figures("torch", "eager", time_steps=3000, checkpoint_every=every)
        for every in (None, 50)
    )
    # At T=10,000 the ratio is below 0.01; see the claims of the benchmark.
    assert checkpointed["bytes"] < 0.05 * plain["bytes"]
