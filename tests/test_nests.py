"""Test that nests of inputs, states, constants and outputs keep their structure."""

import gc
import sys
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import optree
import pytest

import polyrnn
from polyrnn import nests

Pair = namedtuple("Pair", "left right")


@dataclass
class Registered:
    cell: Any
    hidden: Any


def register(kind: type[Any], namespace: str) -> None:
    names = tuple(field.name for field in fields(kind))
    optree.register_pytree_node(
        kind,
        lambda node: ([getattr(node, name) for name in names], None, names),
        lambda _, children: kind(*children),
        path_entry_type=optree.DataclassEntry,
        namespace=namespace,
    )


register(Registered, nests.NAMESPACE)


X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
H = np.zeros((2, 4), np.float32)
G = np.ones((2, 4), np.float32)

NESTS = {
    "bare": lambda a, b: a + b,
    "list": lambda a, b: [a, b],
    "tuple": lambda a, b: (a, b),
    "namedtuple": Pair,
    "dict": lambda a, b: {"b": b, "a": a},
    "dict of mixed keys": lambda a, b: {1: a, "one": b, (1,): a},
    "ordered dict": lambda a, b: OrderedDict(b=b, a=a),
    "default dict": lambda a, b: defaultdict(list, a=a, b=b),
    "registered": Registered,
    "ragged": lambda a, b: [[a, b], [a]],
    "empty parts": lambda a, b: [(), [a], {}, b],
    "none inside": lambda a, b: [None, a, {"a": None, "b": b}],
    "deep": lambda a, b: {"a": [({"b": Pair(a, [b])},)]},
}
nest = pytest.mark.parametrize("make", NESTS.values(), ids=NESTS)


