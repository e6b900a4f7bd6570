"""Test that third-party backends are measured, against their own loops or `python_loop`."""

import json
import os
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from click.testing import CliRunner
from fake_distributions import PLUGIN, FakeDistributions

from polyrnn_benchmark import contest, peers, workload
from polyrnn_benchmark.command import bench
from polyrnn_benchmark.plain_framework import PlainFramework
from polyrnn_benchmark.scenarios import (
    MASKED,
    PLAIN,
    SHORT,
    Cell,
    Sizes,
    Variant,
    plugged_in,
)
from polyrnn_conformance import Harness
from polyrnn_numpy.backend import NumpyBackend
from polyrnn_numpy.handwritten import NumpyFramework

SMALL = ["--batch=3", "--time=4", "--features=2", "--units=2", "--pairs=2", "--no-peers"]

BACKEND = """
import {name}
from polyrnn_numpy.backend import NumpyBackend


class FakeBackend(NumpyBackend):
    pass
"""

HARNESSES = {
    "modes": """
from polyrnn_conformance import Harness


class FakeHarness(Harness):
    modes = ("eager", "slowly", "blindly")
    unknown_shape_modes = ("blindly",)
""",
    "loops": """
from polyrnn_conformance import Harness


class FakeHarness(Harness):
    handwritten = "polyrnn_numpy.handwritten:NumpyFramework"
""",
    "broken": "raise RuntimeError('no harness today')",
}

Plug = Callable[..., None]


@pytest.fixture
def plug(fakes: FakeDistributions, monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Return a function that installs a fake backend, for workers too."""
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(fakes.folder), path])))

    def make(harness: str | None = None, **options: Any) -> None:
        plugin = PLUGIN
        if harness is not None:
            fakes.write("tiny_harness", HARNESSES[harness])
            named = 'harness="tiny_harness:FakeHarness",\n    )'
            plugin = plugin.replace("    )", "        " + named, 1)
        options = {"framework": "", **options}
        fakes.framework("tiny", plugin=plugin, backend=BACKEND, **options)

    return make


def measured(*arguments: str, status: int = 0) -> tuple[list[dict[str, Any]], str]:
    """Run the command; return the cells and its other output."""
    finished = CliRunner().invoke(bench, [*SMALL, *arguments, "--json=-"])
    assert finished.exit_code == status, finished.output
    cells: list[dict[str, Any]] = json.loads(finished.stdout)["cells"]
    return cells, finished.stderr


def rivals(cell: dict[str, Any]) -> list[str]:
    return [contest["rival"] for contest in cell["contests"]]


def test_without_a_harness_it_is_measured_eagerly_against_python_loop(plug: Plug) -> None:
    plug()
    cells, _ = measured("--backend=tiny")
    assert [(cell["mode"], cell["variant"]) for cell in cells] == [
        ("eager", "plain"),
        ("eager", "masked"),
        ("eager", "short"),
    ]
    for cell in cells:
        assert cell["failure"] == ""
        assert rivals(cell) == ["python_loop"]
        assert cell["contests"][0]["bound"] is None


def test_in_the_modes_that_its_harness_names(plug: Plug) -> None:
    plug("modes")
    cells, _ = measured("--backend=tiny", "--variant=plain")
    assert [cell["mode"] for cell in cells] == ["eager", "slowly"]
    cells, _ = measured("--backend=tiny", "--variant=plain", "--mode=slowly")
    assert [cell["mode"] for cell in cells] == ["slowly"]


def test_against_the_loops_that_its_harness_names(plug: Plug) -> None:
    plug("loops")
    cells, _ = measured("--backend=tiny", "--variant=masked")
    assert [rivals(cell) for cell in cells] == [["hand-written"]]


def test_where_no_backend_is_named_it_comes_after_those_of_polyrnn(plug: Plug) -> None:
    plug()
    cells, _ = measured("--variant=plain", "--mode=eager")
    backends = [cell["backend"] for cell in cells]
    assert backends[0] == "numpy"
    assert backends[-1] == "tiny"


def test_a_backend_that_cannot_be_measured_affects_no_other(plug: Plug) -> None:
    plug("broken")
    cells, said = measured("--variant=plain", "--backend=tiny", "--backend=numpy", status=1)
    assert [cell["backend"] for cell in cells] == ["numpy"]
    assert "tiny: the worker for tiny ended with status 1: RuntimeError: no harness today" in said


def test_the_error_for_a_missing_framework_says_how_to_install_it(plug: Plug) -> None:
    plug(framework=None)
    finished = CliRunner().invoke(bench, ["--backend=tiny"])
    assert finished.exit_code == 1
    assert "To get it: pip install polyrnn-tiny" in finished.stderr


def test_one_whose_name_is_claimed_twice_is_measured(plug: Plug, fakes: FakeDistributions) -> None:
    fakes.distribute("polyrnn-taken", numpy="polyrnn_taken")
    plug()
    cells, _ = measured("--backend=numpy", "--variant=plain")
    assert len(cells) == 1


def test_keras_is_not_a_peer_of_third_party_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert peers.peers("tiny") == {}


class Poor(NumpyBackend):
    """A backend whose namespace lacks a function that the loop needs."""

    namespace: ClassVar[Any] = os


class TestPlainFramework:
    @pytest.mark.parametrize("variant", [PLAIN, MASKED, SHORT])
    def test_it_agrees_with_the_hand_written_loop(self, variant: Variant) -> None:
        sizes = Sizes(batch=6, time=5, features=3, units=4, dtype="float64")
        cell = Cell(plugged_in("numpy", "eager"), variant, variant.fit(sizes))
        plain, by_hand = PlainFramework(Harness(NumpyBackend())), NumpyFramework()
        results = [
            contest.make_call(
                framework, cell, framework.hand_written("eager"), workload.arrays(cell)
            )()
            for framework in (plain, by_hand)
        ]
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)

    def test_it_says_what_the_namespace_lacks(self) -> None:
        with pytest.raises(AttributeError, match="namespace: os has no exp, matmul, stack, tanh"):
            PlainFramework(Harness(Poor()))
