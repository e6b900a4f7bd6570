"""Test the built distributions, in environments where nothing else is installed."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "polyrnn",
    "polyrnn_numpy",
    "polyrnn_torch",
    "polyrnn_jax",
    "polyrnn_tensorflow",
    "polyrnn_benchmark",
    "polyrnn_conformance",
}
# optree depends on typing-extensions.
INSTALLED = {"numpy", "optree", "pip", "pluggy", "polyrnn", "typing-extensions"}

STEP = """
import numpy, polyrnn
def step(x, states):
    return states[0] + x, [states[0] + x]
last, _, _ = polyrnn.rnn(step, numpy.ones((2, 5, 3)), [numpy.zeros((2, 3))])
assert last.tolist() == [[5.0] * 3] * 2
print([status.name for status in polyrnn.backends() if status.state == "installed"])
"""


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command and return its output."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and the wheel from it; return their folder."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], folder)
    return folder


@pytest.fixture(scope="module", params=["*.whl", "*.tar.gz"], ids=["wheel", "source"])
def bare(
    dist: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """Install a built distribution into a new environment; return its Python."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run([python, "-m", "pip", "install", "--constraint", ROOT / "constraints.txt",
         *dist.glob(request.param)], folder)  # fmt: skip
    return python


def names_in_wheel(dist: Path) -> list[Path]:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return [Path(name) for name in archive.namelist()]


def names_in_sdist(dist: Path) -> set[str]:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_the_wheel_contains_exactly_the_packages(dist: Path) -> None:
    names = names_in_wheel(dist)
    folders = {name.parts[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == PACKAGES
    for package in PACKAGES:
        assert Path(package, "py.typed") in names
    sources = {name for name in names if name.suffix == ".py"}
    assert sources == {
        path.relative_to(base)
        for base in (ROOT, ROOT / "backends", ROOT / "conformance")
        for package in PACKAGES
        for path in (base / package).rglob("*.py")
    }


def test_the_wheel_holds_the_licence(dist: Path) -> None:
    assert any(name.name == "LICENSE" and "licenses" in name.parts for name in names_in_wheel(dist))


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "constraints.txt",
        "tox.ini",
        "backends/polyrnn_numpy/backend.py",
        "conformance/polyrnn_benchmark/command.py",
        "conformance/polyrnn_conformance/harness.py",
        "docs/examples/sunspots.csv",
        "docs/examples/sunspots.py",
        "tests/wheel/test_wheel.py",
    ],
)
def test_the_source_distribution_contains_what_its_tests_need(dist: Path, path: str) -> None:
    assert path in names_in_sdist(dist)


def test_the_source_distribution_holds_nothing_that_was_built(dist: Path) -> None:
    names = names_in_sdist(dist)
    for folder in (".tox", ".venv", ".git", ".mypy_cache"):
        assert not any(name.startswith(f"{folder}/") for name in names)


def test_the_bare_install_has_three_dependencies(bare: Path) -> None:
    listed = run([bare, "-m", "pip", "list", "--format", "freeze"], bare.parent)
    names = {line.partition("==")[0].replace("_", "-") for line in listed.splitlines()}
    assert names - {"setuptools"} == INSTALLED


def test_the_bare_install_runs_a_call(bare: Path) -> None:
    assert run([bare, "-W", "error", "-c", STEP], bare.parent) == "['numpy']\n"


def test_the_bare_install_forecasts_sunspots(bare: Path) -> None:
    example = ROOT / "docs" / "examples" / "sunspots.py"
    printed = run([bare, "-W", "error", example], bare.parent)
    assert "\nnumpy " in printed
    for name in ("jax", "tensorflow", "torch"):
        assert f'{name} is not installed; to add it: pip install "polyrnn[{name}]"' in printed


def test_the_bare_install_says_how_to_get_the_command_line(bare: Path) -> None:
    finished = subprocess.run(
        [str(bare), "-m", "polyrnn"], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert 'pip install "polyrnn[cli]"' in finished.stderr
