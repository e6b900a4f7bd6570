"""Test the sunspots example: its forecast is correct, and it needs only the bare install."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sunspots_example import load_example


@pytest.fixture(scope="module")
def example() -> Any:
    return load_example()


@pytest.fixture(scope="module")
def sunspots(example: Any) -> Any:
    return example.read_sunspots()


def forecast(example: Any, sunspots: Any) -> Any:
    """Forecast with the example's networks on numpy."""
    return example.forecast("numpy", sunspots, example.draw_networks(), lambda stage: None).mean


def test_the_data_are_complete(sunspots: Any) -> None:
    assert sunspots.years.tolist() == list(range(1700, 2009))
    numbers = dict(zip(sunspots.years.tolist(), sunspots.numbers.tolist(), strict=True))
    assert (numbers[1700], numbers[1957], numbers[2008]) == (5.0, 190.2, 2.9)


def test_the_recurrent_weights_have_the_spectral_radius(example: Any) -> None:
    for weights in example.draw_networks().recurrent_weights:
        radius = np.abs(np.linalg.eigvals(weights)).max()
        assert radius == pytest.approx(example.SPECTRAL_RADIUS)


def test_the_walk_is_the_plain_loop(example: Any) -> None:
    networks = example.draw_networks(members=2, units=20)
    series = np.sin(np.arange(7.0))
    states = example.walk("numpy", series, networks)
    for member in range(2):
        state = np.zeros(20)
        for step, number in enumerate(series):
            drive = number * networks.input_weights[member, 0] + networks.bias[member, 0]
            drive = drive + state @ networks.recurrent_weights[member]
            state = (1 - example.LEAK) * state + example.LEAK * np.tanh(drive)
            np.testing.assert_allclose(states[member, step], state, rtol=1e-12)


@pytest.mark.parametrize("method", [forecast, lambda example, data: example.autoregression(data)])
def test_no_forecast_looks_ahead(
    example: Any, sunspots: Any, method: Callable[[Any, Any], Any]
) -> None:
    known = sunspots.years < 1980
    altered = sunspots._replace(numbers=np.where(known, sunspots.numbers, 250.0))
    before, after = method(example, sunspots), method(example, altered)
    np.testing.assert_array_equal(before[known], after[known])
    assert not np.array_equal(before[~known], after[~known])


def test_the_forecast_beats_simpler_ones(example: Any, sunspots: Any) -> None:
    networks, linear, persistent = (
        example.error(numbers, sunspots)
        for numbers in (
            forecast(example, sunspots), example.autoregression(sunspots), sunspots.numbers
        )
    )  # fmt: skip
    assert networks < linear < persistent


def test_it_runs_without_rich_and_matplotlib(
    example: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(example, "find_spec", lambda name: None)
    picture = tmp_path / "sunspots.png"
    example.main(["--backend", "numpy", "--output", str(picture)])
    printed = capsys.readouterr().out
    assert f"\nnumpy    {np.__version__}" in printed
    assert 'needs matplotlib; to add it: pip install "polyrnn[examples]"' in printed
    assert not picture.exists()


def test_the_error_for_an_unknown_backend_lists_all(example: Any) -> None:
    with pytest.raises(SystemExit, match=r"'numpi'; did you mean 'numpy'\?"):
        example.main(["--backend", "numpi"])
