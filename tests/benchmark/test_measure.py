"""Test the statistics of known series, with a simulated clock."""

import gc
from collections.abc import Callable

import pytest

from polyrnn_benchmark.measure import WARM_UPS, Duel, Spread, alternate, best_of


class Clock:
    """A simulated clock that calls advance; it records the names of the calls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.called = ""

    def __call__(self) -> float:
        return self.now

    def call(self, name: str, *seconds: float) -> Callable[[], None]:
        """Return a function that takes the given seconds in turn, and then always the last."""
        left = list(seconds)

        def call() -> None:
            self.called += name
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call


class TestSpread:
    def test_quartiles_lie_on_figures_where_they_can(self) -> None:
        assert Spread.of([9.0, 1.0, 5.0, 3.0, 7.0]) == Spread(5.0, 3.0, 7.0)

    def test_quartiles_lie_between_figures_where_they_must(self) -> None:
        assert Spread.of([1.0, 2.0]) == Spread(1.5, 1.25, 1.75)

    def test_one_figure_has_no_spread(self) -> None:
        assert Spread.of([4.0]) == Spread(4.0, 4.0, 4.0)

    def test_an_outlier_does_not_change_the_median(self) -> None:
        assert Spread.of([1.0, 1.0, 1.0, 1.0, 1000.0]) == Spread(1.0, 1.0, 1.0)


class TestDuel:
    def test_a_ratio_is_taken_pair_by_pair(self) -> None:
        # The machine is ten times slower during the second pair: the medians of the two
        # series alone, 2 and 3, would give a ratio of 0.67.
        assert Duel((1.0, 20.0, 2.0), (3.0, 40.0, 2.0)).ratio().median == 0.5

    def test_pairs_are_complete(self) -> None:
        with pytest.raises(ValueError, match="shorter"):
            Duel((1.0, 2.0), (1.0,)).ratio()


class TestAlternate:
    def test_calls_take_turns_after_warming_up(self) -> None:
        clock = Clock()
        alternate(clock.call("a", 1.0), clock.call("b", 1.0), pairs=3, clock=clock)
        calibration = "ab"
        assert clock.called == "a" * WARM_UPS + "b" * WARM_UPS + calibration + "ababab"

    def test_warming_up_is_not_timed(self) -> None:
        clock = Clock()
        slow_at_first = clock.call("a", *[100.0] * WARM_UPS, 1.0)
        duel = alternate(slow_at_first, clock.call("b", 2.0), pairs=4, clock=clock)
        assert duel == Duel((1.0,) * 4, (2.0,) * 4)

    def test_short_calls_are_repeated_and_long_ones_as_often(self) -> None:
        clock = Clock()
        short, long = clock.call("a", 0.25), clock.call("b", 1.0)
        duel = alternate(short, long, pairs=2, least_seconds=0.75, clock=clock)
        assert clock.called.endswith("ab" + 2 * ("aaa" + "bbb"))
        assert duel == Duel((0.25, 0.25), (1.0, 1.0))

    def test_calls_that_take_no_measurable_time_are_made_once(self) -> None:
        clock = Clock()
        duel = alternate(clock.call("a", 0.0), clock.call("b", 1.0), pairs=2, clock=clock)
        assert duel == Duel((0.0, 0.0), (1.0, 1.0))

    def test_every_pair_is_reported(self) -> None:
        clock = Clock()
        seen: list[str] = []
        alternate(
            clock.call("a", 1.0),
            clock.call("b", 1.0),
            pairs=2,
            clock=clock,
            after_pair=lambda: seen.append(clock.called[-2:]),
        )
        assert seen == ["ab", "ab"]

    def test_earlier_objects_are_excluded_from_collections(self) -> None:
        clock = Clock()
        frozen: list[int] = []

        def call() -> None:
            frozen.append(gc.get_freeze_count())
            clock.now += 1

        alternate(call, clock.call("b", 1.0), pairs=1, clock=clock)
        assert frozen[:WARM_UPS] == [0] * WARM_UPS
        assert min(frozen[WARM_UPS:]) > 0
        assert gc.get_freeze_count() == 0
        assert gc.isenabled()


def test_the_best_of_several_calls_is_the_fastest() -> None:
    clock = Clock()
    assert best_of(clock.call("a", 3.0, 1.0, 2.0, 9.0), times=3, clock=clock) == 1.0
