"""Test that the rows of the suite cover all combinations, by an independent count."""

from itertools import combinations, product
from typing import Any

import pytest

from polyrnn_conformance.cases.blocks import USUAL_SIZES, lengths_of_time
from polyrnn_conformance.combinations import EXCLUDED, call_of, factors_for, rows_of
from polyrnn_conformance.covering import covering_rows
from polyrnn_conformance.harness import Harness

DTYPES = Harness.dtypes
FORBIDDEN = {frozenset(pair) for pair in EXCLUDED}


def allowed(places: Any) -> bool:
    return not any(frozenset(pair) in FORBIDDEN for pair in combinations(places, 2))


@pytest.mark.parametrize("differentiated", [False, True])
@pytest.mark.parametrize("strength", [2, 3])
def test_every_allowed_combination_occurs(strength: int, differentiated: bool) -> None:
    rows = rows_of(DTYPES, strength, unrolls=True, differentiated=differentiated)
    factors = factors_for(DTYPES, unrolls=True, differentiated=differentiated)
    tried = {places for row in rows for places in combinations(row.items(), strength)}
    wanted = {
        places
        for names in combinations(factors, strength)
        for levels in product(*(factors[name] for name in names))
        if allowed(places := tuple(zip(names, levels, strict=True)))
    }
    assert tried >= wanted
    assert all(allowed(row.items()) for row in rows)


def test_the_rows_are_always_the_same() -> None:
    arguments: Any = ({"a": "xy", "b": "xyz", "c": "xy"}, 2)
    assert covering_rows(*arguments) == covering_rows(*arguments)
    assert len(covering_rows(*arguments)) == 6


def test_levels_excluded_by_all_others_are_an_error() -> None:
    excluded = [(("a", "x"), ("b", "x")), (("a", "x"), ("b", "y"))]
    with pytest.raises(ValueError, match="no level of factor 1 goes with"):
        covering_rows({"a": "xy", "b": "xy", "c": "xy"}, 1, excluded)


def test_a_call_prints_as_plain_data() -> None:
    row = rows_of(DTYPES, 2, unrolls=True)[0]
    assert repr(call_of(row)).startswith("RandomCall(batch=")


def test_without_unrolling_nothing_is_unrolled() -> None:
    assert all(row["unroll"] == "no" for row in rows_of(DTYPES, 2, unrolls=False))


def test_without_block_sizes_the_usual_ones_are_tested() -> None:
    harness = Harness(None)  # type: ignore[arg-type]
    assert {size + 1 for size in USUAL_SIZES} <= set(lengths_of_time(harness, "eager"))


def test_a_traced_mode_is_tested_with_its_own_block_sizes_only() -> None:
    class Traced(Harness):
        modes = ("eager", "compiled")
        block_sizes = {"compiled": (8,)}  # noqa: RUF012 - as a plug-in would write it

    assert lengths_of_time(Traced(None), "compiled") == [17]  # type: ignore[arg-type]
