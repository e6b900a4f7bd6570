"""Test the reference of the conformance suite against results computed by hand."""

from typing import Any

import numpy as np
import pytest

from polyrnn_conformance import reference
from polyrnn_conformance.cases import TABLE
from polyrnn_conformance.rules import RULES

X = np.array([[[1.0], [2.0], [3.0]], [[10.0], [20.0], [30.0]]])
ZERO = np.zeros((2, 1))
MASK = np.array([[True, False, True], [False, True, False]])


def total(x: Any, states: list[Any]) -> tuple[Any, Any]:
    new = states[0] + x
    return new, [new]


def outputs_of(**arguments: Any) -> tuple[list[Any], list[Any], list[Any]]:
    last, outputs, states = reference.rnn(total, X, [ZERO + 100], **arguments)
    return last[:, 0].tolist(), outputs[..., 0].tolist(), states[0][:, 0].tolist()


def test_a_plain_walk() -> None:
    assert outputs_of() == ([106, 160], [[101, 103, 106], [110, 130, 160]], [106, 160])


def test_backwards_the_outputs_are_in_the_order_of_the_loop() -> None:
    expected = ([106, 160], [[103, 105, 106], [130, 150, 160]], [106, 160])
    assert outputs_of(go_backwards=True) == expected


def test_a_masked_step_repeats_the_output_and_starts_at_zeros() -> None:
    assert outputs_of(mask=MASK) == ([104, 120], [[101, 101, 104], [0, 120, 120]], [104, 120])


def test_zero_output_for_mask() -> None:
    expected = ([104, 0], [[101, 0, 104], [0, 120, 0]], [104, 120])
    assert outputs_of(mask=MASK, zero_output_for_mask=True) == expected


def test_backwards_the_mask_stays_with_its_time_steps() -> None:
    expected = ([104, 120], [[103, 103, 104], [0, 120, 120]], [104, 120])
    assert outputs_of(mask=MASK, go_backwards=True) == expected


def test_lengths_are_a_mask() -> None:
    expected = ([101, 130], [[101, 101, 101], [110, 130, 130]], [101, 130])
    assert outputs_of(input_length=np.array([1, 2])) == expected
    backwards = ([101, 130], [[0, 0, 101], [0, 120, 130]], [101, 130])
    assert outputs_of(input_length=np.array([1, 2]), go_backwards=True) == backwards


def test_a_mask_takes_precedence_over_lengths() -> None:
    assert outputs_of(mask=MASK, input_length=1) == outputs_of(mask=MASK)


def test_return_all_outputs_false() -> None:
    assert outputs_of(return_all_outputs=False) == ([106, 160], [[106], [160]], [106, 160])


def test_time_major() -> None:
    last, outputs, _ = reference.rnn(total, X.swapaxes(0, 1), [ZERO], time_major=True, mask=MASK.T)
    assert outputs[..., 0].tolist() == [[1, 0], [1, 20], [4, 20]]
    assert last[:, 0].tolist() == [4, 20]


def test_constants_come_after_the_states() -> None:
    def scaled(x: Any, states: list[Any]) -> tuple[Any, Any]:
        return states[0] + x * states[1], (states[0] + 1,)

    last, _, states = reference.rnn(scaled, X, ZERO, constants=[np.array([2.0])])
    assert last[:, 0].tolist() == [8, 62]
    assert states[0][:, 0].tolist() == [3, 3]


def test_padding_is_never_passed_to_the_step() -> None:
    seen: list[float] = []

    def look(x: Any, states: list[Any]) -> tuple[Any, Any]:
        seen.extend(x.ravel().tolist())
        return x, states

    reference.rnn(look, np.where(MASK[..., None], X, np.nan), [ZERO], mask=MASK)
    assert not np.isnan(seen).any()
    assert {1.0, 3.0, 20.0} <= set(seen)


def test_nests_keep_their_containers() -> None:
    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        (h,), c = states
        return {"y": (x["a"], None)}, [(h + x["a"],), c]

    last, outputs, states = reference.rnn(step, {"a": X}, ((ZERO,), ZERO))
    assert last["y"][1] is None
    assert outputs["y"][0].shape == (2, 3, 1)
    assert isinstance(states, list)
    assert isinstance(states[0], tuple)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_row(rule: int) -> None:
    assert any(rule in row.rules for row in TABLE)


def test_rows_have_unique_names_and_known_rules() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)
    assert {rule for row in TABLE for rule in row.rules} <= set(RULES)
