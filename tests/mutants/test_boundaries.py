"""Faults of resets, of initial outputs and of truncated gradients are rejected."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mutation import Mutant, assert_accepted, assert_rejected

from polyrnn import plan, recurrence, step_results
from polyrnn.boundaries import Boundaries

SUITE = ("test_cases", "test_errors", "test_checks")


def crossing(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """Make a mutation of what happens before each step.

    Args:
        change: Called as ``change(right, made, slices, states, held)``.
    """

    def mutate(right: Any) -> Any:
        def mutated(made: Boundaries, first: int) -> Any:
            cross = right(made, first)
            return lambda slices, states, held: change(cross, made, slices, states, held)

        return mutated

    return mutate


def making(**change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a mutation of `make_boundaries` that changes some of its arguments."""

    def mutate(right: Any) -> Any:
        def mutated(backend: Any, x: Any, **given: Any) -> Any:
            changed = {name: to(given) for name, to in change.items()}
            return right(backend, x, **given | changed)

        return mutated

    return mutate


def shifted(given: Any) -> Any:
    """Return a reset that comes one step late."""
    reset = given["reset"]
    return None if reset is None else np.concatenate([reset[:1] & False, reset[:-1]])


def turned(given: Any) -> Any:
    reset = given["reset"]
    return reset if reset is None or not given["reverse"] else reset[::-1]


def planning(**change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a mutation of `make_plan` that replaces some of the arguments."""

    def mutate(right: Any) -> Any:
        def mutated(choice: Any, arguments: Any) -> Any:
            changed = {name: to(arguments) for name, to in change.items()}
            return right(choice, arguments._replace(**changed))

        return mutated

    return mutate


NUMPY = [
    Mutant(
        "A reset comes one step late.",
        "reset-states",
        plan,
        "make_boundaries",
        making(reset=shifted),
    ),
    Mutant(
        "A reset is turned round with the walk.",
        "reset-backwards",
        plan,
        "make_boundaries",
        making(reset=turned),
    ),
    Mutant(
        "The first step is never a reset.",
        "reset-other-states",
        plan,
        "make_boundaries",
        making(
            reset=lambda given: (
                None
                if given["reset"] is None
                else given["reset"] & (np.arange(len(given["reset"]))[:, None] > 0)
            )
        ),
    ),
    Mutant(
        "All sequences begin with the initial states.",
        "reset-other-states",
        recurrence,
        "make_plan",
        planning(reset_states=lambda arguments: None),
    ),
    Mutant(
        "The held output outlives a reset.",
        "reset-masked",
        Boundaries,
        "cross",
        crossing(lambda right, made, slices, states, held: (right(slices, states, held)[0], held)),
    ),
    Mutant(
        "All held outputs become zeros with the first reset.",
        "reset-masked",
        Boundaries,
        "cross",
        crossing(
            lambda right, made, slices, states, held: (
                right(slices, states, held)[0],
                held and [x * slices[-1].all() for x in held],
            )
        ),
    ),
    Mutant(
        "A masked step is not reset.",
        "reset-masked",
        Boundaries,
        "cross",
        crossing(
            lambda right, made, slices, states, held: (
                states
                if slices[1].ndim == 1 and not slices[1].all()
                else right(slices, states, held)[0],
                right(slices, states, held)[1],
            )
        ),
    ),
    Mutant(
        "A counter is reset, too.",
        "reset-nests-and-counter",
        Boundaries,
        "cross",
        crossing(
            lambda right, made, slices, states, held: (
                [
                    s * slices[-1].all() if s.ndim == 0 else s
                    for s in right(slices, states, held)[0]
                ],
                right(slices, states, held)[1],
            )
        ),
    ),
    Mutant(
        "The initial output is forgotten.",
        "initial-output-left",
        recurrence,
        "_initially_held",
        lambda right: lambda made: None,
    ),
    Mutant(
        "The initial output is forgotten where only the last output is kept.",
        "initial-output-last-only",
        recurrence,
        "_initially_held",
        lambda right: lambda made: right(made) if made.all_outputs else None,
    ),
    Mutant(
        "The initial output is not checked.",
        "refuses-initial-output-of-other-dtype",
        step_results,
        "check_like",
        lambda right: lambda *arguments: None,
    ),
    Mutant(
        "Reset states are not checked.",
        "refuses-reset-states-of-other-shape",
        plan,
        "check_like",
        lambda right: lambda *arguments: None,
    ),
    Mutant(
        "Any number of steps is right.",
        "refuses-truncate-every-0",
        plan,
        "read_step_count",
        lambda right: lambda argument, value, sizes: value or None,
    ),
]
"""Faults that NumPy shows."""

FRONT = ("test_gradients", "test_checks")


def every_other(right: Any) -> Any:
    def mutated(made: Boundaries, position: int) -> Any:
        cut = right(made, position)

        def first_state_alone(slices: Any, states: Any, held: Any) -> Any:
            cut_states, held = cut(slices, states, held)
            return [*cut_states[:-1], states[-1]], held

        return cut and first_state_alone

    return mutated


TORCH = [
    Mutant(
        "Gradients are not cut off.",
        "truncated-gradients",
        Boundaries,
        "_cut",
        lambda right: lambda made, position: None,
    ),
    Mutant(
        "The last state is not cut off.",
        "truncated-gradients",
        Boundaries,
        "_cut",
        every_other,
    ),
    Mutant(
        "The held output is not cut off.",
        "truncated-gradients-masked",
        Boundaries,
        "_cut",
        lambda right: (
            lambda made, position: (
                (cut := right(made, position))
                and (lambda slices, states, held: (cut(slices, states, None)[0], held))
            )
        ),
    ),
    Mutant(
        "Blocks count from the beginning of time.",
        "truncated-gradients-backwards",
        plan,
        "make_boundaries",
        making(reverse=lambda given: False),
    ),
    Mutant(
        "Blocks are one step longer.",
        "truncated-gradients",
        plan,
        "make_boundaries",
        making(
            truncate_every=lambda given: given["truncate_every"] and given["truncate_every"] + 1
        ),
    ),
    Mutant(
        "A masked step is given the initial state where it meets the reset state.",
        "reset-padding-unmet-state",
        Boundaries,
        "first_met",
        lambda right: lambda made, mask, states, reverse: states,
    ),
    Mutant(
        "No gradient reaches the reset states.",
        "reset-other-states",
        plan,
        "make_boundaries",
        making(reset_states=lambda given: [state.detach() for state in given["reset_states"]]),
    ),
]
"""Faults that only gradients show."""


@pytest.mark.parametrize("mutant", NUMPY, ids=lambda mutant: mutant.fault)
def test_a_fault_is_rejected(mutant: Mutant) -> None:
    assert_rejected("numpy", *SUITE, mutant=mutant)


@pytest.mark.parametrize("mutant", TORCH, ids=lambda mutant: mutant.fault)
def test_a_fault_of_gradients_is_rejected(mutant: Mutant) -> None:
    assert_rejected("torch", *FRONT, mutant=mutant)


def test_no_fault_passes() -> None:
    assert_accepted("numpy", *SUITE, mutants=NUMPY)
    assert_accepted("torch", *FRONT, mutants=TORCH)
