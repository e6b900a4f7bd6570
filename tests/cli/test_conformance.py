"""``polyrnn conformance``: its status, its table, its report, and its manners."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from shelf import Shelf

from polyrnn.cli.group import group
from polyrnn_conformance.rules import RULES

QUICK = ("--polyrnn-random-calls", "3")
"""Fewer random calls than the profile says."""

FAULTY = """
from polyrnn_numpy.backend import NumpyBackend


class Faulty(NumpyBackend):
    def loop(self, body, carry, xs, *, reverse, unroll):
        return super().loop(body, carry, xs, reverse=False, unroll=unroll)
"""

CRASHING = """
import os

from polyrnn_numpy.backend import NumpyBackend


class Crashing(NumpyBackend):
    def transpose(self, x):
        case = os.environ.get("PYTEST_CURRENT_TEST", "")
        if "[inputs-tensor-eager]" in case:
            os.abort()
        if "[backwards-eager]" in case:
            os._exit(0)
        return super().transpose(x)
"""

CRASHED = ("test_case[inputs-tensor-eager]", "test_case[backwards-eager]")

HOSTILE = {
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = ["--no-such-option"]\n',
    "conftest.py": "raise RuntimeError('the conftest of the project was imported')\n",
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a function that runs the command in a project whose settings would break it."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in HOSTILE.items():
        (folder / name).write_text(text)
    (folder / "faulty.py").write_text(FAULTY)
    (folder / "crashing.py").write_text(CRASHING)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        finished = subprocess.run(
            [sys.executable, "-m", "polyrnn", "conformance", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "20"},
            capture_output=True,
            text=True,
            check=False,
        )
        left = {path.name for path in folder.iterdir()} - {
            "__pycache__",
            "report.xml",
            "crashed.xml",
        }
        assert left == {*HOSTILE, "faulty.py", "crashing.py"}
        assert "\x1b" not in finished.stdout + finished.stderr
        return finished

    run.__dict__["folder"] = folder
    return run


@pytest.fixture(scope="module")
def right(run: Run) -> subprocess.CompletedProcess[str]:
    return run("numpy", "--json", "--junit", "report.xml", "--", *QUICK)


@pytest.fixture(scope="module")
def wrong(run: Run) -> subprocess.CompletedProcess[str]:
    return run("faulty:Faulty", "--json", "--", *QUICK)


@pytest.fixture(scope="module")
def crashed(run: Run) -> dict[str, Any]:
    finished = run(
        *("crashing:Crashing", "--workers", "2", "--json", "--junit", "crashed.xml"),
        *("--", "-k", "test_case and (inputs or backwards)"),
    )
    assert finished.returncode == 1, finished.stderr
    facts: dict[str, Any] = json.loads(finished.stdout)
    return facts


def rows(facts: dict[str, Any]) -> dict[int | None, dict[str, Any]]:
    return {row["rule"]: row for row in facts["rules"]}


class TestRight:
    def test_the_status_is_zero(self, right: subprocess.CompletedProcess[str]) -> None:
        assert right.returncode == 0, right.stderr
        facts = json.loads(right.stdout)
        assert facts["status"] == facts["failed"] == 0
        assert facts["failures"] == []

    def test_every_rule_that_has_cases_has_a_row(
        self, right: subprocess.CompletedProcess[str]
    ) -> None:
        facts = json.loads(right.stdout)
        assert {6, 7, 12, 14, 19, 20} <= rows(facts).keys()
        assert rows(facts)[7]["passed"] > 5
        assert rows(facts)[7]["name"] == RULES[7].name
        assert facts["passed"] > 100

    def test_what_was_left_out_is_counted_by_rule_and_by_reason(
        self, right: subprocess.CompletedProcess[str]
    ) -> None:
        facts = json.loads(right.stdout)
        assert facts["reasons"]["gradients: numpy does not differentiate."] > 10
        assert facts["left_out"] == sum(facts["reasons"].values())
        assert 10 < rows(facts)[19]["left_out"] < facts["left_out"]
        assert rows(facts)[10]["left_out"] == 0

    def test_progress_is_told_line_by_line(self, right: subprocess.CompletedProcess[str]) -> None:
        passed = json.loads(right.stdout)["passed"]
        lines = right.stderr.splitlines()
        assert len(lines) == 10
        assert lines[-1] == f"numpy: {passed} of {passed} done, 0 failed"

    def test_the_junit_report_has_the_cases_and_their_rules(
        self, right: subprocess.CompletedProcess[str], run: Run
    ) -> None:
        folder: Path = run.__dict__["folder"]
        cases = list(ElementTree.parse(folder / "report.xml").iter("testcase"))
        assert len(cases) == json.loads(right.stdout)["passed"]
        (case,) = (case for case in cases if case.get("name") == "test_check[step-calls-eager]")
        assert [node.attrib for node in case.iter("property")] == [
            {"name": "polyrnn_rules", "value": "10"}
        ]


class TestWrong:
    def test_the_status_is_one(self, wrong: subprocess.CompletedProcess[str]) -> None:
        assert wrong.returncode == json.loads(wrong.stdout)["status"] == 1

    def test_each_failure_is_told(self, wrong: subprocess.CompletedProcess[str]) -> None:
        facts = json.loads(wrong.stdout)
        assert facts["failed"] == len(facts["failures"]) > 5
        assert rows(facts)[7]["failed"] > 5
        assert rows(facts)[7]["failed"] > rows(facts)[17]["failed"]
        for failure in facts["failures"]:
            assert all(line in failure["text"] for line in failure["message"].splitlines())
            assert "DisagreementError" in failure["message"]

    def test_the_table_is_whole_in_a_narrow_pipe(self, run: Run) -> None:
        finished = run("faulty:Faulty", "--", "-k", "test_case and backwards")
        facts = json.loads(
            run("faulty:Faulty", "--json", "--", "-k", "test_case and backwards").stdout
        )
        lines = finished.stdout.splitlines()
        for failure in facts["failures"]:
            assert f"failed: {failure['case']}" in lines
            assert f"  {failure['message'].splitlines()[0]}" in lines
        table = [line.split() for line in lines]
        assert ["rule", "passed", "failed", "left", "out"] in table
        for rule, row in rows(facts).items():
            counts = [str(row[what]) for what in ("passed", "failed", "left_out")]
            assert [str(rule), *row["name"].split(), *counts] in table
        cases = facts["passed"] + facts["failed"]
        assert lines[-1].startswith(f"faulty:Faulty did not pass: {cases} cases")

    def test_the_whole_story_on_request(self, run: Run) -> None:
        arguments = ("faulty:Faulty", "--", "-k", "test_case and backwards")
        line_of_the_suite = "assert_agrees(subject.run(row.call, mode)"
        assert line_of_the_suite not in run(*arguments).stdout
        assert line_of_the_suite in run("--tracebacks", *arguments).stdout


class TestWorkers:
    def test_a_case_that_crashes_its_process_is_named(self, crashed: dict[str, Any]) -> None:
        messages = {failure["case"]: failure["message"] for failure in crashed["failures"]}
        assert set(messages) == set(CRASHED)
        assert all("crashed while running" in messages[case] for case in CRASHED)

    def test_the_other_cases_run(self, crashed: dict[str, Any]) -> None:
        assert crashed["failed"] == len(CRASHED)
        assert crashed["passed"] > 5

    def test_the_report_names_it(self, crashed: dict[str, Any], run: Run) -> None:
        folder: Path = run.__dict__["folder"]
        cases = list(ElementTree.parse(folder / "crashed.xml").iter("testcase"))
        assert len(cases) == crashed["passed"] + crashed["failed"]
        bad = {
            str(case.get("name"))
            for case in cases
            if any(case.find(tag) is not None for tag in ("failure", "error"))
        }
        assert bad == set(CRASHED)

    def test_all_is_counted_as_in_one_process(
        self, right: subprocess.CompletedProcess[str], run: Run
    ) -> None:
        finished = run("numpy", "--workers", "2", "--json", "--", *QUICK)
        one, two = json.loads(right.stdout), json.loads(finished.stdout)
        for what in ("passed", "failed", "left_out", "reasons", "rules", "status"):
            assert one[what] == two[what]

    def test_without_xdist_it_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "xdist", None)
        finished = CliRunner().invoke(group, ["conformance", "numpy", "--workers", "2"])
        assert finished.exit_code == 1
        assert "needs xdist; to get it" in finished.stderr


class TestRefused:
    def test_an_unknown_name(self) -> None:
        finished = CliRunner().invoke(group, ["conformance", "nunpy"])
        assert finished.exit_code == 2
        assert "no backend is named 'nunpy'; did you mean 'numpy'?" in finished.stderr

    def test_a_missing_framework(self, shelf: Shelf) -> None:
        shelf.framework("abacus", framework=None)
        finished = CliRunner().invoke(group, ["conformance", "abacus"])
        assert finished.exit_code == 2
        assert "to get it: pip install polyrnn-abacus" in finished.stderr

    def test_a_broken_backend(self, shelf: Shelf) -> None:
        shelf.framework("abacus", plugin="raise RuntimeError('no beads')")
        finished = CliRunner().invoke(group, ["conformance", "abacus"])
        assert finished.exit_code == 2
        assert "RuntimeError: no beads" in finished.stderr

    def test_a_class_that_is_not_there(self, run: Run) -> None:
        finished = run("faulty:Faultless")
        assert finished.returncode == 4
        assert "Faultless" in finished.stderr
        assert "was not tried to the end" in finished.stdout

    @pytest.mark.parametrize("missing", ["pytest", "hypothesis", "ml_dtypes"])
    def test_without_the_extra_it_says_how_to_get_it(
        self, monkeypatch: pytest.MonkeyPatch, missing: str
    ) -> None:
        monkeypatch.setitem(sys.modules, missing, None)
        finished = CliRunner().invoke(group, ["conformance", "numpy"])
        assert finished.exit_code == 1
        assert finished.stderr == (
            f"Error: the conformance suite needs {missing}; "
            'to get it: pip install "polyrnn[conformance]"\n'
        )
