"""Test the full text of the errors for a step that returns a wrong result."""

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from refusal import UNKNOWN

import polyrnn

Pair = namedtuple("Pair", "left right")

TIME = 3
X = np.arange(24, dtype=np.float32).reshape(2, TIME, 4)
H = np.zeros((2, 4), np.float32)


def refused(
    returned: Any, text: str, error: type[Exception] = ValueError, **arguments: Any
) -> None:
    """Assert that a step with this result raises an error with this text."""
    call: dict[str, Any] = {"inputs": X, "initial_states": [H]} | arguments
    with pytest.raises(error) as caught:
        polyrnn.rnn(lambda x, s: returned, **call)
    assert type(caught.value) is error
    assert str(caught.value) == text


class TestWrongResult:
    @pytest.mark.parametrize(
        ("returned", "described"),
        [
            (None, "None"),
            (H, "*"),
            ((H,), "(*,)"),
            ((H, [H], H), "(*, [*], *)"),
            ({"output": H, "states": [H]}, "{'output': *, 'states': [*]}"),
            ("hs", "<class 'str'>"),
            ([], "[]"),
        ],
    )
    def test_is_no_pair(self, returned: Any, described: str) -> None:
        refused(
            returned,
            f"step_function: expected it to return (output, new_states), got {described}",
        )


class TestWrongStates:
    @pytest.mark.parametrize(
        ("new", "described"), [([], "[]"), ((), "()"), ([H, H], "[*, *]"), ((H, H, H), "(*, *, *)")]
    )
    def test_number_of_one(self, new: Any, described: str) -> None:
        refused((H, new), f"new_states: step returned {described} for 1 state")

    @pytest.mark.parametrize("new", [[H], [H, H, H], []])
    def test_number_of_two(self, new: Any) -> None:
        stars = ", ".join("*" * len(new))
        refused(
            (H, new), f"new_states: step returned [{stars}] for 2 states", initial_states=[H, H]
        )

    def test_number_of_none(self) -> None:
        refused((H, [H]), "new_states: step returned [*] for 0 states", initial_states=[])

    def test_a_bare_state_where_there_are_two(self) -> None:
        refused((H, H), "new_states: step returned * for 2 states", initial_states=[H, H])

    @pytest.mark.parametrize(
        ("new", "initial", "described"),
        [
            ([None], [H], "state [0]: step returned None for *"),
            ([(H, H)], [H], "state [0]: step returned (*, *) for *"),
            ({"h": H}, [H], "state [0]: step returned {'h': *} for *"),
            ([H, {"c": H}], [H, {"h": H}], "state [1]: step returned {'c': *} for {'h': *}"),
            ([[H, None]], [(H, H)], "state [0]: step returned [*, None] for (*, *)"),
            ([H, H, H], [(H, H)], "state [0]: step returned [*, *, *] for (*, *)"),
            ([(H, H)], [Pair(H, H)], "state [0]: step returned (*, *) for Pair(left=*, right=*)"),
            ([[H, H], [H]], [[H], [H]], "state [0]: step returned [*, *] for [*]"),
            ([H], [None], "state [0]: step returned * for None"),
        ],
    )
    def test_nest(self, new: Any, initial: Any, described: str) -> None:
        refused((H, new), described, initial_states=initial)

    @pytest.mark.parametrize(
        ("new", "initial", "text"),
        [
            ([H[:1]], [H], "state [0]: step returned float32 (1, 4) for float32 (2, 4)"),
            ([H[..., None]], [H], "state [0]: step returned float32 (2, 4, 1) for float32 (2, 4)"),
            ([H, H[0]], [H, H], "state [1]: step returned float32 (4,) for float32 (2, 4)"),
            (
                [{"h": [H, H[:, :3]]}],
                [{"h": [H, H]}],
                "state [0]['h'][1]: step returned float32 (2, 3) for float32 (2, 4)",
            ),
            (
                [Pair(H, H[0])],
                [Pair(H, H)],
                "state [0].right: step returned float32 (4,) for float32 (2, 4)",
            ),
        ],
    )
    def test_shape(self, new: Any, initial: Any, text: str) -> None:
        refused((H, new), text, initial_states=initial)

    @pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "complex64", "bool"])
    def test_dtype(self, dtype: str) -> None:
        refused(
            (H, [{"h": H.astype(dtype)}]),
            f"state [0]['h']: step returned {dtype} (2, 4) for float32 (2, 4)",
            initial_states=[{"h": H}],
        )

    def test_dtype_and_shape_at_once(self) -> None:
        refused((H, np.zeros((4, 3))), "state [0]: step returned float64 (4, 3) for float32 (2, 4)")

    @pytest.mark.parametrize("masked", [False, True])
    @pytest.mark.parametrize("unroll", [False, True])
    def test_are_found_at_the_step_that_returns_them(self, masked: bool, unroll: bool) -> None:
        met = []

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            met.append(x)
            return x, [states[0].astype("float64") if len(met) == 2 else states[0]]

        text = r"^state \[0\]: step returned float64 \(2, 4\) for float32 \(2, 4\)$"
        with pytest.raises(ValueError, match=text):
            polyrnn.rnn(step, X, [H], mask=np.ones((2, TIME)) if masked else None, unroll=unroll)
        assert len(met) == 2

    def test_are_no_tensors(self) -> None:
        refused(
            (H, ["h"]),
            f"state [0]: expected a tensor, got str, {UNKNOWN}",
            TypeError,
        )


