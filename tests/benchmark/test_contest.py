"""Test that loops are compared before they are timed, and that differences are reported."""

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from polyrnn_benchmark import contest, workload
from polyrnn_benchmark.framework import Loop
from polyrnn_benchmark.scenarios import (
    HAND_WRITTEN,
    KERAS,
    MASKED,
    PLAIN,
    SHORT,
    Cell,
    Sizes,
    Variant,
    mode_of,
)
from polyrnn_numpy.handwritten import NumpyFramework

SMALL = Sizes(batch=6, time=5, features=3, units=4)


def cell(variant: Variant, sizes: Sizes = SMALL) -> Cell:
    return Cell(mode_of("numpy", "eager"), variant, variant.fit(sizes))


def results(place: Cell, loop: Loop) -> list[np.ndarray[Any, Any]]:
    framework = NumpyFramework()
    return list(contest.make_call(framework, place, loop, workload.arrays(place))())


OURS = contest.polyrnn_loop("numpy")
THEIRS = NumpyFramework().hand_written("eager")


def held_from_the_state(step: Any, x: Any, states: Any, mask: Any = None) -> Any:
    """Run a wrong loop, in which the output of a masked step is the first state."""
    outputs = []
    for t in range(x.shape[1]):
        _, new = step(np.nan_to_num(x[:, t]), states)
        states = [np.where(mask[:, t, None], n, s) for n, s in zip(new, states, strict=True)]
        outputs.append(states[0])
    return outputs[-1], np.stack(outputs, 1), states


def leaking(step: Any, x: Any, states: Any, mask: Any = None) -> Any:
    """Run a wrong loop, which ignores the mask."""
    return THEIRS(step, x, states)


class TestHandWrittenNumpy:
    @pytest.mark.parametrize("variant", [PLAIN, MASKED, SHORT])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_it_gives_what_polyrnn_gives(self, variant: Variant, dtype: str) -> None:
        place = cell(variant, Sizes(batch=6, time=5, features=3, units=4, dtype=dtype))
        ours, theirs = results(place, OURS), results(place, THEIRS)
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == other.dtype == dtype
            np.testing.assert_allclose(one, other, rtol=100 * float(np.finfo(dtype).eps))

    def test_it_does_not_write_into_its_arguments(self) -> None:
        place = cell(MASKED)
        drawn = workload.arrays(place)
        framework = NumpyFramework()
        contest.make_call(framework, place, THEIRS, drawn)()
        for array, untouched in zip(drawn, workload.arrays(place), strict=True):
            np.testing.assert_array_equal(array, untouched)

    def test_the_short_step_is_one_matrix_product_and_a_tanh(self) -> None:
        place = cell(SHORT)
        x, h, kernel = workload.arrays(place)
        last, outputs, state = results(place, OURS)
        for t in range(SMALL.time):
            h = np.tanh(x[:, t] + h @ kernel)
            np.testing.assert_allclose(outputs[:, t], h, rtol=1e-5)
        np.testing.assert_array_equal(last, state)

    def test_it_refuses_to_differentiate(self) -> None:
        with pytest.raises(TypeError, match="differentiate"):
            NumpyFramework().gradient("eager", NumpyFramework().program("eager", OURS, PLAIN), [])


