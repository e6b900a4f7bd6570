"""Test third-party backends installed with polyrnn: one that works, and several faulty ones."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import array_api_strict as xp
import numpy as np
import pytest

import polyrnn

PLUGIN = Path(__file__).parent / "polyrnn-array-api-strict" / "polyrnn_array_api_strict"


EXPECTED = {
    ("array-api-strict", "polyrnn-array-api-strict 1.0"): ("installed", ""),
    ("broken", "polyrnn-broken 1.0"): (
        "broken",
        "its plug-in 'polyrnn_broken' fails with RuntimeError: this plug-in fails on purpose",
    ),
    ("claims", "polyrnn-claims 1.0"): (
        "installed",
        "the tensors of array_api_strict choose the backend 'array-api-strict' of "
        "polyrnn-array-api-strict 1.0, and this one only by its name; the tensors of torch choose "
        f"the backend 'torch' of polyrnn {polyrnn.__version__}, and this one only by its name",
    ),
    ("exits", "polyrnn-exits 1.0"): (
        "broken",
        "its plug-in 'polyrnn_exits' fails with SystemExit: this plug-in exits on purpose",
    ),
    ("a-numpy-too", "polyrnn-greedy 1.0"): (
        "broken",
        "its plug-in 'polyrnn_numpy_too' fails with ValueError: modules: expected the modules of a "
        "framework; 'numpy' belongs to the numpy backend, and its arrays are taken by every "
        "backend",
    ),
    ("greedy", "polyrnn-greedy 1.0"): (
        "broken",
        "its plug-in 'polyrnn_greedy' fails with ValueError: modules: expected the modules of a "
        "framework; 'builtins' belongs to Python, and other types derive from those in it",
    ),
    ("shapeless", "polyrnn-greedy 1.0"): (
        "broken",
        "its plug-in 'polyrnn_shapeless' fails with TypeError: modules: expected a tuple of "
        "names, got (1, None)",
    ),
    ("numpy", f"polyrnn {polyrnn.__version__}"): ("installed", ""),
    ("numpy", "polyrnn-taken 1.0"): (
        "shadowed",
        f"the name 'numpy' belongs to polyrnn {polyrnn.__version__}",
    ),
}


def program(*arguments: str) -> str:
    """Run Python in a new process; return its output."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def accumulate(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    total = x + states[0]
    return total, [total]


def arguments() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        "inputs": generator.normal(size=(2, 5, 3)),
        "initial_states": [generator.normal(size=(2, 3))],
        "mask": np.array([[True, False, True, True, False], [False, True, True, False, False]]),
    }


class TestListed:
    def test_each_by_name_and_distribution(self) -> None:
        found = {
            (status.name, status.distribution): (status.state, status.problem)
            for status in polyrnn.backends()
        }
        assert found.items() >= EXPECTED.items()

    def test_at_the_command_line_too(self) -> None:
        rows = json.loads(program("-m", "polyrnn", "backends", "--json"))["backends"]
        found = {(row["name"], row["distribution"]): (row["state"], row["problem"]) for row in rows}
        assert found.items() >= EXPECTED.items()

    def test_without_importing_the_framework(self) -> None:
        source = "import polyrnn, sys; polyrnn.backends(); print('array_api_strict' in sys.modules)"
        assert program("-c", source) == "False\n"


class TestHarmless:
    def test_the_broken_one_is_refused_by_name_and_distribution(self) -> None:
        with pytest.raises(polyrnn.BackendBrokenError) as refused:
            polyrnn.rnn(accumulate, **arguments(), backend="broken")
        assert str(refused.value).startswith("the backend 'broken' of polyrnn-broken 1.0 is broken")
        assert str(refused.value.__cause__) == "this plug-in fails on purpose"

    def test_a_taken_name_stays_with_its_owner(self) -> None:
        with polyrnn.use_backend("numpy") as backend:
            assert type(backend).__module__ == "polyrnn_numpy.backend"

    def test_calls_by_tensors_and_by_default_still_work(self) -> None:
        for last in (
            polyrnn.rnn(accumulate, **arguments())[0],
            polyrnn.rnn(accumulate, [[[1.0]]], [[[1.0]]])[0],
        ):
            assert isinstance(last, np.ndarray)


class TestBenchmark:
    SMALL = ("--batch=3", "--time=4", "--features=2", "--units=2", "--pairs=2", "--no-peers")

    def test_it_measures_a_backend_of_others_against_python_loop(self) -> None:
        arguments = ("--backend", "array-api-strict", "--json", "-", *self.SMALL)
        cells = json.loads(program("-m", "polyrnn", "bench", *arguments))["cells"]
        assert [cell["variant"] for cell in cells] == ["plain", "masked", "short"]
        for cell in cells:
            assert cell["failure"] == ""
            (contest,) = cell["contests"]
            assert contest["rival"] == "python_loop"
            assert contest["ratio"]["median"] > 0

    def test_a_claim_to_a_name_that_is_taken_keeps_nothing_from_being_measured(self) -> None:
        arguments = ("--backend", "numpy", "--variant", "plain", "--json", "-", *self.SMALL)
        (cell,) = json.loads(program("-m", "polyrnn", "bench", *arguments))["cells"]
        assert cell["backend"] == "numpy"


class TestArrayApiStrict:
    @pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
    def test_its_tensors_choose_it_and_stay_on_their_device(self, device: str) -> None:
        call = arguments()
        inputs = xp.asarray(call["inputs"], device=xp.Device(device))
        results = polyrnn.rnn(accumulate, inputs, call["initial_states"], mask=call["mask"])
        expected = polyrnn.rnn(accumulate, **call)
        for result, value in zip(
            (*results[:2], *results[2]), (*expected[:2], *expected[2]), strict=True
        ):
            assert result.device == xp.Device(device)
            on_host = np.asarray(result.to_device(xp.Device("CPU_DEVICE")))
            np.testing.assert_array_equal(on_host, value, strict=True)

    def test_lengths_follow_the_device_too(self) -> None:
        inputs = xp.ones((2, 5, 3), device=xp.Device("device1"))
        states = [xp.zeros((2, 3), device=xp.Device("device1"))]
        last, _, _ = polyrnn.rnn(accumulate, inputs, states, input_length=np.array([2, 5]))
        totals = last.to_device(xp.Device("CPU_DEVICE"))
        assert np.asarray(totals).tolist() == [[2.0] * 3, [5.0] * 3]

    def test_a_step_finds_its_functions_in_the_namespace(self) -> None:
        assert polyrnn.namespace(xp.ones(())) is xp

    def test_it_takes_at_most_sixty_lines(self) -> None:
        lines = [
            line for file in PLUGIN.glob("*.py") for line in file.read_text("utf-8").split("\n")
        ]
        assert 0 < sum(bool(line.strip()) for line in lines) <= 60
