"""Test every error about masks and lengths, and the meaning of lengths."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from refusal import BATCH, TIME, UNKNOWN, H, X, refused, step
from wrapped import WrappedArray, WrappedBackend

import polyrnn


class TestMask:
    @pytest.mark.parametrize(
        "shape",
        [(), (2,), (3,), (3, 2), (2, 4), (1, 3), (2, 1), (2, 3, 4), (2, 3, 1, 1), (1, 2, 3)],
    )
    def test_has_the_first_two_axes_of_the_inputs(self, shape: tuple[int, ...]) -> None:
        refused(
            ValueError,
            "mask: expected shape (2, 3) or (2, 3, 1) for inputs whose first two axes are "
            f"(2, 3), got {shape}",
            mask=np.ones(shape, bool),
        )

    def test_follows_the_layout(self) -> None:
        refused(
            ValueError,
            "mask: expected shape (3, 2) or (3, 2, 1) for inputs whose first two axes are "
            "(3, 2), got (2, 3)",
            inputs=X.swapaxes(0, 1),
            mask=np.ones((BATCH, TIME), bool),
            time_major=True,
        )

    @pytest.mark.parametrize(
        ("dtype", "instead"),
        [
            ("datetime64[s]", "numbers, such as x.astype('int64')"),
            ("timedelta64[s]", "numbers, such as x.astype('int64')"),
            ("<U3", "numbers, such as x.astype('float32')"),
            ("S1", "numbers, such as x.astype('float32')"),
            ("object", "numbers, such as x.astype('float32')"),
            ("i4,f4", "a dict of its fields, {name: x[name] for name in x.dtype.names}"),
        ],
    )
    def test_is_bool_or_numbers(self, dtype: str, instead: str) -> None:
        mask = np.zeros((BATCH, TIME), dtype)
        refused(
            ValueError,
            f"mask: expected bool or numbers, got dtype {mask.dtype}; pass {instead}",
            mask=mask,
        )

    @pytest.mark.parametrize("value", [1e-300, 2**32, 1j, np.longdouble("1e-4000"), np.nan])
    @pytest.mark.parametrize("kind", [np.array, list, tuple])
    def test_counts_what_is_not_zero_before_anything_narrows_it(
        self, value: Any, kind: Any
    ) -> None:
        met = []

        class Narrowing(WrappedBackend):
            def convert(self, value: Any, like: Any = None) -> Any:
                if isinstance(value, WrappedArray):
                    return value
                array = np.asarray(value)
                met.append(array.dtype.name)
                narrow = {"c": "c8", "f": "f4", "i": "i4"}
                return WrappedArray(array.astype(narrow.get(array.dtype.kind, "?")))

        mask = kind([[value, 0, value], [0, value, value]])
        *_, (counted,) = polyrnn.rnn(
            lambda x, s: (x, [s[0] + x]), X, [H], mask=mask, backend=Narrowing()
        )
        assert counted.array.tolist() == [[2.0] * H.shape[1]] * BATCH
        assert "bool" in met

    def test_is_a_tensor(self) -> None:
        refused(
            TypeError,
            "mask: expected a tensor or a list of numbers, got dict",
            mask={"a": X},
        )

    def test_is_of_lists_of_equal_length(self) -> None:
        with pytest.raises(ValueError, match=r"^mask: expected lists of equal length$"):
            polyrnn.rnn(step, X, [H], mask=[[1, 1, 1], [1]])


class TestLengths:
    @pytest.mark.parametrize("length", [0, -1, TIME + 1])
    @pytest.mark.parametrize("kind", [int, np.int8, np.array])
    def test_one_for_all_is_from_1_to_time(self, length: int, kind: Any) -> None:
        refused(
            ValueError,
            f"input_length: expected 1 to 3, got {length}",
            input_length=kind(length),
        )

    def test_a_number_beyond_every_integer_type_is_out_of_range(self) -> None:
        refused(ValueError, f"input_length: expected 1 to 3, got {2**70}", input_length=2**70)

    @pytest.mark.parametrize(("length", "position"), [(-1, 0), (TIME + 1, 1)])
    @pytest.mark.parametrize("kind", [list, np.array])
    def test_one_for_each_is_from_0_to_time(self, length: int, position: int, kind: Any) -> None:
        lengths = [1, 1]
        lengths[position] = length
        refused(
            ValueError,
            f"input_length[{position}]: expected 0 to 3, got {length}",
            input_length=kind(lengths),
        )

    @pytest.mark.parametrize(
        ("lengths", "given"),
        [
            (2.0, "float"),
            (True, "bool"),
            (1j, "complex"),
            ([1.0, 2.0], "dtype float64"),
            ([True, False], "dtype bool"),
            ([1, True], "dtype bool"),
            ((1, np.True_), "dtype bool"),
            ([np.array(True), 1], "dtype bool"),
            ((1, 2.0), "dtype float64"),
            ([np.float32(1), np.float32(2)], "dtype float32"),
            (np.float64(2.0), "dtype float64"),
            (np.asarray([]), "dtype float64"),
            (np.array(["1", "2"]), "dtype <U1"),
            (np.ones(BATCH, np.float32), "dtype float32"),
        ],
    )
    def test_are_integers(self, lengths: Any, given: str) -> None:
        refused(
            ValueError,
            f"input_length: expected integers, got {given}",
            input_length=lengths,
        )

    @pytest.mark.parametrize(
        ("lengths", "length"),
        [
            ((1, 9), 9),
            ([np.int64(1), np.int64(9)], 9),
            ([np.uint64(1), np.int64(-1)], -1),
            ([1, 2**70], 2**70),
            ([-(2**70), 1][::-1], -(2**70)),
            (np.array([1, 2**64 - 1], np.uint64), 2**64 - 1),
            (np.array([1, -1], np.int8), -1),
            (np.array([1, 7]).astype(ml_dtypes.int4), 7),
            ([np.array(1), np.array(9)], 9),
        ],
    )
    def test_are_checked_in_every_form(self, lengths: Any, length: int) -> None:
        refused(
            ValueError,
            f"input_length[1]: expected 0 to 3, got {length}",
            input_length=lengths,
        )

    @pytest.mark.parametrize(
        ("lengths", "shape"),
        [([[1], [2]], (2, 1)), ([], (0,)), ((), (0,)), ([[]], (1, 0)), ([9, 9, 9], (3,))],
    )
    def test_are_flat(self, lengths: Any, shape: tuple[int, ...]) -> None:
        refused(
            ValueError,
            f"input_length: expected an integer or shape (2,), got shape {shape}",
            input_length=lengths,
        )

    @pytest.mark.parametrize("shape", [(1,), (3,), (2, 1), (2, 2)])
    def test_are_one_or_one_for_each_sample(self, shape: tuple[int, ...]) -> None:
        refused(
            ValueError,
            f"input_length: expected an integer or shape (2,), got shape {shape}",
            input_length=np.ones(shape, int),
        )

    @pytest.mark.parametrize(
        ("lengths", "text"),
        [
            ("2", f"a tensor, got str, {UNKNOWN}"),
            ({1, 2}, f"a tensor, got set, {UNKNOWN}"),
            ([None, 1], "a tensor or a list of numbers, got list"),
        ],
    )
    def test_are_numbers(self, lengths: Any, text: str) -> None:
        refused(
            TypeError,
            f"input_length: expected {text}",
            input_length=lengths,
        )

    def test_are_lists_of_equal_length(self) -> None:
        with pytest.raises(ValueError, match=r"^input_length: expected lists of equal length$"):
            polyrnn.rnn(step, X, [H], input_length=[[1], [1, 2]])

    def test_a_length_of_all_time_steps_masks_nothing(self) -> None:
        state = np.array(7)  # a shape that cannot be masked
        *_, (kept,) = polyrnn.rnn(lambda x, s: (x, s), X, [state], input_length=TIME)
        assert kept == 7

    @pytest.mark.parametrize(
        "lengths",
        [
            [2, 0],
            (2, 0),
            np.array([2, 0], np.uint8),
            [np.uint64(2), np.int64(0)],  # NumPy would promote the two to float
            np.array([2, 0]).astype(ml_dtypes.uint4),
        ],
    )
    def test_mean_a_mask(self, lengths: Any) -> None:
        by_length = polyrnn.rnn(lambda x, s: (x, [s[0] + x]), X, [H], input_length=lengths)
        mask = [[True, True, False], [False, False, False]]
        by_mask = polyrnn.rnn(lambda x, s: (x, [s[0] + x]), X, [H], mask=mask)
        np.testing.assert_array_equal(by_length[1], by_mask[1])
        np.testing.assert_array_equal(by_length[2][0], by_mask[2][0])
        assert by_length[2][0][:, 0].tolist() == [2, 0]

    def test_are_ignored_with_a_mask(self) -> None:
        mask = np.array([[True, False, True], [True, True, False]])
        alone = polyrnn.rnn(lambda x, s: (x, [s[0] + x]), X, [H], mask=mask)
        both = polyrnn.rnn(
            lambda x, s: (x, [s[0] + x]), X, [H], mask=mask, input_length=np.array([3, 1])
        )
        np.testing.assert_array_equal(alone[2][0], both[2][0])
