"""Detects steps that write into the tensors they are given, and names the tensor in an error.

`Backend.sharing` says which tensors a step may write into.
"""

from collections.abc import Callable, Sequence
from typing import Any

from polyrnn.backend import Tensor
from polyrnn.plan import Plan
from polyrnn.reading import leaf_name


def watching_constants(plan: Plan) -> Callable[[], None]:
    """Return a function that checks that no constant was written into since this call.

    Args:
        plan: The plan of the call.

    Returns:
        A function that raises a `ValueError` naming the first constant that was written into.
    """
    counts, constants = _counts(plan), plan.constants.leaves
    before = counts(constants)

    def check() -> None:
        if before is not None and counts(constants) != before:
            raise ValueError(wrote_into(plan, "constants", before, constants))

    return check


def wrote_into(plan: Plan, called: str, before: list[Any] | None, tensors: Sequence[Tensor]) -> str:
    """Return the error message for the first tensor whose count of writes has changed.

    Args:
        plan: The plan of the call.
        called: What the tensors are, ``"states"`` or ``"constants"``.
        before: The counts of writes before the step.
        tensors: The tensors.
    """
    counted = enumerate(zip(before or [], _counts(plan)(tensors) or [], strict=True))
    position = next(position for position, (old, new) in counted if old != new)
    nest = plan.states if called == "states" else plan.constants
    return _written(plan, called, nest.structure, position)


def _counts(plan: Plan) -> Callable[[Sequence[Tensor]], list[Any] | None]:
    return plan.sharing.counts or (lambda tensors: None)


def _written(plan: Plan, called: str, structure: Any, position: int) -> str:
    name = leaf_name(plan.backend, called, structure, position)
    return (
        f"step_function wrote into {name}; it has to make a new tensor instead, "
        "such as h = h + x for h += x"
    )


def naming_constants(plan: Plan) -> Callable[..., Any]:
    """Return the step function, wrapped to name a constant that it tries to write into.

    The error that the framework raises for a read-only constant does not say which one it is.

    Args:
        plan: The plan of the call.
    """
    if not plan.guards_constants:
        return plan.step_function

    def step_function(x: Any, states: list[Any]) -> Any:
        try:
            return plan.step_function(x, states)
        except ValueError as error:
            position = None
            if _is_of_writing(error):
                position = _written_constant(plan, x, states)
            if position is None:
                raise
            text = _written(plan, "constants", plan.constants.structure, position)
            raise ValueError(text) from error

    return step_function


def _is_of_writing(error: ValueError) -> bool:
    return "read-only" in str(error)


def _written_constant(plan: Plan, x: Any, states: list[Any]) -> int | None:
    """Return the position of the constant that a step tries to write into, or `None`.

    To find it, the step is called again: first with copies of all constants, which shows whether
    it writes into a constant at all, and then with copies of all constants but one at a time.
    """
    copy, (leaves, structure, _) = plan.sharing.copy, plan.constants
    unflatten = plan.backend.nests.unflatten
    of_walk = states[: -len(unflatten(structure, leaves))]

    def fails(read_only: int | None) -> bool:
        trial = [
            constant if position == read_only else copy(constant)
            for position, constant in enumerate(leaves)
        ]
        try:
            plan.step_function(x, [*of_walk, *unflatten(structure, trial)])
        except ValueError as error:
            return _is_of_writing(error)
        except Exception:  # other errors in a trial do not matter
            return False
        return False

    if fails(None):
        return None
    return next(filter(fails, range(len(leaves))), None)
