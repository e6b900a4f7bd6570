"""Test that declared limitations are left out and reported, and that wrong ones are errors."""

from typing import TYPE_CHECKING

import pytest
from harnesses import MISSING

if TYPE_CHECKING:
    from polyrnn_conformance.plugin import Run


class Account:
    """A pytest plug-in that records the outcome of a run of the suite."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[str] = []
        self.run: Run | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.rpartition("::")[2]
        if report.failed:
            self.failed.append(test)
        elif report.when == "call":
            self.passed.append(test)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from polyrnn_conformance.plugin import RUN

        self.run = session.config.stash[RUN]

    def left_out(self, capability: str) -> int:
        """Return how many cases were left out for a capability."""
        assert self.run is not None
        (count,) = (
            count
            for reason, count in self.run.left_out.items()
            if reason.startswith(f"{capability}: ")
        )
        return count


def try_out(harness: str, *modules: str, backend: str = "numpy") -> Account:
    """Run modules of the suite with one of the harnesses."""
    account = Account()
    pytest.main(
        [
            *("--pyargs", *(f"polyrnn_conformance.{module}" for module in modules)),
            *("-p", "polyrnn_conformance.plugin", "--polyrnn-backend", backend),
            *("--polyrnn-harness", f"harnesses:{harness}"),
            *("-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:terminal"),
            # Modules that this process has already imported are not imported again.
            *("-p", "no:warnings"),
        ],
        plugins=[account],
    )
    assert account.run is not None
    return account


class TestLeftOut:
    def test_what_is_declared_missing_is_not_run_but_reported(self) -> None:
        account = try_out("NumpyHarness", "test_gradients", "test_limitations")
        assert account.failed == []
        assert not any(test.startswith("test_gradients[") for test in account.passed)
        assert account.left_out("gradients") > 10

    def test_what_is_not_declared_missing_is_run(self) -> None:
        account = try_out("Differentiating", "test_gradients", "test_limitations")
        assert account.failed == []
        ran = [test for test in account.passed if test.startswith("test_gradients[")]
        assert len(ran) == try_out("NumpyHarness", "test_gradients").left_out("gradients")

    def test_every_limitation_is_reported_in_its_own_words(self) -> None:
        account = try_out("NumpyHarness", "test_limitations")
        assert account.run is not None
        told = {f"{capability}: {sentence}" for capability, sentence in MISSING.items()}
        assert told <= account.run.left_out.keys()

    def test_cases_of_dtypes_that_are_not_there_are_left_out(self) -> None:
        backend = "harnesses:RealBackend"
        account = try_out("Real", "test_cases", "test_limitations", backend=backend)
        assert account.failed == []
        assert account.run is not None
        missing = {reason for reason in account.run.left_out if reason.startswith("dtypes: ")}
        assert {reason.rpartition(" has no ")[2] for reason in missing} == {
            "complex64.",
            "complex128.",
        }


class TestClaims:
    """A declared limitation that does not exist is an error, and so is one not declared."""

    @pytest.mark.parametrize(
        ("harness", "test"),
        [
            ("Modest", "test_gradients_are_declared_as_they_are"),
            ("Boasting", "test_gradients_are_declared_as_they_are"),
            ("Compiling", "test_compilation_is_declared_as_it_is"),
            ("NotCompiling", "test_compilation_is_declared_as_it_is"),
            ("KnowingShapes", "test_unknown_shapes_are_declared_as_they_are"),
            ("FewerDtypes", "test_dtypes_are_declared_as_they_are"),
            ("Misspelling", "test_limitations_are_declared_in_sentences"),
            ("Speechless", "test_limitations_are_declared_in_sentences"),
        ],
    )
    def test_a_wrong_declaration_is_an_error_and_others_pass(self, harness: str, test: str) -> None:
        account = try_out(harness, "test_limitations")
        assert account.failed == [test]
        assert len(account.passed) == 4

    def test_dtypes_that_the_backend_lacks_are_an_error(self) -> None:
        account = try_out("Modest", "test_limitations", backend="harnesses:RealBackend")
        assert "test_dtypes_are_declared_as_they_are" in account.failed
