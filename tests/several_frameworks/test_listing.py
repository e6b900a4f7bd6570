"""Test that ``polyrnn backends`` with every framework installed is fast and imports none."""

import json
import os
import subprocess
import sys

FRAMEWORKS = {"jax", "numpy", "tensorflow", "torch"}


def run(*arguments: str) -> str:
    finished = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True
    )
    return finished.stdout


def test_all_four_are_installed_with_versions() -> None:
    rows = json.loads(run("-m", "polyrnn", "backends", "--json"))["backends"]
    installed = {row["name"] for row in rows if row["state"] == "installed" and row["version"]}
    assert installed >= FRAMEWORKS


def test_none_is_imported_even_if_the_environment_chooses_it() -> None:
    source = (
        "import os, sys; os.environ['POLYRNN_BACKEND'] = 'tensorflow';"
        "from polyrnn.cli.group import group;"
        "group(['backends'], standalone_mode=False);"
        f"print({FRAMEWORKS!r} & sys.modules.keys())"
    )
    output = run("-c", source)
    assert "Chosen now: tensorflow" in output
    assert output.splitlines()[-1] == "set()"


def test_it_takes_less_than_half_a_second() -> None:
    # CPU time, which other processes on the machine do not affect.
    before = os.times()
    run("-m", "polyrnn", "backends")
    after = os.times()
    taken = after.children_user + after.children_system
    assert taken - before.children_user - before.children_system < 0.5


def test_devices_are_listed_on_request() -> None:
    rows = json.loads(run("-m", "polyrnn", "backends", "--devices", "--json"))["backends"]
    devices = {row["name"]: row["devices"] for row in rows if row["name"] in FRAMEWORKS}
    assert devices.keys() == FRAMEWORKS
    assert all(any("cpu" in device.lower() for device in named) for named in devices.values())
