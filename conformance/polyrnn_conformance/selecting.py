"""Select the rows that run in each mode, with a reason for those that are left out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from polyrnn_conformance.rows import Case, Check, ErrorCase, Row, dtypes_of
from polyrnn_conformance.subject import Subject

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True)
class Selection:
    """The rows that parametrize a test of the suite.

    Args:
        rows: The rows of the table.
        differentiates: The test needs gradients.
    """

    rows: tuple[Row, ...]
    differentiates: bool = False


def over(rows: Iterable[Row], *, differentiates: bool = False) -> Callable[[Test], Test]:
    """Mark a test to be run with each of the rows, in each mode.

    Args:
        rows: The rows of the table.
        differentiates: The test needs gradients.
    """

    def mark(test: Test) -> Test:
        test.__dict__["polyrnn_selection"] = Selection(tuple(rows), differentiates)
        return test

    return mark


def differentiating(test: Test) -> Test:
    """Mark a test without rows as one that needs gradients."""
    test.__dict__["polyrnn_differentiates"] = True
    return test


def pairs(
    selection: Selection, subject: Subject, modes: tuple[str, ...], *, every_error: bool
) -> list[tuple[Row, str]]:
    """Return each row with each of the modes that it applies to.

    Args:
        selection: The rows.
        subject: The backend under test.
        modes: The modes that are run.
        every_error: Run every call that has to be refused in every mode. Otherwise modes that
            trace the step, where each call is slow, run the first call of each kind; the first
            mode of a harness always runs all.
    """
    harness = subject.harness
    chosen: list[tuple[Row, str]] = []
    for mode in modes:
        is_traced = harness.step_calls(mode) != "each"
        is_sampled = not every_error and is_traced and mode != harness.modes[0]
        kinds: set[tuple[str, str]] = set()
        for row in selection.rows:
            if not _has_meaning(selection, row, subject, mode):
                continue
            if is_sampled and isinstance(row, ErrorCase):
                if row.kind in kinds:
                    continue
                kinds.add(row.kind)
            chosen.append((row, mode))
    return chosen


def _has_meaning(selection: Selection, row: Row, subject: Subject, mode: str) -> bool:
    harness = subject.harness
    if isinstance(row, Case | ErrorCase | Check) and not row.every_mode:
        return mode == harness.modes[0]
    if isinstance(row, ErrorCase) and row.by_values and mode in harness.traced_array_modes:
        return False
    if mode not in harness.unknown_shape_modes:
        return True
    # What a call is refused for is mostly a shape, which has to be known. An unrolled call
    # is itself refused, so that there is nothing to differentiate.
    if not isinstance(row, Case):
        return not isinstance(row, ErrorCase)
    if row.call.truncate_every or row.call.checkpoint_every:
        return False
    return not (row.call.unroll and selection.differentiates)


def reason_to_leave_out(selection: Selection, row: Row, subject: Subject) -> str | None:
    """Return why a backend cannot run a row, or `None` if it can."""
    harness = subject.harness
    if selection.differentiates and "gradients" in harness.limitations:
        return no_gradients(subject)
    if isinstance(row, Case | ErrorCase):
        missing = sorted(dtypes_of(row.call) - set(harness.dtypes))
        if missing:
            return f"dtypes: {subject.called} has no {', '.join(missing)}."
    if isinstance(row, Check):
        if row.needs_name and subject.name is None:
            return "names: the backend is tried as a class, not under an installed name."
        if row.needs_devices and len(harness.devices) < 2:
            return "devices: the harness names no second device."
        if row.needs_own_tensors and not subject.has_own_tensors:
            return "frameworks: NumPy arrays are neutral, and of no framework against another."
    return None


def no_gradients(subject: Subject) -> str | None:
    """Return why a backend has no gradients, or `None` if it has them."""
    sentence = subject.harness.limitations.get("gradients")
    return None if sentence is None else f"gradients: {sentence}"
