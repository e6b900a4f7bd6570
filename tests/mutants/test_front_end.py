"""Test that the suite rejects faults planted in the front end."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mutation import Mutant, assert_accepted, assert_rejected

import polyrnn
from polyrnn import (
    mask_arguments,
    nests,
    plan,
    reading,
    recurrence,
    registry,
    step_results,
    stepping,
    unsupported,
)
from polyrnn_numpy.backend import NumpyBackend

SUITE = ("test_cases", "test_errors", "test_checks")


def planning(change: Callable[[plan.Plan], dict[str, Any]]) -> Callable[[Any], Any]:
    """Return a mutation of `make_plan` from a function that returns the fields to replace."""

    def mutate(right: Any) -> Any:
        def mutated(*arguments: Any, **keywords: Any) -> Any:
            made = right(*arguments, **keywords)
            return made._replace(**change(made))

        return mutated

    return mutate


def with_mask(made: plan.Plan, change: Callable[[Any], Any]) -> Any:
    masking = made.masking
    if masking is None:
        return None
    expanded = masking.expanded
    return masking._replace(expanded=expanded._replace(mask=change(expanded.mask)))


def widened(nest: Any) -> Any:
    return nest._replace(leaves=[x.astype(np.result_type(x, "f8")) for x in nest.leaves])


def states_of_masked_steps_too(right: Any) -> Any:
    def mutated(made: plan.Plan, step: Any) -> Any:
        masked, unmasked = right(made, step), right(made._replace(masking=None), step)

        def body(carry: Any, slices: Any) -> Any:
            (_, held), outputs = masked(carry, slices)
            (states, _), _ = unmasked(carry, slices)
            return (states, held), outputs

        return body if made.masking is not None else masked

    return mutated


def counters_stay_at_masked_steps(right: Any) -> Any:
    def mutated(made: plan.Plan, step: Any) -> Any:
        body = right(made, step)

        def wrong(carry: Any, slices: Any) -> Any:
            (states, held), outputs = body(carry, slices)
            mask = slices[len(made.inputs.leaves)]
            states = [
                old if np.ndim(new) == 0 and not mask.all() else new
                for new, old in zip(states, carry[0], strict=True)
            ]
            return (states, held), outputs

        return body if made.masking is None else wrong

    return mutated


def within_a_walk(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a mutation of `_walk` that changes the plans of calls within step functions."""

    def mutate(right: Any) -> Any:
        under_way: list[Any] = []

        def mutated(made: plan.Plan) -> Any:
            under_way.append(made)
            try:
                return right(change(made) if len(under_way) > 1 else made)
            finally:
                under_way.pop()

        return mutated

    return mutate


def three_deep(right: Any) -> Any:
    depth: list[Any] = []

    def mutated(made: plan.Plan) -> Any:
        depth.append(made)
        try:
            last, outputs, states = right(made)
            return (last * 0 if len(depth) > 2 else last), outputs, states
        finally:
            depth.pop()

    return mutated


def all_states_are_of_samples(right: Any) -> Any:
    def mutated(backend: Any, mask: Any, inputs: Any, states: Any, **keywords: Any) -> Any:
        if any(np.ndim(state) == 0 for state in states):
            raise ValueError("a state has no batch")
        return right(backend, mask, inputs, states, **keywords)

    return mutated