def same(one: Any, other: Any) -> None:
    """Assert equal arrays in the same containers, with dict entries in the same order."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        same([*one.values()], [*other.values()])
    elif isinstance(one, Registered):
        same([one.cell, one.hidden], [other.cell, other.hidden])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for entry, counterpart in zip(one, other, strict=True):
            same(entry, counterpart)
    elif one is not None:
        np.testing.assert_array_equal(one, other, strict=True)


@nest
def test_the_step_gets_the_nest_of_the_inputs(make: Any) -> None:
    met = []

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        met.append(x)
        return H, []

    polyrnn.rnn(step, make(X, X + 1), [])
    for t in range(3):
        same(met[t], make(X[:, t], X[:, t] + 1))


@nest
def test_the_step_gets_states_and_constants_in_their_nests(make: Any) -> None:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        assert isinstance(states, list)
        same(states, [make(H, G), H, make(G, H), G])
        return x, states[:2]

    states = polyrnn.rnn(step, X, [make(H, G), H], constants=[make(G, H), G])[2]
    same(states, [make(H, G), H])


@nest
def test_outputs_have_the_nest_of_the_step(make: Any) -> None:
    last, outputs, _ = polyrnn.rnn(lambda x, s: (make(x, x * 2), []), X, [])
    same(outputs, make(X, X * 2))
    same(last, make(X[:, -1], X[:, -1] * 2))


@nest
@pytest.mark.parametrize("zeroed", [False, True])
def test_nests_are_masked_leaf_by_leaf(make: Any, zeroed: bool) -> None:
    mask = np.array([[True, False, True], [True, True, False]])
    _, outputs, (state,) = polyrnn.rnn(
        lambda x, s: (
            make(x, x * 2),
            [optree.tree_map(lambda h: h + 1, s[0], namespace="polyrnn")],
        ),
        X,
        (make(H, G),),
        mask=mask,
        zero_output_for_mask=zeroed,
    )
    held = X.copy()
    held[0, 1], held[1, 2] = (0, 0) if zeroed else (X[0, 0], X[1, 1])
    same(outputs, make(held, held * 2))
    expected = optree.tree_map(lambda h: h + 2, make(H, G), namespace="polyrnn")
    same(state, expected)


@pytest.mark.parametrize(
    ("initial", "count"),
    [
        (H, 1),
        ({"h": H}, 1),
        (Registered(H, G), 1),
        ([H], 1),
        ((H,), 1),
        (Pair(H, G), 2),
        ([Pair(H, G)], 1),
        ([[H, G], [H]], 2),
        ([()], 1),
        ([None], 1),
        ([], 0),
        ((), 0),
    ],
)
def test_a_list_or_tuple_is_a_sequence_of_states(initial: Any, count: int) -> None:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        assert len(states) == count
        return x, states

    states = polyrnn.rnn(step, X, initial)[2]
    assert type(states) is list
    assert len(states) == count


def test_states_keep_their_containers() -> None:
    initial = (Pair(H, {"b": G, "a": H}), [H], (), None)
    states = polyrnn.rnn(lambda x, s: (x, tuple(s)), X, initial)[2]
    same(states, list(initial))


@pytest.mark.parametrize("state", [H, {"h": H}, Pair(H, G), [H], (H, G), (), Registered(H, G)])
def test_a_single_state_may_be_returned_bare(state: Any) -> None:
    same(polyrnn.rnn(lambda x, s: (x, s[0]), X, [state])[2], [state])
    same(polyrnn.rnn(lambda x, s: (x, [s[0]]), X, [state])[2], [state])
    same(polyrnn.rnn(lambda x, s: (x, (s[0],)), X, [state])[2], [state])


@pytest.mark.parametrize("output", [None, (), {}, [None, ()]])
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("mask", [None, np.ones((2, 3))])
def test_a_step_may_have_an_empty_output(output: Any, everything: bool, mask: Any) -> None:
    last, outputs, (total,) = polyrnn.rnn(
        lambda x, s: (output, [s[0] + x]), X, [H], mask=mask, return_all_outputs=everything
    )
    same(last, output)
    same(outputs, output)
    np.testing.assert_array_equal(total, X.sum(axis=1))


def test_a_class_registered_in_another_namespace_is_a_leaf() -> None:
    @dataclass
    class Foreign:
        array: Any

    register(Foreign, "elsewhere")

    with pytest.raises(TypeError, match=r"^inputs: expected a tensor, got .*Foreign"):
        polyrnn.rnn(lambda x, s: (x, []), Foreign(X), [])


def test_paths_are_the_expressions_that_reach_the_leaves() -> None:
    tree = {"a": [1, Pair(2, (3,))], "b": Registered(4, None), ("t", 1): 5}
    leaves, structure = nests.flatten(tree)
    paths = nests.paths(structure)
    assert sorted(paths) == sorted(
        ["['a'][0]", "['a'][1].left", "['a'][1].right[0]", "['b'].cell", "[('t', 1)]"]
    )
    for path, leaf in zip(paths, leaves, strict=True):
        assert eval(f"tree{path}", {"tree": tree}) == leaf


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ([1], True),
        ([1.0, True, 2j], True),
        ([[1], [2, 3]], True),
        ([], False),
        ([[]], False),
        ([1, []], False),
        ((1, 2), False),
        ([1, "2"], False),
        ([np.float32(1)], False),
        (1, False),
    ],
)
def test_a_list_of_numbers_is_a_tensor(value: Any, is_one: bool) -> None:
    assert nests.is_number_list(value) is is_one


def test_classes_may_be_collected_while_a_nest_is_flattened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Before 0.19.1, optree held a lock there that the finalizer of a class also needs.
    errors: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", errors.append)
    thresholds = gc.get_threshold()
    try:
        for allocations in range(1, 40):
            gc.collect()
            gc.disable()
            for _ in range(5):
                cycle = namedtuple("cycle", "left right")
                cycle.itself = [cycle]  # type: ignore[attr-defined]
                nests.flatten(cycle(1, 2))
            del cycle
            new = [type("New", (tuple,), {})() for _ in range(10)]
            gc.set_threshold(gc.get_count()[0] + allocations, 1000, 1000)
            gc.enable()
            nests.flatten(new)
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    assert not errors
