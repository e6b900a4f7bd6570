"""Test nests of classes that are registered with torch only."""

import threading
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.utils import _pytree

import polyrnn
from polyrnn_torch.backend import TorchBackend


@dataclass
class Cell:
    h: Any
    c: Any


@dataclass
class Plain:
    one: Any
    other: Any


class Opaque:
    """A class that is registered by functions, without names for its children."""

    def __init__(self, one: Any, other: Any, label: str = "") -> None:
        self.one, self.other, self.label = one, other, label


_pytree.register_dataclass(Cell)
_pytree.register_pytree_node(
    Opaque,
    lambda node: ([node.one, node.other], node.label),
    lambda children, label: Opaque(children[0], children[1], label),
)


def uncompiled(function: Any) -> Any:
    return function


def compiled(function: Any) -> Any:
    return torch.compile(function, fullgraph=True, backend="aot_eager")


def digits(time: int) -> torch.Tensor:
    return torch.arange(2.0 * time * 3).reshape(2, time, 3)


@pytest.mark.parametrize("time", [3, 40])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("running", [uncompiled, compiled])
def test_a_dataclass_is_a_nest(running: Any, masked: bool, time: int) -> None:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        cell = Cell(states[0].h + x.h, states[0].c - x.c)
        return Cell(cell.h * 2, [cell.c]), [cell]

    def walk(inputs: Any, mask: Any) -> Any:
        start = Cell(torch.zeros(2, 3), torch.zeros(2, 3))
        last, outputs, (state,) = polyrnn.rnn(
            step, Cell(inputs, inputs), [start], mask=mask, backend="torch"
        )
        assert type(last) is type(outputs) is type(state) is Cell
        return last.h, last.c[0], outputs.h, outputs.c[0], state.h, state.c

    inputs = digits(time)
    mask = torch.ones(2, time) if masked else None
    totals = inputs.cumsum(1)
    expected = [2 * totals[:, -1], -totals[:, -1], 2 * totals, -totals, totals[:, -1]]
    torch.testing.assert_close(running(walk)(inputs, mask), (*expected, -totals[:, -1]))


@pytest.mark.parametrize("running", [uncompiled, compiled])
def test_a_node_keeps_what_is_no_child(running: Any) -> None:
    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        state = states[0]
        return x, Opaque(state.one + x, state.other, state.label)

    def walk(inputs: Any) -> Any:
        start = Opaque(torch.zeros(2, 3), torch.ones(2, 3), "label")
        state = polyrnn.rnn(step, inputs, start, backend="torch")[2][0]
        assert state.label == "label"
        return state.one, state.other

    one, other = running(walk)(digits(4))
    torch.testing.assert_close(one, digits(4).sum(1))
    assert other.tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (
            Cell(torch.zeros(2, 3), torch.zeros(3, 3)),
            r"^initial_states\[0\]\.c: expected the",
        ),
        (
            Opaque(torch.zeros(2, 3), torch.zeros(3)),
            r"^initial_states\[0\]\[1\]: expected the",
        ),
        ({"a": [Cell(torch.zeros(3, 3), 0)]}, r"^initial_states\[0\]\['a'\]\[0\]\.h: expected"),
    ],
)
def test_errors_name_the_leaf(state: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        polyrnn.rnn(lambda x, states: (x, states), digits(4), state, mask=torch.ones(2, 4))


def test_a_type_that_torch_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^initial_states\[0\]: expected a tensor, got .*Plain"):
        polyrnn.rnn(lambda x, states: (x, states), digits(4), Plain(digits(4), digits(4)))


Pair = namedtuple("Pair", ["one", "other"])

CONTAINERS: list[Callable[[Any, Any], Any]] = [
    lambda one, other: OrderedDict(b=one, a=other),
    lambda one, other: defaultdict(list, b=one, a=other),
    lambda one, other: Pair(one, other),
    lambda one, other: deque([one, other]),
    lambda one, other: torch.return_types.max((one, other)),
]


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_that_torch_registers_itself(container: Callable[[Any, Any], Any]) -> None:
    expected = container(torch.zeros(2, 3), torch.ones(2, 3))
    state = polyrnn.rnn(lambda x, states: (x, states), digits(4), [{"state": expected}])[2][0]
    assert type(state["state"]) is type(expected)
    torch.testing.assert_close(_pytree.tree_leaves(state["state"]), _pytree.tree_leaves(expected))


def test_threads_that_meet_a_type_at_once() -> None:
    kinds: list[Any] = [type(f"Node{number}", (Opaque,), {}) for number in range(20)]
    for kind in kinds:
        _pytree.register_pytree_node(
            kind,
            lambda node: ([node.one, node.other], node.label),
            lambda children, label, kind=kind: kind(*children, label),
        )
    found: list[int] = []

    def meet(barrier: threading.Barrier) -> None:
        for kind in kinds:
            barrier.wait()
            found.append(len(TorchBackend().nests.flatten(kind(torch.ones(1), torch.ones(1)))[0]))

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=meet, args=(barrier,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2] * len(threads) * len(kinds)
