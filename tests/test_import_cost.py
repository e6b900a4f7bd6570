"""Test that importing polyrnn is fast and imports no framework."""

import json
import subprocess
import sys
from typing import Any

import pytest

import polyrnn

FRAMEWORKS = {"jax", "numpy", "tensorflow", "torch"}
INSTALLED = [status.name for status in polyrnn.backends() if status.state == "installed"]
MILLISECONDS = 80
MEASUREMENTS = 7

PROGRAM = """
import json, sys, time
start = time.process_time()
{statement}
seconds = time.process_time() - start
print(json.dumps([1000 * seconds, sorted(sys.modules)]))
"""


def run(statement: str) -> tuple[float, set[str]]:
    """Run a statement in a new interpreter; return its milliseconds and the imported modules.

    The milliseconds are CPU time, which other processes on the machine do not affect.
    """
    command = [sys.executable, "-I", "-c", PROGRAM.format(statement=statement)]
    answer: Any = subprocess.run(command, check=True, capture_output=True, text=True)
    milliseconds, modules = json.loads(answer.stdout.splitlines()[-1])
    return milliseconds, set(modules)


@pytest.mark.parametrize("statement", ["import polyrnn", "import polyrnn; polyrnn.backends()"])
def test_no_framework_is_imported_before_it_is_chosen(statement: str) -> None:
    _, modules = run(statement)
    assert "polyrnn.recurrence" in modules
    assert not modules & FRAMEWORKS


def test_the_import_is_quick() -> None:
    # The minimum of several runs, because disturbances only add time.
    assert min(run("import polyrnn")[0] for _ in range(MEASUREMENTS)) < MILLISECONDS


@pytest.mark.parametrize("name", INSTALLED)
def test_choosing_a_backend_imports_no_other_framework(name: str) -> None:
    _, modules = run(f"import polyrnn; polyrnn.use_backend({name!r})")
    # Frameworks import numpy, and tensorflow imports jax if it is installed.
    _, brought = run(f"import {name}")
    assert modules & FRAMEWORKS == brought & FRAMEWORKS
    assert f"polyrnn_{name}.backend" in modules
