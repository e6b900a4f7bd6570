"""Import the sunspots example from its file."""

import importlib.util
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[2] / "docs" / "examples" / "sunspots.py"


def load_example() -> Any:
    """Return the example as a new module."""
    spec = importlib.util.spec_from_file_location("sunspots", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