class TestWorkload:
    def test_only_padding_is_nan(self) -> None:
        x, *_, mask = workload.arrays(cell(MASKED))
        np.testing.assert_array_equal(np.isnan(x).all(axis=2), ~mask)
        np.testing.assert_array_equal(np.isnan(x).any(axis=2), ~mask)

    def test_padding_comes_after_before_and_in_between(self) -> None:
        sizes = Sizes(batch=30, time=20)
        mask = workload.padded_rows(sizes, np.random.default_rng(0))
        assert mask.any(axis=1).all()
        changes = np.diff(mask.astype(int), axis=1)
        assert (changes[0::3] <= 0).all()
        assert (changes[1::3] >= 0).all()
        assert (changes[2::3] > 0).any()
        assert (changes[2::3] < 0).any()
        assert not mask[0::3].all()
        assert not mask[1::3].all()

    def test_the_same_numbers_are_drawn_each_time(self) -> None:
        for one, other in zip(
            workload.arrays(cell(MASKED)), workload.arrays(cell(MASKED)), strict=True
        ):
            np.testing.assert_array_equal(one, other)

    def test_nothing_is_masked_where_nothing_is_to_be(self) -> None:
        drawn = workload.arrays(cell(PLAIN))
        assert [array.shape for array in drawn] == [(6, 5, 3), (6, 4), (6, 4), (7, 16), (16,)]
        assert all(np.isfinite(array).all() for array in drawn)

    def test_a_short_step_has_one_state_and_one_weight(self) -> None:
        drawn = workload.arrays(cell(SHORT))
        assert [array.shape for array in drawn] == [(6, 5, 3), (6, 3), (3, 3)]


class TestDifferences:
    RIGHT = np.linspace(-2, 2, 10, dtype="float32")

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (RIGHT[:5], r"result 0 is float32 \(5,\), not float32 \(10,\)"),
            (RIGHT.astype("float64"), "result 0 is float64"),
            (np.where(RIGHT > 1, np.nan, RIGHT), "result 0 is not finite"),
            (np.where(RIGHT > 1, np.inf, RIGHT), "result 0 is not finite"),
            (RIGHT + np.float32(0.001), "result 0 is off by 0.001"),
        ],
    )
    def test_each_kind_is_described(self, wrong: np.ndarray[Any, Any], said: str) -> None:
        assert re.match(said, contest.first_difference([wrong], [self.RIGHT]))

    def test_another_number_of_results_is_one(self) -> None:
        said = contest.first_difference([self.RIGHT], [self.RIGHT] * 2)
        assert said == "1 results instead of 2"

    def test_rounding_is_none(self) -> None:
        assert not contest.first_difference([self.RIGHT * np.float32(1 + 1e-6)], [self.RIGHT])


class TestHold:
    def test_the_hand_written_loop_comes_first_and_all_pairs_are_reported(self) -> None:
        seen: list[None] = []
        result = contest.hold(
            NumpyFramework(),
            cell(MASKED),
            OURS,
            {KERAS: THEIRS},
            pairs=3,
            after_pair=lambda: seen.append(None),
        )
        assert [contest.rival for contest in result.contests] == [HAND_WRITTEN, KERAS]
        assert [contest.pairs for contest in result.contests] == [3, 3]
        assert len(seen) == 6
        for entry in result.contests:
            assert entry.remark == ""
            assert entry.ratio is not None
            assert entry.ratio.median > 0

    @pytest.mark.parametrize("wrong", [held_from_the_state, leaking])
    def test_polyrnn_must_agree_with_the_hand_written_loop(self, wrong: Loop) -> None:
        with pytest.raises(contest.DisagreementError, match="result"):
            contest.hold(NumpyFramework(), cell(MASKED), wrong, {}, pairs=1)

    def test_a_peer_that_disagrees_is_timed_with_a_remark(self) -> None:
        result = contest.hold(
            NumpyFramework(), cell(MASKED), OURS, {KERAS: held_from_the_state}, pairs=2
        )
        assert result.contests[1].remark.startswith("result 1 is off by")
        assert result.contests[1].pairs == 2

    def test_a_peer_that_fails_is_not_timed_and_has_a_remark(self) -> None:
        def failing(*arguments: Any) -> Any:
            raise NotImplementedError("no masks\nat all")

        result = contest.hold(NumpyFramework(), cell(MASKED), OURS, {KERAS: failing}, pairs=2)
        assert result.contests[1].remark == "fails: NotImplementedError: no masks"
        assert result.contests[1].ratio is None


def test_only_the_worker_imports_what_a_backend_needs() -> None:
    source = (
        "import sys, polyrnn_benchmark.command;"
        "print(*{'numpy', 'torch', 'jax', 'tensorflow', 'matplotlib'} & set(sys.modules))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert finished.stdout == "\n"
