"""The rows of the conformance table."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from polyrnn_conformance.calls import Call
from polyrnn_conformance.harness import Harness
from polyrnn_conformance.trees import Host, leaves_of

if TYPE_CHECKING:
    from polyrnn_conformance.subject import Subject


@dataclass(frozen=True, kw_only=True)
class Row:
    """The fields that all rows of the table have.

    Args:
        name: The name of the row, unique in the table.
        rules: The numbers of the rules that the row tests.
        title: One sentence that says what has to hold.
        drift: How another implementation departs from it, if one is known to.
    """

    name: str
    rules: tuple[int, ...]
    title: str
    drift: str = ""


@dataclass(frozen=True, kw_only=True)
class Case(Row):
    """A call whose results have to agree with the reference.

    Args:
        call: The call.
        gradients: Also compare gradients with respect to all real floating-point arrays.
        every_mode: Run it in every mode, not only in the first.
    """

    call: Call
    gradients: bool = False
    every_mode: bool = True


@dataclass(frozen=True, kw_only=True)
class ErrorCase(Row):
    """A call that has to raise the same error on every backend.

    Args:
        call: The call.
        error: The exact type of the error.
        text: The full text of the error. ``<backend>`` stands for the name of the backend,
            ``<backends>`` for those of all installed backends, and ``<choice>`` for what chose
            the backend.
        by_the_step: The step returns the wrong value, so that it is called; all other
            errors are raised before the step is called.
        by_values: The error depends on the values of a NumPy array.
        every_mode: Run it in every mode, not only in the first.
    """

    call: Call
    error: type[Exception]
    text: str
    by_the_step: bool = False
    by_values: bool = False
    every_mode: bool = True

    @property
    def kind(self) -> tuple[str, str]:
        """What is refused: the type of the error and the argument that its text names."""
        return self.error.__name__, re.split(r"[^\w ]", self.text, maxsplit=1)[0]


@dataclass(frozen=True, kw_only=True)
class Check(Row):
    """A test that is more than one call.

    Args:
        check: Called as ``check(subject, mode)``; raises `AssertionError` on failure.
        every_mode: Run it in every mode, not only in the first.
        needs_name: Needs a backend that is installed under a name.
        needs_own_tensors: Needs a framework with a tensor type of its own.
        needs_devices: Needs a harness that names two devices.
    """

    check: "Callable[[Subject, str], None]"
    every_mode: bool = False
    needs_name: bool = False
    needs_own_tensors: bool = False
    needs_devices: bool = False


def dtypes_of(call: Call) -> set[str]:
    """Return the names of the dtypes that a framework must have to run a call."""
    leaves = [
        leaf.value if isinstance(leaf, Host) else leaf
        for leaf in leaves_of([list(call.weights), *call.arguments().values()])
    ]
    return {
        leaf.dtype.name
        for leaf in leaves
        if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.name in Harness.dtypes
    }
