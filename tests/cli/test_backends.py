"""Test ``polyrnn backends``: the table, the chosen backend, and that nothing is imported."""

import json
import sys
from dataclasses import asdict
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fake_distributions import BACKEND, FRAMEWORK, PLUGIN, FakeDistributions

import polyrnn
from polyrnn.cli.group import group


def listing(*arguments: str) -> Result:
    finished = CliRunner().invoke(group, ["backends", *arguments])
    assert finished.exit_code == 0, finished.output
    return finished


def facts(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(listing(*arguments, "--json").stdout)
    return found


def row(name: str, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = (row for row in facts(*arguments)["backends"] if row["name"] == name)
    return found


def words(line_of: str) -> list[str]:
    """Return the cells of one backend's row in the table."""
    table = listing().stdout.partition("\n\n")[0].splitlines()
    (line,) = (line for line in table if line.startswith(f"{line_of} "))
    return line.split()


class TestList:
    def test_a_row_has_state_version_and_distribution(self) -> None:
        status = next(status for status in polyrnn.backends() if status.name == "numpy")
        assert words("numpy") == [
            "numpy",
            "installed",
            status.version,
            "polyrnn",
            polyrnn.__version__,
        ]

    def test_json_agrees_with_backends(self) -> None:
        assert facts()["backends"] == [asdict(status) for status in polyrnn.backends()]
        assert facts()["polyrnn"] == polyrnn.__version__

    def test_what_is_missing_comes_with_its_install_command(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", framework=None)
        assert words("abacus") == ["abacus", "missing", "polyrnn-abacus", "1.0"]
        assert "To install what is missing:\n" in listing().stdout
        assert "  pip install polyrnn-abacus\n" in listing().stdout

    def test_a_broken_plugin_is_named_with_its_distribution(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", plugin="raise RuntimeError('no beads')")
        assert words("abacus") == ["abacus", "broken", "polyrnn-abacus", "1.0"]
        last = listing().stdout.splitlines()[-1]
        assert last.startswith("  abacus (polyrnn-abacus 1.0): ")
        assert last.endswith("RuntimeError: no beads")

    def test_a_claim_to_a_taken_name_is_named_with_its_distribution(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.distribute("polyrnn-usurper", numpy="polyrnn_usurper")
        assert listing().stdout.splitlines()[-1] == (
            "  numpy (polyrnn-usurper 1.0): the name 'numpy' belongs to polyrnn "
            f"{polyrnn.__version__}"
        )

    def test_without_problems_none_are_mentioned(self) -> None:
        assert "Out of order" not in listing().stdout


class TestChosen:
    def test_by_default(self) -> None:
        assert "\nChosen now: numpy, by default.\n" in listing().stdout
        assert facts()["chosen"] == {"name": "numpy", "reason": "default", "problem": ""}

    def test_by_the_environment_without_importing_it(
        self, fakes: FakeDistributions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fakes.framework("abacus")
        monkeypatch.setenv("POLYRNN_BACKEND", "abacus")
        reason = "the environment variable POLYRNN_BACKEND=abacus"
        assert f"\nChosen now: abacus, by {reason}.\n" in listing().stdout
        assert facts()["chosen"] == {"name": "abacus", "reason": reason, "problem": ""}
        assert "abacus" not in sys.modules

    def test_by_a_block(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus")
        with polyrnn.use_backend("abacus"):
            assert facts()["chosen"]["reason"] == "polyrnn.use_backend('abacus')"

    def test_the_same_as_a_call_chooses(
        self, fakes: FakeDistributions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fakes.framework("abacus")
        monkeypatch.setenv("POLYRNN_BACKEND", "abacus")
        last, _, _ = polyrnn.rnn(lambda x, states: (x, []), [[[1.0]]], [])
        assert type(last).__module__ == facts()["chosen"]["name"]

    def test_an_unknown_name_is_said_to_be_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POLYRNN_BACKEND", "numpi")
        with pytest.raises(polyrnn.UnknownBackendError) as refused:
            polyrnn.rnn(lambda x, states: (x, []), [[[1.0]]], [])
        assert facts()["chosen"]["problem"] == str(refused.value)
        assert f"\nThat does not work: {refused.value}\n" in listing().stdout

    def test_a_missing_framework_is_said_to_be_missing(
        self, fakes: FakeDistributions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fakes.framework("abacus", framework=None)
        monkeypatch.setenv("POLYRNN_BACKEND", "abacus")
        assert facts()["chosen"]["problem"] == "abacus is not installed"

    def test_one_that_serves_by_name_only_works(
        self, fakes: FakeDistributions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fakes.framework("bad", plugin=PLUGIN.replace('("{name}",)', '("bad", "torch")'))
        monkeypatch.setenv("POLYRNN_BACKEND", "bad")
        assert facts()["chosen"]["problem"] == ""
        assert "That does not work" not in listing().stdout

    def test_a_usurper_does_not_count(self, fakes: FakeDistributions) -> None:
        fakes.distribute("polyrnn-usurper", numpy="polyrnn_usurper")
        assert facts()["chosen"]["problem"] == ""


class TestDevices:
    DEVICES = BACKEND + "    def devices(self):\n        return ['rod:0', 'rod:1']\n"
    BROKEN = BACKEND + "    def devices(self):\n        raise OSError('no driver')\n"

    def test_they_are_listed_on_request(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", backend=self.DEVICES)
        assert row("abacus", "--devices")["devices"] == ["rod:0", "rod:1"]
        assert "rod:0, rod:1" in listing("--devices").stdout

    def test_nothing_is_imported_otherwise(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", backend=self.DEVICES)
        assert "devices" not in row("abacus")
        assert "abacus" not in sys.modules

    def test_an_import_tells_the_version_that_the_metadata_do_not(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework("abacus", framework=FRAMEWORK + "\n__version__ = '3.1'\n")
        assert row("abacus")["version"] is None
        assert row("abacus", "--devices")["version"] == "3.1"

    def test_a_failing_import_is_reported_and_affects_no_other(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework("abacus", framework="raise OSError('no beads')")
        assert row("abacus", "--devices")["state"] == "broken"
        assert "OSError: no beads" in row("abacus", "--devices")["problem"]
        assert row("numpy", "--devices")["devices"] == ["cpu"]

    def test_a_failing_list_of_devices_is_reported_and_affects_no_other(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework("abacus", backend=self.BROKEN)
        found = row("abacus", "--devices")
        assert found["state"] == "broken"
        assert found["problem"] == "listing its devices fails with OSError: no driver"
        assert row("numpy", "--devices")["devices"] == ["cpu"]

    @pytest.mark.parametrize(
        ("statement", "failure"),
        [
            ("raise SystemExit(3)", "SystemExit: 3"),
            ("return None", "TypeError: 'NoneType' object is not iterable"),
        ],
    )
    def test_a_list_that_is_none(
        self, fakes: FakeDistributions, statement: str, failure: str
    ) -> None:
        fakes.framework("abacus", backend=BACKEND + f"    def devices(self): {statement}\n")
        assert row("abacus", "--devices")["problem"] == f"listing its devices fails with {failure}"

    @pytest.mark.parametrize("version", ["None", "(3, 1)"])
    def test_a_version_that_is_no_text(self, fakes: FakeDistributions, version: str) -> None:
        fakes.framework("abacus", framework=FRAMEWORK + f"\n__version__ = {version}\n")
        assert row("abacus", "--devices")["version"] is None

    def test_a_framework_that_its_backend_does_not_import(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", backend="from wrapped import WrappedBackend as FakeBackend")
        assert row("abacus", "--devices")["state"] == "installed"
