"""Fixtures for the tests of the torch backend."""

from collections.abc import Iterator

import pytest
import torch
from torch_layers import Graphs


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    """Reset the compiler, so that tests do not share compiled code or the recompile limit."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture
def graphs() -> Graphs:
    """Return a compiler that records the graphs it is given."""
    return Graphs()
