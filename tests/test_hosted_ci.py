"""Test that the hosted CI runs every environment of tox."""

import re
from configparser import RawConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_environment_of_tox_runs_there() -> None:
    tox = RawConfigParser()
    tox.read(ROOT / "tox.ini")
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    matrix = workflow[workflow.index("matrix:") : workflow.index("steps:")]
    listed = re.findall(r"^ +- (?:environment: )?(\w+)$", matrix, re.MULTILINE)
    assert sorted(listed) == sorted(tox["tox"]["env_list"].split())
