"""Plant a fault and run the conformance suite, which has to find it."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest


class Mutant(NamedTuple):
    """One planted fault.

    Args:
        fault: What is wrong, in one sentence.
        rejected_by: The row of the conformance table that has to fail.
        where: The class or module in which the fault is planted.
        attribute: The name of the replaced function.
        mutate: Returns the wrong function, given the right one.
    """

    fault: str
    rejected_by: str
    where: Any
    attribute: str
    mutate: Callable[[Any], Any]

    def plant(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the function until the test ends."""
        wrong = self.mutate(getattr(self.where, self.attribute))
        monkeypatch.setattr(self.where, self.attribute, wrong)


class Verdict:
    """A pytest plug-in of the inner run that collects which rows pass and which fail.

    Args:
        awaited: The run stops when this row fails.
    """

    def __init__(self, awaited: str | None) -> None:
        self.passed: set[str] = set()
        self.failed: dict[str, str] = {}
        self._awaited = awaited
        self._session: pytest.Session | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Keep the session, to stop it."""
        self._session = session

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Run the awaited row first."""
        items.sort(key=lambda item: _row(item.nodeid) != self._awaited)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the outcome of one row."""
        row = _row(report.nodeid)
        if report.failed:
            self.failed[row] = report.longreprtext
        elif report.when == "call":
            self.passed.add(row)
        if row == self._awaited and report.failed and self._session is not None:
            self._session.shouldstop = f"{row} is rejected"


def _row(nodeid: str) -> str:
    """Return the name of the row from that of a test, in which the mode follows it."""
    return nodeid.partition("[")[2].removesuffix("]").rpartition("-")[0]


def judge(backend: str, *modules: str, awaited: str | None = None) -> Verdict:
    """Run modules of the suite on one backend in eager mode, in this process.

    Args:
        backend: The name of the backend.
        modules: The modules of the suite, such as ``"test_cases"``.
        awaited: The run stops when this row fails.
    """
    verdict = Verdict(awaited)
    status = pytest.main(
        [
            *("--pyargs", *(f"polyrnn_conformance.{module}" for module in modules)),
            *("-p", "polyrnn_conformance.plugin", "--polyrnn-backend", backend),
            *("--polyrnn-modes", "eager"),
            # The row about imports runs a new process, in which no fault is planted.
            *("-k", "not imports-alone"),
            *("-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:terminal"),
        ],
        plugins=[verdict],
    )
    expected = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    assert status in expected, status
    verdict.passed -= verdict.failed.keys()
    return verdict


def assert_rejected(backend: str, *modules: str, mutant: Mutant) -> None:
    """Assert that the suite rejects a backend with a planted fault, by the expected row."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        mutant.plant(monkeypatch)
        verdict = judge(backend, *modules, awaited=mutant.rejected_by)
    assert mutant.rejected_by in verdict.failed


def assert_accepted(backend: str, *modules: str, mutants: Sequence[Mutant]) -> None:
    """Assert that the backend without faults passes every row that rejects a fault."""
    verdict = judge(backend, *modules)
    assert verdict.failed == {}
    assert {mutant.rejected_by for mutant in mutants} <= verdict.passed


def calling(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a mutation of `rnn` from a function of the right `rnn` and the arguments."""

    def mutate(right: Any) -> Any:
        signature = inspect.signature(right)

        def mutated(*arguments: Any, **keywords: Any) -> Any:
            bound = signature.bind(*arguments, **keywords)
            bound.apply_defaults()

            def call(**changes: Any) -> Any:
                return right(**(bound.arguments | changes))

            return change(call, **bound.arguments)

        return mutated

    return mutate
