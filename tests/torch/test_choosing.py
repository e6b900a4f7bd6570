"""Test blocks of `use_backend` around calls with torch, compiled too, and that they are freed."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch_layers import Graphs

import polyrnn
from polyrnn import selection
from polyrnn_torch.backend import TorchBackend

ONES = np.ones((2, 3, 4), np.float32)


class Scaling(TorchBackend):
    """A backend that scales its outputs, so that results show which object was used."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def transpose(self, x: Any) -> Any:
        return super().transpose(x) * self.factor


def total(inputs: Any, backend: Any = None) -> Any:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        return x, [states[0] + x]

    return polyrnn.rnn(step, inputs, [torch.zeros(2, 4)], backend=backend)[2][0]


def within(backend: Any) -> Generator[Any, None, None]:
    with polyrnn.use_backend(backend):
        while True:
            yield polyrnn.rnn(lambda x, states: (x, states), ONES, [])[1]


def test_blocks_may_end_out_of_order() -> None:
    one, other = within("torch"), within("numpy")
    assert isinstance(next(one), torch.Tensor)
    assert isinstance(next(other), np.ndarray)
    one.close()
    assert selection.standing_choice()[0] == "numpy"
    other.close()
    assert selection.standing_choice() == ("numpy", selection.DEFAULT)


def test_blocks_within_what_is_compiled_may_end_out_of_order() -> None:
    def walk(inputs: Any) -> Any:
        one, other = within("torch"), within("numpy")
        next(one), next(other)
        one.close()
        names = [selection.standing_choice()[0]]
        other.close()
        return inputs + 1, [*names, selection.standing_choice()[1]]

    result, met = torch.compile(walk, backend="eager")(torch.ones(2))
    assert result.tolist() == [2, 2]
    assert met == ["numpy", selection.DEFAULT]


def test_backends_in_blocks_are_freed_eagerly() -> None:
    gone = []
    for _ in range(1000):
        backend = TorchBackend()
        gone.append(weakref.ref(backend))
        with polyrnn.use_backend(backend):
            total(ONES)
        total(ONES, backend)
    del backend
    assert [reference for reference in gone if reference() is not None] == []


def test_backends_in_blocks_are_freed_and_compile_nothing_anew(graphs: Graphs) -> None:
    compiled = torch.compile(total, fullgraph=True, backend=graphs)
    inputs, gone = torch.ones(2, 3, 4), []

    def call(count: int) -> None:
        for _ in range(count):
            backend = TorchBackend()
            gone.append(weakref.ref(backend))
            with polyrnn.use_backend(backend):
                assert compiled(inputs).sum() == 24

    call(10)
    gc.collect()
    objects = len(gc.get_objects())
    call(2000)
    gc.collect()
    assert len(graphs.kept) == 1
    assert len(gc.get_objects()) - objects < 2100  # the list above keeps one reference for each
    assert [reference for reference in gone if reference() is not None] == []


def test_backends_as_arguments_are_freed_and_compile_nothing_anew(graphs: Graphs) -> None:
    compiled = torch.compile(total, fullgraph=True, backend=graphs)
    inputs, gone = torch.ones(2, 3, 4), []
    for _ in range(1000):
        backend = TorchBackend()
        gone.append(weakref.ref(backend))
        assert compiled(inputs, backend).sum() == 24
    del backend
    gc.collect()
    assert len(graphs.kept) == 1
    assert [reference for reference in gone if reference() is not None] == []


def test_objects_that_are_alive_at_once_are_distinguished() -> None:
    inputs = torch.ones(2, 3, 4)
    backends = [Scaling(factor) for factor in (1.0, 2.0, 3.0)]
    for backend in backends:
        torch.compiler.reset()
        with polyrnn.use_backend(Scaling(5.0)), polyrnn.use_backend(backend):
            compiled = torch.compile(total, fullgraph=True, backend="eager")
            assert compiled(inputs).sum() == 24 * backend.factor


def test_a_new_object_at_the_address_of_a_freed_one_is_distinguished() -> None:
    torch.compiler.reset()
    compiled = torch.compile(total, fullgraph=True, backend="eager")
    for factor in (1.0, 2.0, 2.0, 3.0):
        with polyrnn.use_backend(Scaling(factor)):
            assert compiled(torch.ones(2, 3, 4)).sum() == 24 * factor
        gc.collect()


REGISTERED = """
import numpy as np
import torch
from torch.utils import _pytree

import polyrnn
from polyrnn_torch.backend import TorchBackend

class Node:
    def __init__(self, part):
        self.part = part


_pytree.register_pytree_node(
    Node, lambda node: ([node.part], None), lambda parts, _: Node(*parts)
)


def call(part):
    def step(x, states):
        return x, [Node(states[0].part + x)]

    inputs = np.ones((2, 3, 4), np.float32)
    return polyrnn.rnn(step, inputs, [Node(part)])[2][0].part


print(torch.compile(call, fullgraph=True, backend="eager")(torch.zeros(2, 4)).sum().item())
"""


def test_a_class_registered_with_torch_is_a_nest_in_a_compiled_call() -> None:
    # In a process of its own: the compiler cannot trace the registries of other frameworks.
    finished = subprocess.run(
        [sys.executable, "-c", REGISTERED], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "24.0\n"
