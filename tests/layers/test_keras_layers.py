"""Cells of Keras, driven by polyrnn, are the layers of Keras, on every backend of Keras."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "keras_layers.py"


@pytest.mark.parametrize("backend", ["numpy", "tensorflow", "torch", "jax"])
def test_cells_are_layers(backend: str) -> None:
    # Keras has one backend for each process.
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"28 comparisons on {backend}" in done.stdout
