"""The pytest plug-in of ``polyrnn conformance``: a progress bar, and data for the summary."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PARTS = 10
"""How many lines report the progress where the output is not a terminal."""

Tally = Counter[str]
"""The numbers of cases by outcome: ``passed``, ``failed`` and ``left out``."""


@dataclass(frozen=True)
class Failure:
    """One case that failed.

    Args:
        case: The name of the case.
        message: The message of the error.
        text: The full traceback.
    """

    case: str
    message: str
    text: str


@dataclass
class Outcome:
    """The outcome of a run of the suite.

    Args:
        tally: The counts over all cases.
        by_rule: The counts for each rule. A case of several rules counts for each of them, and a
            case of no particular rule counts under ``""``.
        left_out: The numbers of cases that were left out, by reason.
        failures: The cases that failed.
    """

    tally: Tally = field(default_factory=Counter)
    by_rule: dict[str, Tally] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def count(self, rules: str, what: str, number: int = 1) -> None:
        """Add a number of cases that have the same rules and the same outcome."""
        self.tally[what] += number
        for rule in rules.split(", "):
            self.by_rule.setdefault(rule, Counter())[what] += number


class Meter:
    """A progress bar in a terminal; elsewhere a few lines that report the progress."""

    def __init__(self, to: Console, label: str) -> None:
        self._to = to
        self._label = label
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]} failed"),
            TimeElapsedColumn(),
            console=to,
            transient=True,
            disable=not to.is_terminal or to.is_dumb_terminal,
        )
        self._task = self._bar.add_task(label, total=None, failed=0)
        self._total = self._done = self._failed = 0

    def show(self) -> None:
        """Show the bar, before the number of cases is known."""
        self._bar.start()

    def start(self, total: int) -> None:
        """Set the number of cases."""
        self._total = total
        self._bar.update(self._task, total=total)

    def advance(self, failed: bool) -> None:
        """Count one finished case."""
        self._done += 1
        self._failed += failed
        self._bar.update(self._task, advance=1, failed=self._failed)
        part = self._done * PARTS // self._total
        if self._bar.disable and part > (self._done - 1) * PARTS // self._total:
            self._to.print(
                f"{self._label}: {self._done} of {self._total} done, {self._failed} failed"
            )

    def stop(self) -> None:
        """Remove the bar."""
        self._bar.stop()


class Watcher:
    """A pytest plug-in that replaces the terminal reporter of pytest."""

    def __init__(self, meter: Meter) -> None:
        self.outcome = Outcome()
        self._meter = meter

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Unregister the terminal reporter of pytest and show the bar."""
        config.pluginmanager.unregister(name="terminalreporter")
        self._meter.show()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record errors during collection as failures."""
        if report.failed:
            self._fail(report)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Set the number of cases once pytest has collected them."""
        self._meter.start(len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Set the number of cases once a worker of pytest-xdist has collected them."""
        self._meter.start(len(ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count cases that passed or failed."""
        if report.failed:
            self._fail(report)
        elif report.when == "call":
            self.outcome.count(_rules(report.user_properties), "passed")
        # A case that crashed its process has one report, whose phase is none of pytest's.
        if report.when == "call" or (report.when != "teardown" and report.failed):
            self._meter.advance(report.failed)

    def _fail(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        self.outcome.count(_rules(getattr(report, "user_properties", [])), "failed")
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash is not None else report.longreprtext
        case = report.nodeid.rpartition("::")[2] or report.nodeid
        self.outcome.failures.append(Failure(case, message, report.longreprtext))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Remove the bar, and record which cases the suite left out, and why."""
        from polyrnn_conformance.plugin import RUN

        self._meter.stop()
        run = session.config.stash.get(RUN, None)
        if run is not None:
            self.outcome.left_out = dict(run.left_out)
            for rules, number in run.left_out_rules.items():
                self.outcome.count(rules, "left out", number)


def _rules(properties: list[tuple[str, Any]]) -> str:
    return str(dict(properties).get("polyrnn_rules", ""))
