"""Test that the sunspots example gives the same forecast on every framework."""

from pathlib import Path

import pytest
from sunspots_example import load_example

import polyrnn

# Rounding differs, most of all on jax, which computes in float32 by default.
TOLERANCES = {"numpy": 0.0, "torch": 1e-6, "tensorflow": 1e-6, "jax": 0.01}


def test_every_backend_forecasts_the_same(tmp_path: Path) -> None:
    example = load_example()
    sunspots = example.read_sunspots()
    names = ["numpy", "torch", "tensorflow", "jax"]
    results = {result.backend: result for result in example.run(names, sunspots)}
    assert sorted(results) == sorted(status.name for status in polyrnn.backends())
    for name, tolerance in TOLERANCES.items():
        difference = abs(results[name].mean - results["numpy"].mean).max()
        assert difference <= tolerance, name


def test_the_table_has_a_row_for_each_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = load_example()
    monkeypatch.setattr(example, "find_spec", lambda name: None)
    example.main(["--output", str(tmp_path / "sunspots.png")])
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    for status in polyrnn.backends():
        assert rows[status.name][1] == status.version
    assert rows["torch"][2] == "float64"
    assert rows["jax"][2] == "float32"