class TestWrongOutput:
    def walk(self, first: Any, second: Any, text: str) -> None:
        outputs = iter([first, second])
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
            polyrnn.rnn(lambda x, s: (next(outputs), []), X, [])
        assert str(caught.value) == text

    @pytest.mark.parametrize(
        ("first", "second", "text"),
        [
            (H, [H], "output: step returned [*] for *"),
            (H, None, "output: step returned None for *"),
            ([H, H], (H, H), "output: step returned (*, *) for [*, *]"),
            ({"a": H}, {"b": H}, "output: step returned {'b': *} for {'a': *}"),
            (None, H, "output: step returned * for None"),
        ],
    )
    def test_nest_changes(self, first: Any, second: Any, text: str) -> None:
        self.walk(first, second, text)

    @pytest.mark.parametrize(
        ("first", "second", "text"),
        [
            (H, H[:, :2], "output: step returned float32 (2, 2) for float32 (2, 4)"),
            (H, H.astype("f8"), "output: step returned float64 (2, 4) for float32 (2, 4)"),
            (H, 0.0, "output: step returned float64 () for float32 (2, 4)"),
            (
                {"a": [H]},
                {"a": [H[0]]},
                "output ['a'][0]: step returned float32 (4,) for float32 (2, 4)",
            ),
        ],
    )
    def test_leaf_changes(self, first: Any, second: Any, text: str) -> None:
        self.walk(first, second, text)

    @pytest.mark.parametrize("first", [True, False])
    def test_is_the_first_state_at_one_step_only(self, first: bool) -> None:
        is_state = iter([first, not first])
        shapes = ((2, 2), (2, 4)) if first else ((2, 4), (2, 2))

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            return states[0] if next(is_state) else x[:, :2], states

        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
            polyrnn.rnn(step, X, [H])
        assert str(caught.value) == (
            f"output: step returned float32 {shapes[0]} for float32 {shapes[1]}"
        )

    @pytest.mark.parametrize("shape", [(), (4,), (3, 2)])
    def test_has_no_batch_to_mask(self, shape: tuple[int, ...]) -> None:
        refused(
            ({"y": np.zeros(shape)}, [H]),
            "output ['y']: expected the batch (2) as the first axis, because steps are masked; "
            f"step returned shape {shape}",
            mask=np.ones((2, TIME)),
        )

    def test_is_no_tensor(self) -> None:
        refused(
            ([H, object()], []),
            f"output [1]: expected a tensor, got object, {UNKNOWN}",
            TypeError,
            initial_states=[],
        )
