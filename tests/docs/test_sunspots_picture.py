"""The example on sunspots with its extra: a table, and a picture that shows something."""

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
    # The shade of the held-out years fills a good part of the right half, and nothing left of it.
    shade = np.isclose(picture[..., :3], np.array([0xF1, 0xEF, 0xE7]) / 255, atol=0.01).all(-1)
    assert shade[:, width // 2 :].mean() > 0.5
    assert shade[:, : width // 3].mean() == 0