def foreign(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a mutation of `convert` that treats arrays of a non-native byte order differently."""

    def mutate(right: Any) -> Any:
        def mutated(self: Any, value: Any, like: Any = None) -> Any:
            dtype = getattr(value, "dtype", None)
            return change(value) if dtype is not None and not dtype.isnative else right(self, value)

        return mutated

    return mutate


PLANS: list[tuple[str, str, Callable[[plan.Plan], dict[str, Any]]]] = [
    (
        "The mask is inverted.",
        "mask-bool",
        lambda made: {"masking": with_mask(made, lambda mask: ~mask)},
    ),
    (
        "The mask is reversed with go_backwards.",
        "backwards-masked",
        lambda made: {
            "masking": with_mask(made, lambda mask: mask[::-1] if made.reverse else mask)
        },
    ),
    (
        "States are widened.",
        "dtype-float16",
        lambda made: {"states": widened(made.states)},
    ),
    (
        "Constants are widened.",
        "constants",
        lambda made: {"constants": widened(made.constants)},
    ),
    (
        "Constants come before the states.",
        "constants",
        lambda made: (
            {
                "step_function": lambda x, given: made.step_function(
                    x,
                    given[-made.constants.structure.num_children :]
                    + given[: -made.constants.structure.num_children],
                )
            }
            if made.constants.leaves
            else {}
        ),
    ),
    (
        "The step gets a tuple.",
        "step-gets-list-of-its-own",
        lambda made: {"step_function": lambda x, given: made.step_function(x, tuple(given))},
    ),
    (
        "Nested inputs reach the step as a list of leaves.",
        "inputs-dict",
        lambda made: {
            "step_function": lambda x, given: made.step_function(
                list(x.values()) if isinstance(x, dict) else x, given
            )
        },
    ),
]

OTHERS = [
    (
        "A state of rank 0 has to have a batch.",
        "masked-counter",
        plan,
        "make_masking",
        all_states_are_of_samples,
    ),
    (
        "A state of rank 0 stays at masked steps.",
        "masked-counter",
        recurrence,
        "make_body",
        counters_stay_at_masked_steps,
    ),
    (
        "A list is no tuple.",
        "states-lists-for-tuples",
        step_results,
        "_form",
        lambda _: lambda backend, tree: object(),
    ),
    (
        "A list of one tensor is accepted for any nest of one.",
        "refuses-step-other-keys",
        step_results,
        "_form",
        lambda _: lambda backend, tree: len(backend.nests.flatten(tree)[0]),
    ),
    (
        "One tensor is passed as two states.",
        "writing-state-returned-twice",
        NumpyBackend,
        "sharing",
        lambda right: property(lambda self: right.fget(self)._replace(hand_out=None)),
    ),
    (
        "A step may write into constants.",
        "writing-constant",
        NumpyBackend,
        "sharing",
        lambda right: property(lambda self: right.fget(self)._replace(read_only=lambda x: x)),
    ),
    (
        "The error does not name what was written into.",
        "writing-constant",
        stepping,
        "naming_constants",
        lambda _: lambda made: made.step_function,
    ),
    (
        "States are not held at masked steps.",
        "masked-states-stay",
        recurrence,
        "make_body",
        states_of_masked_steps_too,
    ),
    (
        "A mask needs no states with a batch.",
        "refuses-masked-state-without-batch",
        plan,
        "check_masked_states",
        lambda _: lambda *arguments: None,
    ),
    (
        "A step may change dtypes and shapes.",
        "refuses-step-wider-dtype",
        step_results.StepResults,
        "_checked",
        lambda _: lambda self, leaves, *arguments: leaves,
    ),
    (
        "A step may change shapes.",
        "refuses-step-other-shape",
        step_results,
        "shapes_agree",
        lambda _: lambda *arguments: True,
    ),
    (
        "A masked output needs no batch.",
        "refuses-step-masked-output-without-batch",
        step_results,
        "check_masked_output",
        lambda _: lambda *arguments: None,
    ),
    (
        "Everything that NumPy can convert is a tensor.",
        "refuses-foreign-inputs",
        reading.Reader,
        "_check_convertible",
        lambda _: lambda *arguments: None,
    ),
    (
        "Every output that NumPy can convert is a tensor.",
        "refuses-foreign-output",
        reading.Reader,
        "_check_convertible",
        lambda right: (
            lambda self, value, where: (
                None if where().startswith("output") else right(self, value, where)
            )
        ),
    ),
    (
        "Masked arrays lose their masks.",
        "refuses-masked-array-inputs",
        NumpyBackend,
        "convert",
        lambda _: lambda self, value, like=None: np.asarray(value),
    ),
    (
        "A step may return a masked array.",
        "refuses-masked-array-new-state",
        step_results.StepResults,
        "_checked",
        lambda right: (
            lambda self, leaves, *rest: right(self, [np.asarray(leaf) for leaf in leaves], *rest)
        ),
    ),
    (
        "Masked arrays are accepted as masks and lengths.",
        "refuses-masked-array-lengths",
        mask_arguments,
        "why_not_plain",
        lambda _: lambda array: None,
    ),
    (
        "Matrices are arrays.",
        "refuses-matrix",
        unsupported,
        "why_not_plain",
        lambda right: lambda array: None if isinstance(array, np.matrix) else right(array),
    ),
    (
        "Objects are numbers.",
        "refuses-inputs-of-objects",
        unsupported,
        "holds_numbers",
        lambda right: lambda array: array.dtype == object or right(array),
    ),
    (
        "Nests may have any number of levels.",
        "refuses-deep-states",
        nests,
        "ends",
        lambda _: lambda tree: True,
    ),
    (
        "Nests have few levels.",
        "deep-nest",
        nests,
        "MOST_LEVELS",
        lambda _: 64,
    ),
    (
        "use_backend chooses nothing.",
        "choice-by-context",
        polyrnn.use_backend,
        "__enter__",
        lambda _: lambda self: None,
    ),
    (
        "The namespace is that of Python numbers.",
        "namespace-of-tensors",
        polyrnn,
        "namespace",
        lambda _: lambda x: math,
    ),
    (
        "The error for an unknown name suggests nothing.",
        "refuses-unknown-name",
        registry,
        "_unknown",
        lambda _: lambda name, names: f"no backend is named {name!r}",
    ),
    (
        "A name in capitals is near to none.",
        "refuses-inexact-name",
        registry,
        "_unknown",
        lambda right: (
            lambda name, names: (
                right(name, names if name == name.lower() else [])
                + f" There are: {', '.join(names)}."
            )
        ),
    ),
    (
        "A framework tells what of a mask is zero.",
        "mask-list-of-complex",
        mask_arguments,
        "_nonzero_on_host",
        lambda _: lambda backend, array: array.real,
    ),
    (
        "Tiny numbers in a mask are zero.",
        "mask-list-of-tiny-numbers",
        mask_arguments,
        "_nonzero_on_host",
        lambda _: lambda backend, array: array.astype("float32") if array.dtype == "f8" else array,
    ),
    (
        "Integers in a mask are narrowed.",
        "mask-list-of-large-integers",
        mask_arguments,
        "_nonzero_on_host",
        lambda _: lambda backend, array: array.astype("int32") if array.dtype == "i8" else array,
    ),
    (
        "Arrays keep a non-native byte order.",
        "neutral-byte-order-float32",
        NumpyBackend,
        "convert",
        foreign(lambda value: value),
    ),
    (
        "Arrays have their bytes swapped, but keep the dtype.",
        "neutral-byte-order-float32",
        NumpyBackend,
        "convert",
        foreign(lambda value: value.byteswap()),
    ),
    (
        "Arrays are read in the wrong byte order.",
        "neutral-byte-order-int32",
        NumpyBackend,
        "convert",
        foreign(lambda value: value.view(value.dtype.newbyteorder("="))),
    ),
    (
        "Lengths are not checked in tuples.",
        "refuses-lengths-tuple-too-long",
        mask_arguments,
        "_host_array",
        lambda right: (
            lambda argument, value: None if type(value) is tuple else right(argument, value)
        ),
    ),
    (
        "True is accepted as a length of 1 in a list of integers.",
        "refuses-lengths-bool-in-list",
        mask_arguments,
        "_entries",
        lambda right: lambda value: [e + 0 if e is True else e for e in right(value)],
    ),
    (
        "An empty list of lengths becomes an array of floats.",
        "lengths-of-no-samples",
        mask_arguments,
        "_entries",
        lambda right: lambda value: right(value) or [np.asarray([])],
    ),
    (
        "Lengths are narrowed before they are checked.",
        "refuses-lengths-uint64-too-long",
        mask_arguments,
        "_host_array",
        lambda right: (
            lambda argument, value: (
                right(argument, value).astype("int8") if isinstance(value, np.ndarray) else value
            )
        ),
    ),
]

NESTED: list[tuple[str, str, Any]] = [
    (
        "A call within the step of another goes backwards.",
        "nested-walks",
        within_a_walk(lambda made: made._replace(reverse=not made.reverse)),
    ),
    (
        "A call within the step of another ignores its mask.",
        "nested-walks-masked",
        within_a_walk(lambda made: made._replace(masking=None)),
    ),
    (
        "The last output of a call at the third level of nesting is zero.",
        "nested-walks-three-deep",
        three_deep,
    ),
]

MUTANTS = [
    *(
        Mutant(fault, row, recurrence, "make_plan", planning(change))
        for fault, row, change in PLANS
    ),
    *(Mutant(*other) for other in OTHERS),
    *(Mutant(fault, row, recurrence, "_walk", change) for fault, row, change in NESTED),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault)
def test_a_fault_is_rejected(mutant: Mutant) -> None:
    assert_rejected("numpy", *SUITE, mutant=mutant)


def test_no_fault_passes() -> None:
    assert_accepted("numpy", *SUITE, mutants=MUTANTS)
