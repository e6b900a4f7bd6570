"""Test steps that write into their arguments, or into earlier results."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import polyrnn
from polyrnn_torch.backend import TorchBackend

# torch itself still uses its deprecated functions.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")

REUSED = r"^step_function wrote into an output that it had returned before; return a new tensor"


def into_states(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    total = states[0]
    total += x
    return total, [total]


def into_inputs(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    x += states[0]
    return x, [x]


def by_turns(calls: list[int]) -> Callable[..., Any]:
    """Return a step that writes into its inputs, except at the first steps."""

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        calls.append(1)
        if len(calls) < 3:
            return x + states[0], [x + states[0]]
        return into_inputs(x, states)

    return step


class IntoOneBuffer:
    """A step that returns the same tensor, overwritten, at each time step."""

    def __init__(self) -> None:
        self.buffer = torch.zeros(1, 1)

    def __call__(self, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        self.buffer.copy_(states[0] + x)
        return self.buffer, [states[0] + x]


def digits() -> torch.Tensor:
    return torch.arange(1.0, 5.0).reshape(1, 4, 1)


def loop(body: Any, inputs: Any, start: Any, **options: Any) -> tuple[Any, Any, Any]:
    """Call the loop of the backend without the front end."""

    def over(carry: Any, slices: Any) -> Any:
        output, states = body(slices[0], carry[0])
        return (states, None), [output]

    backend = TorchBackend()
    carry, (outputs,) = backend.loop(
        over,
        ([start], None),
        [inputs.transpose(0, 1)],
        **{"reverse": False, "unroll": False} | options,
    )
    return outputs[-1], outputs.transpose(0, 1), carry[0]


TOTALS = [1.0, 3.0, 6.0, 10.0]


@pytest.mark.parametrize("context", [nullcontext, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("reverse", [False, True])
def test_inputs_are_not_overwritten(
    context: Callable[[], AbstractContextManager[Any]], reverse: bool
) -> None:
    inputs = digits().flip(1) if reverse else digits()
    before = inputs.clone()
    for step in into_inputs, by_turns([]):
        with context():
            _, outputs, _ = loop(step, inputs, torch.zeros(1, 1), reverse=reverse)
        assert outputs.flatten().tolist() == TOTALS
        assert torch.equal(inputs, before)


def uncompiled(function: Any) -> Any:
    return function


def compiled(function: Any) -> Any:
    return torch.compile(function, fullgraph=True, backend="aot_eager")


@pytest.mark.parametrize("by_inputs", [False, True])
@pytest.mark.parametrize("running", [uncompiled, compiled])
def test_gradients_of_a_step_that_writes_into_its_inputs(running: Any, by_inputs: bool) -> None:
    inputs, weight = digits().requires_grad_(by_inputs), torch.ones(1, 1, requires_grad=True)

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        x *= 2
        total = x @ weight + states[0]
        return total, [total]

    _, outputs, _ = running(loop)(step, inputs, torch.zeros(1, 1))
    outputs.sum().backward()
    assert torch.equal(inputs, digits())
    assert weight.grad is not None
    assert weight.grad.tolist() == [[2 * (4 * 1 + 3 * 2 + 2 * 3 + 1 * 4)]]
    if by_inputs:
        assert inputs.grad is not None
        assert inputs.grad.flatten().tolist() == [8.0, 6.0, 4.0, 2.0]


def test_outputs_that_are_overwritten_are_refused() -> None:
    with pytest.raises(ValueError, match=REUSED):
        loop(IntoOneBuffer(), digits(), torch.zeros(1, 1))
    with pytest.raises(ValueError, match=REUSED):
        loop(into_states, digits(), torch.zeros(1, 1))


def test_a_call_refuses_outputs_that_are_overwritten() -> None:
    with pytest.raises(ValueError, match=REUSED):
        polyrnn.rnn(IntoOneBuffer(), digits(), [torch.zeros(1, 1)])


def test_where_writes_are_not_counted_outputs_are_copied() -> None:
    start = torch.zeros(1, 1)
    with torch.inference_mode():
        for step in into_states, IntoOneBuffer():
            inputs = digits()
            assert loop(step, inputs, inputs[:, 0] * 0)[1].flatten().tolist() == TOTALS

    def walk(inputs: Any) -> Any:
        return loop(into_states, inputs, torch.zeros_like(inputs[:, 0]))[1]

    inputs = torch.stack([digits(), digits() * 2])
    expected = torch.stack([torch.tensor(TOTALS), 2 * torch.tensor(TOTALS)])
    torch.testing.assert_close(torch.vmap(walk)(inputs).flatten(1), expected)
    assert start.item() == 0


def test_initial_states_are_not_overwritten() -> None:
    start = torch.zeros(1, 1)
    with pytest.raises(ValueError, match=r"^step_function wrote into"):
        loop(into_states, digits(), start)
    assert start.item() == 0


def test_states_that_are_overwritten_are_named() -> None:
    with pytest.raises(ValueError, match=r"^step_function wrote into states\[0\]"):
        polyrnn.rnn(into_states, digits(), [torch.zeros(1, 1)])


def test_states_that_are_returned_unchanged_share_no_memory() -> None:
    start = torch.zeros(1, 1)
    _, _, (state,) = loop(lambda x, states: (x, states), digits(), start)
    state += 1
    assert start.item() == 0


COMPILERS = ["aot_eager", "inductor"]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("kind", ["states", "inputs", "buffer"])
@pytest.mark.parametrize("scanned", [False, True])
def test_compiled_steps_may_write(
    compiler: str, kind: str, trained: bool, scanned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TorchBackend, "steps_per_round", 2)
    monkeypatch.setattr(TorchBackend, "longest_written_out", 3 if scanned else 4)

    def into_a_buffer(buffer: Any) -> Callable[..., Any]:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            buffer.copy_(states[0] + x)
            return buffer, [states[0] + x]

        return step

    def walk(inputs: Any, start: Any) -> tuple[Any, Any]:
        steps = {"states": into_states, "inputs": into_inputs}
        step = steps[kind] if kind in steps else into_a_buffer(torch.zeros(1, 1))
        last, outputs, _ = polyrnn.rnn(step, inputs, [start])
        return last, outputs

    if kind == "buffer" and scanned and not trained:
        pytest.skip("A scan forbids its step to write to something outside, and says so.")
    inputs, start = digits().requires_grad_(trained), torch.zeros(1, 1)
    last, outputs = torch.compile(walk, fullgraph=True, backend=compiler)(inputs, start)
    assert outputs.flatten().tolist() == TOTALS
    assert last.item() == TOTALS[-1]
    assert torch.equal(inputs, digits())
    assert start.item() == 0
    if trained:
        (gradient,) = torch.autograd.grad(outputs.sum(), inputs)
        assert gradient.flatten().tolist() == [4.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize("strict", [False, True])
def test_exported_steps_may_write(strict: bool) -> None:
    class Walk(torch.nn.Module):
        def forward(self, inputs: Any, start: Any) -> Any:
            return polyrnn.rnn(into_states, inputs, [start])[1]

    shapes = ({1: torch.export.Dim("time")}, None)
    example = (torch.ones(2, 9, 3), torch.ones(2, 3))
    program = torch.export.export(Walk(), example, dynamic_shapes=shapes, strict=strict)
    start = torch.zeros(2, 3)
    outputs = program.module()(digits().expand(2, 4, 3).contiguous(), start)
    assert outputs[1, :, 2].tolist() == TOTALS
    assert not start.any()


def counted(x: Any) -> bool:
    """Return whether the backend detects a write into a tensor."""
    counts = TorchBackend().sharing.counts
    before = None if counts is None else counts([x])
    if counts is None or before is None:
        return False
    x.add_(1)
    assert before != counts([x])
    return True


def test_what_torch_counts() -> None:
    assert counted(torch.ones(2))
    assert counted(torch.ones(2, device="meta"))
    assert counted(torch.ones(2).expand(1, 2)[0])
    with torch.no_grad():
        assert counted(torch.nn.Parameter(torch.ones(2)))
    with FakeTensorMode():
        assert counted(torch.ones(2))
    with torch.inference_mode():
        assert not counted(torch.ones(2))


def test_torch_counts_nothing_under_transformations() -> None:
    seen: list[bool] = []

    def write(x: Any) -> Any:
        x = x * 1
        seen.append(counted(x))
        return x.sum()

    torch.func.grad(write)(torch.ones(3))
    torch.func.jvp(write, (torch.ones(3),), (torch.ones(3),))
    torch.vmap(write)(torch.ones(2, 3))
    torch.func.functionalize(write)(torch.ones(3))
    assert seen == [False] * 4


def test_writes_are_not_counted_where_they_are_compiled() -> None:
    @torch.compile(fullgraph=True, backend="eager")
    def count(x: Any) -> Any:
        return x + (1 if TorchBackend().sharing.counts is None else 2)

    assert count(torch.ones(1)).item() == 2
