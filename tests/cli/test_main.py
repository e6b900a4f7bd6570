"""Test the command as a whole: help, version, and the error without the extra."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

import polyrnn
from polyrnn.cli.group import COMMANDS, group


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True, check=False
    )


def test_the_module_runs_as_a_program() -> None:
    finished = run("-m", "polyrnn", "--version")
    assert (finished.returncode, finished.stdout) == (0, f"polyrnn {polyrnn.__version__}\n")


@pytest.mark.parametrize("missing", [["click"], ["rich"], ["click", "rich"]])
def test_without_the_extra_it_says_how_to_get_it(missing: list[str]) -> None:
    hidden = f"sys.modules.update(dict.fromkeys({missing}))"
    finished = run("-c", f"import sys; {hidden}; from polyrnn.cli import main; main()")
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr == (
        f"polyrnn: the command line needs {' and '.join(missing)}; "
        'to get it: pip install "polyrnn[cli]"\n'
    )


def test_help_names_each_command_and_what_it_does() -> None:
    finished = CliRunner().invoke(group, ["--help"])
    assert finished.exit_code == 0
    listed = finished.output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert not any(line.endswith("...") for line in listed)


def test_every_command_prints_json() -> None:
    for name in COMMANDS:
        assert "--json" in CliRunner().invoke(group, [name, "--help"]).output


def test_an_unknown_command_is_an_error() -> None:
    finished = CliRunner().invoke(group, ["bakends"])
    assert finished.exit_code == 2
    assert "bakends" in finished.stderr


def test_a_command_does_not_import_the_others() -> None:
    others = [reference.partition(":")[0] for name, reference in COMMANDS.items()]
    others.remove("polyrnn.cli.backends")
    source = (
        "import sys; from polyrnn.cli.group import group;"
        "group(['backends', '--json'], standalone_mode=False);"
        f"assert not set({others!r}) & set(sys.modules)"
    )
    finished = run("-c", source)
    assert finished.returncode == 0, finished.stderr
