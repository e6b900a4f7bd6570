"""The rows of the conformance table."""

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
    """What every row of the table says.

    Args:
        name: Names the row; unique in the table.
        rules: The rules of the semantics that it holds a backend to.
        title: What has to be so, in one sentence.
        drift: The departure of another implementation that the row guards against,
            where one is known.
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
        gradients: Compare gradients with respect to all floating-point arrays, too.
        every_mode: Run it in every mode, not in the first alone.
    """

    call: Call
    gradients: bool = False
    every_mode: bool = True


@dataclass(frozen=True, kw_only=True)
class ErrorCase(Row):
    """A call that has to be refused with the same words on every backend.

    Args:
        call: The call.
        error: The exact type of the error.
        text: All of its text. ``<backend>`` stands for the name of the backend,
            ``<backends>`` for those of all that are installed, and ``<choice>`` for what chose
            it.
        by_the_step: The fault is what the step returns, so that the step is called;
            all other faults are found before.
        by_values: The fault is what a NumPy array holds.
        every_mode: Run it in every mode, not in the first alone.
    """

    call: Call
    error: type[Exception]
    text: str
    by_the_step: bool = False
    by_values: bool = False
    every_mode: bool = True


@dataclass(frozen=True, kw_only=True)
class Check(Row):
    """What cannot be said as one call.

    Args:
        check: Raises `AssertionError` where a backend does not hold; is run in every
            mode, as ``check(subject, mode)``.
        every_mode: Run it in every mode, not in the first alone.
        needs_name: Needs a backend that is installed under a name.
        needs_own_tensors: Needs a framework that has a type of tensor of its own.
        needs_devices: Needs a harness that names two devices.
    """

    check: "Callable[[Subject, str], None]"
    every_mode: bool = False
    needs_name: bool = False
    needs_own_tensors: bool = False
    needs_devices: bool = False


def dtypes_of(call: Call) -> set[str]:
    """Name the dtypes that a framework must have to take a call."""
    leaves = [
        leaf.value if isinstance(leaf, Host) else leaf
        for leaf in leaves_of([list(call.weights), *call.arguments().values()])
    ]
    return {
        leaf.dtype.name
        for leaf in leaves
        if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.name in Harness.dtypes
    }
