"""Fixtures for the tests of the torch backend."""

from collections.abc import Iterator

import pytest
import torch
from torch_layers import Graphs


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    """Let no test live on what another compiled, or count against the limit of compilations."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture
def graphs() -> Graphs:
    """Give a compiler that keeps the graphs it is given."""
    return Graphs()
