"""Test that the suite rejects faults that need gradients, or tensors that are not NumPy arrays."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mutation import Mutant, assert_accepted, assert_rejected

from polyrnn import masking, recurrence, registry, selection
from polyrnn_torch.backend import TorchBackend

SUITE = ("test_gradients", "test_checks", "test_cases")


def pairing(change: Any) -> Any:
    """Return a mutation of the pairs of input and state that masked steps are given.

    Args:
        change: Called as ``change(backend, mask, xs, states, pairs)``, where `pairs` are the
            right ones; returns the wrong ones.
    """

    def mutate(right: Any) -> Any:
        def mutated(backend: Any, mask: Any, xs: Any, states: Any, *, reverse: bool) -> Any:
            pairs = right(backend, mask, xs, states, reverse=reverse)
            return change(backend, mask, xs, states, pairs)

        return mutated

    return mutate


def own_steps_only(backend: Any, mask: Any, xs: Any, states: Any, pairs: Any) -> Any:
    own = backend.take_first(mask, xs)
    return [backend.select(mask, x, first) for x, first in zip(xs, own, strict=True)], pairs[1]


def zeros_where_all_is_masked(backend: Any, mask: Any, xs: Any, states: Any, pairs: Any) -> Any:
    return [x * mask.any() for x in pairs[0]], pairs[1]


def ones_where_a_sample_is_masked(backend: Any, mask: Any, xs: Any, states: Any, pairs: Any) -> Any:
    any_valid = mask.any(0, keepdim=True)
    return [backend.select(any_valid, x, torch.ones_like(x)) for x in pairs[0]], pairs[1]


def first_pair_of_the_batch(backend: Any, mask: Any, xs: Any, states: Any, pairs: Any) -> Any:
    return pairs[0], [state[:1].expand_as(state) for state in states]


def state_of_the_moment(make_plan: Any) -> Any:
    def mutated(*arguments: Any, **keywords: Any) -> Any:
        made = make_plan(*arguments, **keywords)

        class Mutated(type(made.backend)):  # type: ignore[misc]
            def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
                if any(on_false is stand_in for stand_in in made.masking.stand_ins):
                    return on_true
                return super().select(mask, on_true, on_false)

        masking = made.masking
        return made._replace(masking=masking and masking._replace(backend=Mutated()))

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


def forget_the_past_beside_integers(loop: Any) -> Any:
    cut = forget_the_past(loop)

    def mutated(self: Any, body: Any, carry: Any, *arguments: Any, **keywords: Any) -> Any:
        floating = all(state.is_floating_point() for state in carry[0])
        return (loop if floating else cut)(self, body, carry, *arguments, **keywords)

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
        masking,
        "pairs",
        pairing(lambda backend, mask, xs, states, pairs: (xs, pairs[1])),
    ),
    Mutant(
        "Padding becomes zeros, at which the logarithm has no slope.",
        "padding-log-nan-gaps",
        masking,
        "pairs",
        pairing(
            lambda backend, mask, xs, states, pairs: (
                [backend.select(mask, x) for x in xs],
                pairs[1],
            )
        ),
    ),
    Mutant(
        "A sample without a valid step keeps its padding.",
        "padding-log-zeros-row",
        masking,
        "pairs",
        pairing(own_steps_only),
    ),
    Mutant(
        "A batch without a valid step becomes zeros.",
        "padding-log-zeros-all",
        masking,
        "pairs",
        pairing(zeros_where_all_is_masked),
    ),
    Mutant(
        "Ones are zeros.",
        "padding-log-zeros-all",
        TorchBackend,
        "namespace",
        lambda _: SimpleNamespace(**vars(torch) | {"ones_like": torch.zeros_like}),
    ),
    Mutant(
        "No gradient passes through what masked steps repeat.",
        "masked-output-repeats",
        TorchBackend,
        "forward_fill",
        lambda right: property(
            lambda self: (
                lambda x, mask: torch.where(
                    mask.reshape(mask.shape + (1,) * (x.ndim - 2)),
                    x,
                    right.fget(self)(x.detach(), mask),
                )
            )
        ),
    ),
    Mutant(
        "A sample without a valid step is filled with ones.",
        "padding-distant-nan-row",
        masking,
        "pairs",
        pairing(ones_where_a_sample_is_masked),
    ),
    Mutant(
        "A masked step is given the current state.",
        "padding-root-right",
        recurrence,
        "make_plan",
        state_of_the_moment,
    ),
    Mutant(
        "A sample without a valid step is given its own state with the input of another sample.",
        "padding-root-row",
        masking,
        "pairs",
        pairing(lambda backend, mask, xs, states, pairs: (pairs[0], states)),
    ),
    Mutant(
        "Masked steps are given zeros as states.",
        "padding-bounded-gaps",
        masking,
        "pairs",
        pairing(
            lambda backend, mask, xs, states, pairs: (
                pairs[0],
                [torch.zeros_like(state) - 9 for state in states],
            )
        ),
    ),
    Mutant(
        "All masked steps are given the state of the first sample.",
        "padding-root-row",
        masking,
        "pairs",
        pairing(first_pair_of_the_batch),
    ),
    Mutant(
        "Backwards, masked steps are given the first valid input in time.",
        "padding-bounded-backwards",
        TorchBackend,
        "take_first",
        lambda right: lambda self, mask, xs, reverse=False: right(self, mask, xs),
    ),
    Mutant(
        "The first step counts as the first valid one.",
        "padding-distant-ones-left",
        TorchBackend,
        "take_first",
        lambda _: lambda self, mask, xs, reverse=False: [x[0] for x in xs],
    ),
    Mutant(
        "The same time step is used for all samples.",
        "padding-nan-gaps",
        TorchBackend,
        "take_first",
        lambda right: (
            lambda self, mask, xs, reverse=False: (
                right(self, mask, xs[:1], reverse=reverse)
                + right(self, mask[:, :1].expand(mask.shape), xs[1:], reverse=reverse)
            )
        ),
    ),
    Mutant(
        "The first valid input without features has an empty batch.",
        "no-features-masked",
        TorchBackend,
        "take_first",
        lambda right: (
            lambda self, mask, xs, reverse=False: [
                taken if x.numel() else x[:0]
                for x, taken in zip(xs, right(self, mask, xs, reverse=reverse), strict=True)
            ]
        ),
    ),
    Mutant(
        "Time steps are counted in the dtype of the lengths.",
        "lengths-int8-of-many-steps",
        TorchBackend,
        "length_mask",
        lambda _: (
            lambda self, lengths, like: (
                torch.arange(len(like)).to(lengths.dtype)[:, None] < lengths
            ).expand(like.shape[:2])
        ),
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
        "Gradients end where a state has none.",
        "gradients-beside-integers",
        TorchBackend,
        "loop",
        forget_the_past_beside_integers,
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
        "The argument `backend` is ignored.",
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
        "Tensors do not choose the backend.",
        "choice-by-tensors",
        registry,
        "framework_of",
        lambda _: lambda kind: None,
    ),
    Mutant(
        "Tensors of another framework are not recognized.",
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
