"""Test the sunspots example with its extra: the table and the picture."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from sunspots_example import load_example


def test_the_forecast_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sunspots.png"
    load_example().main(["--backend", "numpy", "--output", str(path)])
    printed = capsys.readouterr().out
    assert "┃ backend ┃" in printed
    assert str(path) in printed
    picture = matplotlib.image.imread(path)
    height, width, _ = picture.shape
    assert (height, width) == (864, 1760)
    # The shading of the held-out years covers a large part of the right half only.
    shade = np.isclose(picture[..., :3], np.array([0xF1, 0xEF, 0xE7]) / 255, atol=0.01).all(-1)
    assert shade[:, width // 2 :].mean() > 0.5
    assert shade[:, : width // 3].mean() == 0
