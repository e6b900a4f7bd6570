"""Test that torch.compile makes one graph of a call, which does not grow with the time axis."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from sampling import one_of
from torch_layers import BATCH, SIZE, Graphs, Memory, mask, nodes, sequence, tensors

import polyrnn
from polyrnn_torch.backend import TorchBackend
from polyrnn_torch.handwritten import TorchFramework, loop

ROUND = TorchBackend.steps_per_round
LONGEST = TorchBackend.longest_written_out


def walked(memory: Memory, **options: Any) -> Callable[[Any, Any], list[torch.Tensor]]:
    def walk(inputs: Any, valid: Any) -> list[torch.Tensor]:
        return tensors(memory(inputs, mask=valid, **options))

    return walk


def traced_steps(graphs: Graphs) -> int:
    """Return the number of steps in the last graph, each of which has one chunk operation."""
    return sum(node.target == "chunk" for node in nodes(graphs.kept[-1]))


@pytest.mark.parametrize("time", one_of(2, [LONGEST + 1, 1, LONGEST + ROUND, 2, 100, LONGEST]))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"go_backwards": True},
        {"zero_output_for_mask": True, "go_backwards": True},
        {"return_all_outputs": False},
    ],
)
def test_a_scan_gives_what_the_loop_gives(
    graphs: Graphs, time: int, options: dict[str, Any]
) -> None:
    walk = walked(Memory(0), **options)
    compiled = torch.compile(walk, fullgraph=True, backend=graphs)
    arguments = (sequence(time), mask(time))
    torch.testing.assert_close(compiled(*arguments), walk(*arguments))
    assert traced_steps(graphs) <= LONGEST
    assert any("scan" in str(node.target) for node in nodes(graphs.kept[-1])) == (time > LONGEST)


@pytest.mark.parametrize(
    ("time", "options", "trained", "steps"),
    [
        (LONGEST, {}, False, LONGEST),
        (ROUND * 50, {}, False, ROUND + 1),
        (ROUND * 50 + 3, {}, False, ROUND + 3),
        (ROUND * 50 - 1, {}, False, 2 * ROUND - 1),
        (LONGEST + 1, {"unroll": True}, False, LONGEST + 1),
        (LONGEST + 1, {}, True, LONGEST + 1),
    ],
)
def test_how_often_the_step_is_traced(
    graphs: Graphs, time: int, options: dict[str, Any], trained: bool, steps: int
) -> None:
    walk = walked(Memory(0, trained), **options)
    torch.compile(walk, fullgraph=True, backend=graphs)(sequence(time), None)
    assert traced_steps(graphs) == steps


def test_weights_that_are_trained_without_gradients_are_scanned(graphs: Graphs) -> None:
    compiled = torch.compile(walked(Memory(0, trained=True)), fullgraph=True, backend=graphs)
    with torch.no_grad():
        compiled(sequence(100), None)
    assert traced_steps(graphs) < 2 * ROUND


def test_a_scan_leaves_the_scalars_that_a_call_reads_as_they_are(graphs: Graphs) -> None:
    walk = walked(Memory(0))

    def count(inputs: Any) -> Any:
        last = walk(inputs, None)[0]
        return last * int((last > 0).sum())

    inputs = sequence(100)
    torch.testing.assert_close(torch.compile(count, backend=graphs)(inputs), count(inputs))
    assert len(graphs.kept) == 2


@pytest.mark.parametrize("gradient_by", ["inputs", "states", "constants", "late"])
def test_whatever_is_differentiated_is_found(graphs: Graphs, gradient_by: str) -> None:
    time = LONGEST + 1
    inputs, start = torch.ones(2, time, 3), torch.ones(2, 3)
    weight, late = torch.ones(3), torch.ones(3)
    by_name = {"inputs": inputs, "states": start, "constants": weight, "late": late}
    by_name[gradient_by].requires_grad_()

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        slow, slower, factor = states
        # What a step closes over may affect its output only many steps later.
        return slower * 1, [x * factor, slow * late]

    def walk(inputs: Any, start: Any, weight: Any) -> Any:
        return polyrnn.rnn(step, inputs, [start, start], constants=[weight])[1].sum()

    compiled = torch.compile(walk, fullgraph=True, backend=graphs)
    (gradient,) = torch.autograd.grad(compiled(inputs, start, weight), by_name[gradient_by])
    (expected,) = torch.autograd.grad(walk(inputs, start, weight), by_name[gradient_by])
    torch.testing.assert_close(gradient, expected)
    assert not any("scan" in str(node.target) for node in nodes(graphs.kept[-1]))


@pytest.mark.parametrize("last_only", [False, True])
def test_outputs_that_alone_are_differentiated_are_found(graphs: Graphs, last_only: bool) -> None:
    weight = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        return x * weight, [states[0] + 1]

    def walk(inputs: Any, start: Any) -> Any:
        _, outputs, _ = polyrnn.rnn(step, inputs, [start], return_all_outputs=not last_only)
        return outputs

    inputs = sequence(2 * LONGEST + 1)
    outputs = torch.compile(walk, fullgraph=True, backend=graphs)(inputs, torch.zeros(()))
    assert not any("scan" in str(node.target) for node in nodes(graphs.kept[-1]))
    outputs.sum().backward()
    wanted = inputs[:, -1].sum() if last_only else inputs.sum()
    torch.testing.assert_close(weight.grad, wanted)


def test_an_open_time_axis_is_compiled_once(graphs: Graphs) -> None:
    walk = walked(Memory(0))
    compiled = torch.compile(walk, fullgraph=True, backend=graphs, dynamic=True)
    for time in (20, 21, 33, 64, 5, 3):
        arguments = (sequence(time), mask(time))
        torch.testing.assert_close(compiled(*arguments), walk(*arguments))
    assert len(graphs.kept) == 1


def test_an_open_time_axis_is_unrolled_on_request(graphs: Graphs) -> None:
    walk = walked(Memory(0), unroll=True)
    compiled = torch.compile(walk, fullgraph=True, backend=graphs, dynamic=True)
    arguments = (sequence(LONGEST + 1), mask(LONGEST + 1))
    torch.testing.assert_close(compiled(*arguments), walk(*arguments))
    assert traced_steps(graphs) == LONGEST + 1


def test_random_numbers_are_drawn_anew_in_each_step() -> None:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        return torch.nn.functional.dropout(x), states

    def walk(inputs: Any) -> Any:
        return polyrnn.rnn(step, inputs, [inputs[:, 0]])[1]

    inputs = torch.ones(1, 40, 50)
    compiled = torch.compile(walk, fullgraph=True, backend="aot_eager")
    for once in compiled(inputs), compiled(inputs):
        assert len({tuple(output.tolist()) for output in once[0]}) == 40


CHOICES: dict[str, tuple[dict[str, Any], Callable[[], AbstractContextManager[Any]]]] = {
    "tensors": ({}, nullcontext),
    "argument": ({"backend": "torch"}, nullcontext),
    "object": ({"backend": TorchBackend()}, nullcontext),
    "context": ({}, lambda: polyrnn.use_backend("torch")),
    "context of an object": ({}, lambda: polyrnn.use_backend(TorchBackend())),
}


@pytest.mark.parametrize("chosen_by", CHOICES)
def test_every_way_of_choosing_the_backend(chosen_by: str) -> None:
    options, context = CHOICES[chosen_by]
    walk = walked(Memory(0), **options)
    compiled = torch.compile(walk, fullgraph=True, backend="eager")
    arguments = (sequence(3), mask(3))
    with context():
        torch.testing.assert_close(compiled(*arguments), walk(*arguments))


FIRST_CALL = """
import contextlib, sys
import torch
import polyrnn
surrounding = polyrnn.use_backend("torch") if sys.argv[1] == "context" else contextlib.nullcontext()
options = {"backend": "torch"} if sys.argv[1] == "argument" else {}
inputs, start = torch.ones(2, 3, 4), torch.zeros(2, 4)
def walk(inputs, start):
    return polyrnn.rnn(lambda x, states: (x, [states[0] + x]), inputs, start, **options)
