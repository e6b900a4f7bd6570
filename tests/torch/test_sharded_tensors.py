"""Test tensors sharded over a mesh of one device, which needs no other processes."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.distributed.tensor import DTensor, Shard, distribute_tensor, init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore

import polyrnn
from polyrnn_torch.backend import TorchBackend

# torch itself still uses its deprecated functions.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")


@pytest.fixture
def mesh() -> Iterator[Any]:
    torch.distributed.init_process_group("fake", rank=0, world_size=1, store=FakeStore())
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    hidden = torch.tanh(x + states[0])
    return hidden, [hidden]


def walk(inputs: Any, start: Any) -> list[Any]:
    last, outputs, states = polyrnn.rnn(step, inputs, [start])
    # For wrapped tensors the compiler does not support results that share memory.
    return [last, outputs, states[0]]


@pytest.mark.parametrize("time", [4, TorchBackend.longest_written_out + 1])
def test_a_compiled_walk_of_sharded_tensors(mesh: Any, time: int) -> None:
    plain = [torch.randn(2, time, 3), torch.zeros(2, 3)]
    sharded = [distribute_tensor(x, mesh, [Shard(0)]) for x in plain]
    compiled = torch.compile(walk, fullgraph=True, backend="aot_eager")
    for one, other in zip(compiled(*sharded), walk(*plain), strict=True):
        assert isinstance(one, DTensor)
        assert one.placements == (Shard(0),)
        torch.testing.assert_close(one.full_tensor(), other)
