"""Test the command line of the benchmark, on numpy and with faulty workers."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from polyrnn_benchmark import launch
from polyrnn_benchmark.command import bench

SMALL = ["--batch=3", "--time=4", "--features=2", "--units=2", "--pairs=2", "--no-peers"]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(bench, ["--backend=numpy", *SMALL, *arguments])


def slow_results(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Replace a worker by one that measures polyrnn as five times slower than its rivals."""
    one = {"median": 1.0, "lower": 1.0, "upper": 1.0}
    five = {"median": 5.0, "lower": 5.0, "upper": 5.0}
    for cell in request["cells"]:
        yield {"event": "start", "cell": cell}
        yield {"event": "pair"}
        contest = {"rival": "hand-written", "pairs": 2, "remark": ""}
        figures = {"polyrnn": five, "seconds": one, "ratio": five}
        yield {
            "event": "result",
            "result": cell | {"contests": [contest | figures], "failure": ""},
        }


def never(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Replace a worker where none may be started."""
    raise AssertionError("something was measured")


class TestTable:
    def test_it_measures_numpy(self) -> None:
        finished = invoke()
        assert finished.exit_code == 0, finished.output
        rows = [line.split() for line in finished.stdout.splitlines()]
        assert [row[:4] for row in rows if "ms" in row or "µs" in row] == [
            ["numpy", "plain", "4", "3"],
            ["masked", "4", "3", rows[5][3]],
            ["short", "4", "3", rows[6][3]],
        ]

    def test_it_writes_json_and_png(self, tmp_path: Path) -> None:
        figures, drawing = tmp_path / "f.json", tmp_path / "f.png"
        finished = invoke("--json", str(figures), "--png", str(drawing))
        assert finished.exit_code == 0, finished.output
        written = json.loads(figures.read_text())
        assert [cell["variant"] for cell in written["cells"]] == ["plain", "masked", "short"]
        for cell in written["cells"]:
            (contest,) = cell["contests"]
            assert contest["pairs"] == 2
            assert contest["ratio"]["median"] > 0
        assert written["options"]["batch"] == 3
        assert drawing.read_bytes().startswith(b"\x89PNG")

    def test_json_is_the_only_standard_output(self) -> None:
        finished = invoke("--variant=plain", "--json", "-")
        assert len(json.loads(finished.stdout)["cells"]) == 1

    def test_a_sweep_has_a_row_for_each_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(launch, "events", slow_results)
        finished = invoke("--sweep=batch")
        sizes = [line.split() for line in finished.stdout.splitlines() if "plain" in line]
        assert [row[-8] for row in sizes] == ["1", "8", "32", "128", "512"]


class TestCheck:
    def test_a_missed_bound_is_printed_and_gives_status_1(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(launch, "events", slow_results)
        finished = invoke("--check")
        assert finished.exit_code == 1
        missed = [line for line in finished.stdout.splitlines() if line.startswith("missed: ")]
        assert missed == [
            "missed: numpy, plain, T=4 B=3: 5.000 times hand-written, bound 1.05",
            "missed: numpy, masked, T=4 B=3: 5.000 times hand-written, bound 1.00",
            "missed: numpy, short, T=4 B=3: 5.000 times hand-written, bound 1.15",
        ]

    def test_without_check_it_is_shown_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(launch, "events", slow_results)
        assert invoke().exit_code == 0

    def test_bounds_that_are_met_give_status_0(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fast(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
            for event in slow_results(request):
                text = json.dumps(event).replace("5.0", "0.5")
                yield json.loads(text)

        monkeypatch.setattr(launch, "events", fast)
        finished = invoke("--check")
        assert (finished.exit_code, finished.stdout.splitlines()[-1]) == (
            0,
            "every bound is met",
        )


class TestWorkers:
    def test_one_that_ends_early_fails_what_it_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(launch, "WORKER", "polyrnn_benchmark.no_such_worker")
        finished = invoke()
        assert finished.exit_code == 1
        assert finished.stdout.count("ended with status 1") == 3
        assert "no_such_worker" in finished.stdout

    def test_its_error_is_the_exception_not_the_advice_after_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "grumbling.py").write_text(
            "import sys\n"
            "sys.stderr.write('some.OddError: no luck\\n  of its own\\nTry again.\\n')\n"
            "sys.exit(3)\n"
        )
        monkeypatch.setattr(launch, "WORKER", "grumbling")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        with pytest.raises(launch.WorkerError) as caught:
            list(launch.events({"backend": "numpy", "threads": 1}))
        assert str(caught.value) == (
            "the worker for numpy ended with status 3: some.OddError: no luck"
        )

    def test_a_worker_ends_if_its_events_are_not_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "endless.py").write_text(
            "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"
        )
        monkeypatch.setattr(launch, "WORKER", "endless")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        events = launch.events({"backend": "numpy", "threads": 1})
        process: Any = next(events)
        events.close()  # type: ignore[attr-defined]
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)

    def test_threads_and_backend_are_set_before_anything_is_imported(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("POLYRNN_BACKEND", "torch")
        monkeypatch.setenv("XLA_FLAGS", "--xla_of_the_user")
        settled = launch.environment("jax", 1)
        assert settled["OMP_NUM_THREADS"] == settled["NPROC"] == "1"
        assert settled["XLA_FLAGS"].split() == [
            "--xla_of_the_user",
            "--xla_cpu_multi_thread_eigen=false",
        ]
        assert settled["KERAS_BACKEND"] == "jax"
        assert "POLYRNN_BACKEND" not in settled
        assert launch.environment("jax", 4)["XLA_FLAGS"] == "--xla_of_the_user"

    @pytest.mark.parametrize(("probe", "cold"), [("first_call", "1"), ("growth", None)])
    def test_a_first_call_finds_nothing_compiled(
        self, probe: str, cold: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "showing.py").write_text(
            "import json, os\n"
            "print(json.dumps(os.environ.get('TORCHINDUCTOR_FORCE_DISABLE_CACHES')))\n"
        )
        monkeypatch.setattr(launch, "WORKER", "showing")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.delenv("TORCHINDUCTOR_FORCE_DISABLE_CACHES", raising=False)
        request = {"backend": "torch", "threads": 1, "probe": probe}
        shown: list[Any] = list(launch.events(request))
        assert shown == [cold]


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--variant=gradient"], "none of these backends has such a mode and variant"),
            (["--mode=jit"], "none of these backends has such a mode and variant"),
            (["--claims", "--png=x.png"], "--claims measures none"),
            (["--claims", "--mode=jit"], "nothing is claimed of these backends and modes"),
            (["--pairs=1"], "'--pairs'"),
        ],
    )
    def test_impossible_options_are_a_usage_error(self, arguments: list[str], said: str) -> None:
        finished = invoke(*arguments)
        assert finished.exit_code == 2
        assert said in finished.stderr

    def test_the_error_for_a_missing_framework_says_how_to_install_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        finished = CliRunner().invoke(bench, ["--backend=torch"])
        assert finished.exit_code == 1
        assert 'pip install "polyrnn[torch]"' in finished.stderr

    def test_a_name_that_is_no_backend_gets_a_suggestion(self) -> None:
        finished = CliRunner().invoke(bench, ["--backend=nunpy"])
        assert finished.exit_code == 2
        assert "no backend is named 'nunpy'; did you mean 'numpy'?" in finished.stderr

    def test_a_name_that_is_no_mode_gets_a_suggestion(self) -> None:
        finished = invoke("--mode=eagre")
        assert finished.exit_code == 2
        assert "no mode is named 'eagre'; did you mean 'eager'?" in finished.stderr

    def test_a_chart_needs_matplotlib_which_is_said_before_anything_is_measured(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(launch, "events", never)
        monkeypatch.delitem(sys.modules, "polyrnn_benchmark.chart", raising=False)
        monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
        monkeypatch.delattr("polyrnn_benchmark.chart", raising=False)
        finished = invoke("--png", str(tmp_path / "x.png"))
        assert finished.exit_code == 1
        assert "pip install matplotlib" in finished.stderr


def test_claims_are_tested_on_numpy() -> None:
    arguments = ["--backend=numpy", "--claims", "--json=-"]
    finished = CliRunner().invoke(bench, arguments)
    claims = json.loads(finished.stdout)["claims"]
    assert len(claims) == 4
    assert not [claim["failure"] for claim in claims if claim["failure"]]
    assert all(claim["upheld"] for claim in claims if claim["unit"] == "MB")