with surrounding:
    _, _, (total,) = torch.compile(walk, fullgraph=True, backend="eager")(inputs, start)
print(total.sum().item())
"""


@pytest.mark.parametrize("chosen_by", ["tensors", "argument", "context", "environment"])
def test_the_first_call_of_a_process_may_be_compiled(chosen_by: str) -> None:
    environment = {
        **os.environ,
        **({"POLYRNN_BACKEND": "torch"} if chosen_by == "environment" else {}),
    }
    printed = subprocess.run(
        [sys.executable, "-c", FIRST_CALL, chosen_by],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert printed.stdout == "24.0\n"


def test_another_backend_compiles_nothing_anew(graphs: Graphs) -> None:
    compiled = torch.compile(walked(Memory(0)), fullgraph=True, backend=graphs)
    compiled(sequence(3), mask(3))
    with polyrnn.use_backend("numpy"):
        polyrnn.rnn(lambda x, states: (x, []), [[[1.0]]], [])
    compiled(sequence(3), mask(3))
    assert len(graphs.kept) == 1


def test_a_fresh_step_compiles_nothing_anew(graphs: Graphs) -> None:
    def walk(inputs: Any, weight: Any) -> Any:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            return x, [states[0] + x * weight]

        return polyrnn.rnn(step, inputs, [torch.zeros(BATCH, SIZE, dtype=torch.float64)])[2][0]

    compiled = torch.compile(walk, fullgraph=True, backend=graphs)
    for factor in (1.0, 2.0):
        weight = torch.full((SIZE,), factor, dtype=torch.float64)
        inputs = sequence(100)
        torch.testing.assert_close(compiled(inputs, weight), inputs.sum(1) * factor)
    assert len(graphs.kept) == 1


def test_a_step_that_cannot_be_compiled_is_called_eagerly() -> None:
    @torch.compiler.disable
    def outside(tree: Any) -> Any:
        return {"sum": tree["sum"] + 1, "pair": (tree["pair"][0] * 2, tree["pair"][1])}

    def walk(inputs: Any, start: Any) -> Any:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            tree = outside(states[0])
            return {"out": [x * tree["sum"]]}, [tree]

        state = {"sum": start, "pair": (start, [start])}
        return polyrnn.rnn(step, inputs, [state])

    arguments = (torch.ones(2, 5, 3), torch.ones(2, 3))
    compiled = torch.compile(walk, backend="eager")
    torch.testing.assert_close(compiled(*arguments), walk(*arguments))


def test_code_around_a_call_is_compiled_by_itself(graphs: Graphs) -> None:
    weights = torch.ones(5, 8), torch.ones(8)
    step = TorchFramework().lstm_step(*weights)
    states = [torch.zeros(2, 2), torch.zeros(2, 2)]
    torch.compile(loop, backend=graphs)(step, torch.ones(2, 4, 3), states)
    assert len(graphs.kept) == 1


def test_errors_come_through() -> None:
    @torch.compile(backend="eager")
    def walk(inputs: Any) -> Any:
        return polyrnn.rnn(lambda x, states: (x, [states[0].float()]), inputs, [inputs[:, 0]])

    text = r"^state \[0\]: step returned float32 \(3, 4\) for float64 \(3, 4\)$"
    with pytest.raises(ValueError, match=text):
        walk(sequence(100))


def test_a_step_that_writes_outside_is_unrolled_on_request() -> None:
    seen: list[int] = []

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        seen.append(1)
        return x, states

    def walk(inputs: Any, unroll: bool) -> Any:
        return polyrnn.rnn(step, inputs, [inputs[:, 0]], unroll=unroll)[1]

    compiled = torch.compile(walk, fullgraph=True, backend="eager")
    with pytest.raises(torch._dynamo.exc.UncapturedHigherOrderOpError, match="side effect"):
        compiled(sequence(40), False)
    seen.clear()
    torch.testing.assert_close(compiled(sequence(40), True), sequence(40))
    assert len(seen) == 40
