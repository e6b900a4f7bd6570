"""Test the step function: number of calls, return values, exceptions, and nested calls."""

import traceback
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import polyrnn

Pair = namedtuple("Pair", "left right")

TIME = 3
X = np.arange(24, dtype=np.float32).reshape(2, TIME, 4)
H = np.zeros((2, 4), np.float32)


class TestCalls:
    @pytest.mark.parametrize("time", [1, 2, 7])
    @pytest.mark.parametrize("unroll", [False, True])
    @pytest.mark.parametrize("masked", [False, True])
    @pytest.mark.parametrize("everything", [False, True])
    @pytest.mark.parametrize("backwards", [False, True])
    def test_once_for_each_time_step(
        self, time: int, unroll: bool, masked: bool, everything: bool, backwards: bool
    ) -> None:
        met = []

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            met.append(x[0, 0])
            return x, states

        x = np.arange(time, dtype=float)[None, :, None]
        polyrnn.rnn(
            step,
            x,
            [np.zeros((1, 1))],
            go_backwards=backwards,
            unroll=unroll,
            mask=np.ones((1, time)) if masked else None,
            return_all_outputs=everything,
        )
        assert met == [*range(time)][:: -1 if backwards else 1]

    def test_draws_the_same_random_numbers_looped_and_unrolled(self) -> None:
        def walk(unroll: bool) -> Any:
            random = np.random.default_rng(0)
            return polyrnn.rnn(lambda x, s: (x + random.random(), s), X, [], unroll=unroll)[1]

        np.testing.assert_array_equal(walk(False), walk(True))

    def test_with_a_list_of_its_own(self) -> None:
        initial = [H, H + 1]

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            assert isinstance(states, list)
            assert len(states) == 2
            assert states is not initial
            return x, [states.pop(), states.pop()]

        states = polyrnn.rnn(step, X, initial)[2]
        assert len(initial) == 2
        np.testing.assert_array_equal(states[0], H + 1)

    def test_may_be_any_callable(self) -> None:
        class Cell:
            def __call__(self, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
                return x, states

            call = __call__

        for step in (Cell(), Cell().call):
            assert polyrnn.rnn(step, X, [])[1].shape == X.shape


class TestReturns:
    @pytest.mark.parametrize("pair", [tuple, list])
    @pytest.mark.parametrize("sequence", [tuple, list])
    def test_lists_or_tuples(self, pair: Any, sequence: Any) -> None:
        *_, states = polyrnn.rnn(lambda x, s: pair([x, sequence([s[0] + x, s[1]])]), X, [H, H])
        np.testing.assert_array_equal(states, [X.sum(1), H])

    def test_a_bare_state_where_there_is_one(self) -> None:
        *_, (total,) = polyrnn.rnn(lambda x, s: (x, s[0] + x), X, [H])
        np.testing.assert_array_equal(total, X.sum(1))

    def test_a_bare_nest_of_as_many_entries_as_there_are_leaves(self) -> None:
        *_, (pair,) = polyrnn.rnn(
            lambda x, s: (x, Pair(s[0].left + x, s[0].right)), X, [Pair(H, H + 1)]
        )
        np.testing.assert_array_equal(pair.left, X.sum(1))
        np.testing.assert_array_equal(pair.right, H + 1)

    @pytest.mark.parametrize("shape", [(), (2,), (2, 5), (2, 5, 6)])
    def test_an_output_of_any_rank(self, shape: tuple[int, ...]) -> None:
        last, outputs, _ = polyrnn.rnn(lambda x, s: (np.full(shape, x[0, 0]), []), X, [])
        assert last.shape == shape
        assert outputs.shape == (*shape[:1], TIME, *shape[1:])
        np.testing.assert_array_equal(outputs.reshape(-1)[-1], X[0, -1, 0])

    def test_numbers_for_tensors(self) -> None:
        last, outputs, (count,) = polyrnn.rnn(
            lambda x, s: ({"one": 1}, [float(s[0] + 1)]), X, [np.float64(0)]
        )
        assert outputs["one"].tolist() == [1, 1, 1]
        assert (last["one"], count) == (1, 3)


class TestExceptions:
    class OwnError(Exception):
        pass

    @pytest.mark.parametrize("unroll", [False, True])
    def test_of_the_step_are_not_wrapped(self, unroll: bool) -> None:
        error = self.OwnError("of the step")

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            raise error

        with pytest.raises(self.OwnError) as caught:
            polyrnn.rnn(step, X, [H], unroll=unroll)
        assert caught.value is error
        assert error.__cause__ is None
        assert error.__context__ is None
        *_, innermost = traceback.extract_tb(error.__traceback__)
        assert innermost.name == "step"
        assert innermost.line == "raise error"

    def test_stop_iteration_does_not_end_the_walk(self) -> None:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            raise StopIteration

        with pytest.raises(StopIteration):
            polyrnn.rnn(step, X, [H])

    def test_do_not_leak(self) -> None:
        failing = [True]

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            if failing:
                raise self.OwnError
            return x, states

        with pytest.raises(self.OwnError):
            polyrnn.rnn(step, X, [H])
        failing.clear()
        np.testing.assert_array_equal(polyrnn.rnn(step, X, [H])[1], X)


class TestWithinAStep:
    def test_another_walk(self) -> None:
        def inner(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            return x, [states[0] + x]

        def outer(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            *_, (total,) = polyrnn.rnn(inner, x, [np.zeros((2, 5))], mask=np.ones((2, 4)))
            return total, [states[0] + total]

        x = np.arange(2 * 3 * 4 * 5, dtype=float).reshape(2, 3, 4, 5)
        _, outputs, (total,) = polyrnn.rnn(outer, x, [np.zeros((2, 5))])
        np.testing.assert_array_equal(outputs, x.sum(axis=2))
        np.testing.assert_array_equal(total, x.sum(axis=(1, 2)))

    def test_the_same_walk(self) -> None:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            if x.ndim == 2:
                return x.sum(axis=1, keepdims=True), [states[0] + 1]
            y, _, (count,) = polyrnn.rnn(step, x, [np.zeros(())])
            return y, [states[0] + count]

        x = np.ones((2, 3, 4, 5, 6))
        y, _, (count,) = polyrnn.rnn(step, x, [np.zeros(())])
        assert y.shape == (2, 1)
        assert count == 3 * 4 * 5
