"""Faults that show only where tensors have gradients, or are other than NumPy's, are rejected."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mutation import Mutant, assert_accepted, assert_rejected

from polyrnn import plan, recurrence, registry, selection
from polyrnn_torch.backend import TorchBackend

SUITE = ("test_gradients", "test_checks", "test_cases")


def own_steps_only(_: Any) -> Any:
    def mutated(backend: Any, mask: Any, x: Any) -> Any:
        return backend.select(mask, x, backend.take(x, backend.first_true(mask)))

    return mutated


def zeros_where_all_is_masked(right: Any) -> Any:
    def mutated(backend: Any, mask: Any, x: Any) -> Any:
        return right(backend, mask, x) * mask.any()

    return mutated


def ones_where_a_sample_is_masked(right: Any) -> Any:
    def mutated(backend: Any, mask: Any, x: Any) -> Any:
        filled = right(backend, mask, x)
        return backend.select(mask.any(0, keepdim=True), filled, torch.ones_like(filled))

    return mutated


def multiplied(self: Any, mask: Any, on_true: Any, on_false: Any = None) -> Any:
    mask = mask.reshape(mask.shape + (1,) * (on_true.ndim - mask.ndim)).to(on_true.dtype)
    return mask * on_true + (1 - mask) * (0 if on_false is None else on_false)


def forget_the_past(loop: Any) -> Any:
    def mutated(self: Any, body: Any, *arguments: Any, **keywords: Any) -> Any:
        def cut(carry: Any, slices: Any) -> Any:
            states, held = carry
            return body(([state.detach() for state in states], held), slices)

        return loop(self, cut, *arguments, **keywords)

    return mutated


def detached(field: str) -> Any:
    def mutate(make_plan: Any) -> Any:
        def mutated(*arguments: Any, **keywords: Any) -> Any:
            made = make_plan(*arguments, **keywords)
            tensors = [
                value.detach() if isinstance(value, torch.Tensor) else value
                for value in getattr(made, field)
            ]
            return made._replace(**{field: tensors})

        return mutated

    return mutate


MUTANTS = [
    Mutant(
        "Padding reaches the step.",
        "padding-nan-right",
        plan,
        "without_padding",
        lambda _: lambda backend, mask, x: x,
    ),
    Mutant(
        "Padding becomes zeros, of which the logarithm has no slope.",
        "padding-log-nan-gaps",
        plan,
        "without_padding",
        lambda _: lambda backend, mask, x: backend.select(mask, x),
    ),
    Mutant(
        "A sample without a valid step keeps its padding.",
        "padding-log-zeros-row",
        plan,
        "without_padding",
        own_steps_only,
    ),
    Mutant(
        "A batch without a valid step becomes zeros.",
        "padding-log-zeros-all",
        plan,
        "without_padding",
        zeros_where_all_is_masked,
    ),
    Mutant(
        "Ones are zeros.",
        "padding-log-zeros-all",
        TorchBackend,
        "ones_like",
        lambda _: lambda self, x: torch.zeros_like(x),
    ),
    Mutant(
        "No gradient passes through what masked steps repeat.",
        "masked-output-repeats",
        TorchBackend,
        "forward_fill",
        lambda right: (
            lambda self, x, mask: torch.where(
                mask.reshape(mask.shape + (1,) * (x.ndim - 2)), x, right(self, x.detach(), mask)
            )
        ),
    ),
    Mutant(
        "A sample without a valid step is filled with ones.",
        "padding-distant-nan-row",
        plan,
        "without_padding",
        ones_where_a_sample_is_masked,
    ),
    Mutant(
        "The first step counts as the first valid one.",
        "padding-distant-ones-left",
        TorchBackend,
        "first_true",
        lambda _: lambda self, mask: torch.zeros(mask.shape[1:], dtype=torch.int64),
    ),
    Mutant(
        "One step is taken for all samples.",
        "padding-distant-ones-left",
        TorchBackend,
        "take",
        lambda right: lambda self, x, steps: right(self, x, steps * 0),
    ),
    Mutant(
        "Masking multiplies.",
        "padding-nan-right",
        TorchBackend,
        "select",
        lambda _: multiplied,
    ),
    Mutant(
        "Gradients end at each time step.",
        "inputs-tensor",
        TorchBackend,
        "loop",
        forget_the_past,
    ),
    Mutant(
        "No gradient reaches the inputs.",
        "inputs-tensor",
        recurrence,
        "make_plan",
        detached("inputs"),
    ),
    Mutant(
        "No gradient reaches the initial states.",
        "gradients-of-every-argument",
        recurrence,
        "make_plan",
        detached("states"),
    ),
    Mutant(
        "No gradient reaches the constants.",
        "constants",
        recurrence,
        "make_plan",
        detached("constants"),
    ),
    Mutant(
        "The argument chooses no backend.",
        "choice-by-argument",
        recurrence,
        "choose",
        lambda right: lambda backend, arguments: right(None, arguments),
    ),
    Mutant(
        "The environment is read once.",
        "choice-by-environment",
        selection,
        "os",
        lambda os: SimpleNamespace(environ=dict(os.environ)),
    ),
    Mutant(
        "Tensors choose no backend.",
        "choice-by-tensors",
        registry,
        "framework_of",
        lambda _: lambda kind: None,
    ),
    Mutant(
        "Tensors of another framework are nobody's.",
        "refuses-foreign-tensor",
        registry,
        "framework_of",
        lambda right: lambda kind: right(kind) if issubclass(kind, torch.Tensor) else None,
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault)
def test_a_fault_is_rejected(mutant: Mutant) -> None:
    assert_rejected("torch", *SUITE, mutant=mutant)


def test_no_fault_passes() -> None:
    assert_accepted("torch", *SUITE, mutants=MUTANTS)
