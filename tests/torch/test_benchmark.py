"""Test the benchmark of a backend without hand-written loops, gradients included."""

import numpy as np
import pytest

from polyrnn_benchmark import contest, workload
from polyrnn_benchmark.plain_framework import PlainFramework
from polyrnn_benchmark.scenarios import VARIANTS, Cell, Sizes, plugged_in
from polyrnn_torch.backend import TorchBackend
from polyrnn_torch.handwritten import TorchFramework
from polyrnn_torch.harness import TorchHarness


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_python_loop_gives_what_the_loop_by_hand_gives(name: str) -> None:
    variant = VARIANTS[name]
    sizes = variant.fit(Sizes(batch=6, time=5, features=3, units=4, dtype="float64"))
    cell = Cell(plugged_in("torch", "eager"), variant, sizes)
    results = []
    for framework in (PlainFramework(TorchHarness(TorchBackend())), TorchFramework()):
        tensors = [framework.tensor(array) for array in workload.arrays(cell)]
        call = contest.make_call(framework, cell, framework.hand_written("eager"), tensors)
        results.append([framework.array(tensor) for tensor in call()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)
