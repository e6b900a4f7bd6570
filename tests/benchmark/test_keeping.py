"""Test that no result is lost by bad paths, workers that die, or interrupts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from polyrnn_benchmark import launch
from polyrnn_benchmark.command import bench
from polyrnn_benchmark.output import Output

SMALL = ["--batch=3", "--time=4", "--features=2", "--units=2", "--pairs=2", "--no-peers"]

DYING = """
import json, os, signal, sys
from pathlib import Path
from polyrnn_benchmark import worker

request = json.loads(sys.stdin.readline())


def send(event):
    print(json.dumps(event), flush=True)
    if event["event"] == "start" and event["cell"]["variant"] == "masked":
        {end}


worker.work(request, send)
"""
"""A worker that exits at the masked cell."""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(bench, ["--backend=numpy", *SMALL, *arguments])


def never(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Replace a worker where none may be started."""
    raise AssertionError("something was measured")


def variants(path: Path) -> dict[str, bool]:
    """Return the variants in a file, and whether each was measured."""
    cells = json.loads(path.read_text())["cells"]
    return {cell["variant"]: not cell["failure"] for cell in cells}


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes workers end in a given way at the masked cell."""

    def make(end: str) -> None:
        (tmp_path / "dying.py").write_text(DYING.replace("{end}", end))
        monkeypatch.setattr(launch, "WORKER", "dying")
        monkeypatch.setenv(
            "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        )

    return make


class TestPaths:
    @pytest.mark.parametrize("option", ["--json", "--png"])
    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("missing/figures", "missing does not exist"),
            ("folder", "is a directory"),
            ("file/figures", "does not exist"),
            ("sealed", "is write-protected"),
        ],
    )
    def test_one_that_cannot_be_written_is_refused_before_anything_is_measured(
        self,
        option: str,
        path: str,
        said: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(launch, "events", never)
        (tmp_path / "folder").mkdir()
        for name in ("file", "sealed"):
            (tmp_path / name).touch()
        # The user who runs the tests may be root, who can write everywhere.
        access = os.access
        monkeypatch.setattr(os, "access", lambda p, m: Path(p).name != "sealed" and access(p, m))
        finished = invoke(option, str(tmp_path / path))
        assert finished.exit_code == 2, finished.output
        assert option in finished.stderr
        words = " ".join(finished.stderr.replace("│", " ").split())
        assert said in words
        assert {entry.name for entry in tmp_path.iterdir()} == {"folder", "file", "sealed"}

    def test_a_folder_that_takes_no_file_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(**keywords: Any) -> Any:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(launch, "events", never)
        monkeypatch.setattr("tempfile.TemporaryFile", full)
        finished = invoke("--json", str(tmp_path / "figures.json"))
        assert finished.exit_code == 2
        assert "No space left on device" in finished.stderr

    def test_figures_and_chart_need_different_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(launch, "events", never)
        both = str(tmp_path / "both")
        assert invoke("--json", both, "--png", both).exit_code == 2

    def test_a_chart_may_have_any_name(self, tmp_path: Path) -> None:
        finished = invoke("--variant=plain", "--png", str(tmp_path / "chart.of-mine"))
        assert finished.exit_code == 0, finished.output
        assert (tmp_path / "chart.of-mine").read_bytes().startswith(b"\x89PNG")


class TestOutput:
    def test_it_is_the_old_file_or_the_new_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "figures"
        Output(path).write(b"old")
        path.chmod(0o640)
        Output(path).write(b"older")
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"older", 0o640)

        def interrupted(self: Path, target: Path) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Output(path).write(b"new")
        assert path.read_bytes() == b"older"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_symbolic_link_is_kept(self, tmp_path: Path) -> None:
        path, link = tmp_path / "figures", tmp_path / "link"
        link.symlink_to(path)
        Output(link).write(b"new")
        assert link.is_symlink()
        assert path.read_bytes() == b"new"

    def test_a_device_is_written_to(self) -> None:
        assert Output(Path(os.devnull)).problem() == ""
        Output(Path(os.devnull)).write(b"new")
        assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)", "raise MemoryError('too much')"]
)
def test_if_a_worker_dies_its_cell_fails_and_others_are_measured(
    end: str, dying: Any, tmp_path: Path
) -> None:
    dying(end)
    finished = invoke("--json", str(tmp_path / "figures.json"))
    assert finished.exit_code == 1
    assert variants(tmp_path / "figures.json") == {"plain": True, "masked": False, "short": True}
    failures = [line for line in finished.stdout.splitlines() if "the worker for" in line]
    assert len(failures) == 1
    assert failures[0].startswith("numpy, masked, T=4 B=3: the worker for numpy ended")


def test_each_result_is_in_the_file_as_soon_as_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "figures.json"
    events = launch.events
    seen = []

    def watched(request: Any) -> Iterator[dict[str, Any]]:
        for event in events(request):
            if event["event"] == "start":
                seen.append(len(variants(path)) if path.exists() else 0)
            yield event

    monkeypatch.setattr(launch, "events", watched)
    assert invoke("--json", str(path)).exit_code == 0
    assert seen == [0, 1, 2]
    assert json.loads(path.read_text())["complete"] is True


@pytest.mark.parametrize("to_stdout", [False, True])
def test_an_interrupt_keeps_what_was_measured(
    to_stdout: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = launch.events

    def interrupted(request: Any) -> Iterator[dict[str, Any]]:
        for event in events(request):
            if event["event"] == "start" and event["cell"]["variant"] == "short":
                raise KeyboardInterrupt
            yield event

    monkeypatch.setattr(launch, "events", interrupted)
    path, chart = tmp_path / "figures.json", tmp_path / "chart.png"
    finished = invoke("--json", "-" if to_stdout else str(path), "--png", str(chart))
    assert finished.exit_code == 130
    if to_stdout:
        path.write_text(finished.stdout)
        assert "interrupted: 2 of 3 were measured" in finished.stderr
    else:
        assert "interrupted: 2 of 3 were measured" in finished.stdout
        assert "masked" in finished.stdout
    assert variants(path) == {"plain": True, "masked": True}
    assert json.loads(path.read_text())["complete"] is False
    assert chart.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Start child processes that SIGINT interrupts, even if it does not interrupt this process."""
    # A shell script starts background jobs with SIGINT ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="there are no process groups to interrupt")
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_from_the_terminal_reaches_the_worker_too(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    options = ["--backend=numpy", "--pairs=50", "--sweep=batch", "--json", str(path)]
    with subprocess.Popen(
        [sys.executable, "-m", "polyrnn", "bench", *SMALL, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        # Five cells, each of which takes half a second or more.
        while not path.exists() and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        printed, complained = process.communicate(timeout=60)
    assert process.returncode == 130, complained
    assert "Traceback" not in printed + complained
    written = json.loads(path.read_text())
    assert f"interrupted: {len(written['cells'])} of 5 were measured" in printed
    assert written["complete"] is False


def test_where_a_file_cannot_be_written_in_the_end_the_table_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Output, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Output, "write", full)
    finished = invoke("--json", str(tmp_path / "figures.json"))
    assert finished.exit_code == 1
    assert "figures.json could not be written: No space left on device" in finished.stdout
    assert "masked" in finished.stdout
