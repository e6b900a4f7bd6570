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
    selection: Selection, subject: Subject, modes: tuple[str, ...], *, is_thorough: bool
) -> list[tuple[Row, str]]:
    """Return each row with each of the modes that it applies to.

    Args:
        selection: The rows.
        subject: The backend under test.
        modes: The modes that are run.
        is_thorough: Run every row in every mode. Otherwise the modes that trace the step, where
            each call is slow, run a sample, except for the first mode of a harness.
    """
    harness = subject.harness
    chosen: list[tuple[Row, str]] = []
    for mode in modes:
        is_traced = harness.step_calls(mode) != "each"
        rows = [row for row in selection.rows if _has_meaning(selection, row, subject, mode)]
        if not is_thorough and is_traced and mode != harness.modes[0]:
            rows = _sample(selection, rows, subject)
            # Modes after the second one take turns at the calls.
            turn = harness.modes.index(mode) % 2
            rows = rows if mode in harness.modes[:2] else rows[turn::2]
        chosen.extend((row, mode) for row in rows)
    return chosen


def _sample(selection: Selection, rows: list[Row], subject: Subject) -> list[Row]:
    """Return the first refused call of each kind, and calls without those of the other test.

    Of the calls that can be differentiated, the test of gradients runs every other one, and the
    test of values the rest.
    """
    differentiable = [row for row in selection.rows if isinstance(row, Case) and row.gradients]
    if "gradients" in subject.harness.limitations:
        differentiable = []
    in_other_test = {id(row) for row in differentiable[int(selection.differentiates) :: 2]}
    kinds: set[tuple[str, str]] = set()
    sample: list[Row] = []
    for row in rows:
        if isinstance(row, ErrorCase):
            if row.kind in kinds:
                continue
            kinds.add(row.kind)
        elif id(row) in in_other_test:
            continue
        sample.append(row)
    return sample


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
