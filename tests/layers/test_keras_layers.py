"""Test that cells of Keras run by polyrnn give the results of layers, on all Keras backends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "keras_layers.py"


@pytest.mark.parametrize("backend", ["numpy", "tensorflow", "torch", "jax"])
def test_cells_are_layers(backend: str) -> None:
    # Keras uses one backend in each process.
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"28 comparisons on {backend}" in done.stdout
