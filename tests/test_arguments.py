"""Test every error about an argument: its type, its full text, and the path of the leaf."""

from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusal import BATCH, TIME, UNKNOWN, WIDTH, H, X, refused, step
from wrapped import WrappedBackend

import polyrnn

Pair = namedtuple("Pair", "left right")


class TestStepFunction:
    @pytest.mark.parametrize(
        ("value", "kind"),
        [(None, "NoneType"), ("step", "str"), (X, "numpy.ndarray")],
    )
    def test_is_callable(self, value: Any, kind: str) -> None:
        refused(TypeError, f"step_function: expected a callable, got {kind}", step_function=value)


FLAGS = ["go_backwards", "unroll", "time_major", "zero_output_for_mask", "return_all_outputs"]


@pytest.mark.parametrize("flag", FLAGS)
class TestFlags:
    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (1, "int"),
            (0, "int"),
            (None, "NoneType"),
            ("no", "str"),
            (np.array(True), "numpy.ndarray"),
            (np.int64(1), "numpy.int64"),
        ],
    )
    def test_is_true_or_false(self, flag: str, value: Any, kind: str) -> None:
        refused(TypeError, f"{flag}: expected True or False, got {kind}", **{flag: value})

    @pytest.mark.parametrize("value", [True, False])
    def test_may_be_a_bool_of_numpy(self, flag: str, value: bool) -> None:
        x = np.arange(X.size, dtype=np.float32).reshape(X.shape)
        mask = x[..., 0] > 0
        mask = np.ones((TIME, TIME), bool) if flag == "time_major" else mask
        x = np.ones((TIME, TIME, WIDTH), np.float32) if flag == "time_major" else x
        plain: dict[str, Any] = {flag: value}
        boxed: dict[str, Any] = {flag: np.bool_(value)}
        results = [
            polyrnn.rnn(lambda x, s: (x, s), x, [x[:, 0]], mask=mask, **flags)[1]
            for flags in (plain, boxed)
        ]
        np.testing.assert_array_equal(*results)


class TestInputs:
    @pytest.mark.parametrize("empty", [None, [], (), {}, [None, {"a": ()}]])
    def test_hold_a_tensor(self, empty: Any) -> None:
        refused(ValueError, "inputs: expected at least one tensor, got an empty nest", inputs=empty)

    @pytest.mark.parametrize("rank", [0, 1, 2])
    def test_have_rank_3(self, rank: int) -> None:
        x = np.ones(X.shape[:rank])
        refused(
            ValueError,
            f"inputs: expected (batch, time, ...) with rank 3 or more, got shape {x.shape}",
            inputs=x,
        )

    def test_name_the_leaf_and_the_layout(self) -> None:
        refused(
            ValueError,
            "inputs['a'][1]: expected (time, batch, ...) with rank 3 or more, got shape (2, 3)",
            inputs={"a": [X, X[..., 0]]},
            time_major=True,
        )

    def test_name_the_field(self) -> None:
        refused(
            ValueError,
            "inputs.right: expected (batch, time, ...) with rank 3 or more, got shape (2,)",
            inputs=Pair(X, X[:, 0, 0]),
        )

    def test_agree_on_time(self) -> None:
        refused(
            ValueError,
            "inputs['b']: expected time 3 as in inputs['a'], got 2 in shape (2, 2, 4)",
            inputs={"a": X, "b": X[:, :2]},
        )

    def test_agree_on_batch(self) -> None:
        refused(
            ValueError,
            "inputs[1]: expected batch 2 as in inputs[0], got 1 in shape (1, 3, 4)",
            inputs=(X, X[:1]),
        )

    def test_agree_in_the_given_layout(self) -> None:
        refused(
            ValueError,
            "inputs[1]: expected time 2 as in inputs[0], got 1 in shape (1, 3, 4)",
            inputs=(X, X[:1]),
            time_major=True,
        )

    @pytest.mark.parametrize("time_major", [False, True])
    def test_have_a_time_step(self, time_major: bool) -> None:
        axes = "(time, batch, ...)" if time_major else "(batch, time, ...)"
        x = X[:, :0].swapaxes(0, 1) if time_major else X[:, :0]
        refused(
            ValueError,
            f"inputs: expected {axes} with at least one time step, got shape {x.shape}",
            inputs=x,
            time_major=time_major,
        )

    def test_may_have_an_empty_batch(self) -> None:
        x, mask = np.ones((0, 3, 4)), np.ones((0, 3), bool)
        last, outputs, (state,) = polyrnn.rnn(step, x, [x[:, 0]], mask=mask)
        assert (last.shape, outputs.shape, state.shape) == ((0, 4), (0, 3, 4), (0, 4))

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            ("text", "str"),
            (object(), "object"),
            (b"text", "bytes"),
        ],
    )
    def test_are_numbers(self, value: Any, kind: str) -> None:
        refused(
            TypeError,
            f"inputs['a']: expected a tensor, got {kind}, {UNKNOWN}",
            inputs={"a": value},
        )

    def test_are_not_other_numpy_objects(self) -> None:
        refused(
            TypeError,
            "inputs[0]: expected a tensor, got numpy.dtypes.Float32DType, which is none",
            inputs=[np.dtype("f4")],
        )

    def test_are_lists_of_equal_length(self) -> None:
        with pytest.raises(ValueError, match=r"^inputs: expected lists of equal length$") as caught:
            polyrnn.rnn(step, [[[1.0], [1.0, 2.0]]], [H])
        assert isinstance(caught.value.__cause__, ValueError)


class TestStates:
    def test_are_numbers(self) -> None:
        refused(
            TypeError,
            f"initial_states[0]['h']: expected a tensor, got str, {UNKNOWN}",
            initial_states=[{"h": "h"}],
        )

    def test_none_where_there_is_no_state(self) -> None:
        def count(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            assert states == []
            return x, []

        assert polyrnn.rnn(count, X, None)[2] == []

    @pytest.mark.parametrize("named", ["mask", "input_length"])
    @pytest.mark.parametrize("states", [[], (), None])
    def test_are_needed_where_steps_are_masked(self, named: str, states: Any) -> None:
        masking = {"mask": np.ones((BATCH, TIME))} if named == "mask" else {"input_length": [1, 2]}
        refused(
            ValueError,
            f"{named}: expected initial_states, which masked steps leave as they are; got none",
            initial_states=states,
            **masking,
        )

    @pytest.mark.parametrize(
        ("shape", "named", "masking"),
        [
            ((1,), "mask", {"mask": np.ones((BATCH, TIME))}),
            ((3, 2), "mask", {"mask": np.ones((BATCH, TIME, 1))}),
            ((5,), "input_length", {"input_length": np.array([1, 3])}),
            ((3,), "input_length", {"input_length": 2}),
        ],
    )
    def test_have_the_batch_first_where_steps_are_masked(
        self, shape: tuple[int, ...], named: str, masking: dict[str, Any]
    ) -> None:
        refused(
            ValueError,
            f"initial_states[1][0]: expected the batch (2) as the first axis, because {named} "
            f"is given; got shape {shape}",
            initial_states=[H, (np.zeros(shape),)],
            **masking,
        )

    def test_have_any_shape_without_a_mask(self) -> None:
        _, outputs, (count,) = polyrnn.rnn(lambda x, s: (x + s[0], [s[0] + 1]), X, [np.array(0)])
        assert (outputs[0, :, 0].tolist(), count) == ([1, 2, 3], 3)


class TestConstants:
    def test_are_numbers(self) -> None:
        refused(
            TypeError,
            f"constants[1]: expected a tensor, got type, {UNKNOWN}",
            constants=[H, dict],
        )

    def test_are_lists_of_equal_length(self) -> None:
        with pytest.raises(ValueError, match=r"^constants: expected lists of equal length$"):
            polyrnn.rnn(step, X, [H], constants=([[1.0], [1.0, 2.0]],))

    @pytest.mark.parametrize("constants", [H, [H], (H,)])
    def test_a_bare_value_is_one_constant(self, constants: Any) -> None:
        def take(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            state, constant = states
            assert np.shares_memory(constant, H)
            np.testing.assert_array_equal(constant, H)
            return x, [state]

        polyrnn.rnn(take, X, [H], constants=constants)

    def test_are_passed_in_a_new_list_at_each_step(self) -> None:
        def spoil(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            assert len(states) == 2
            states.clear()
            return x, [H]

        polyrnn.rnn(spoil, X, [H], constants=[H])


class TestNeutralValues:
    def test_lists_of_numbers_are_tensors(self) -> None:
        last, outputs, states = polyrnn.rnn(
            lambda x, s: (x + s[0] + s[1], [s[0] + x]),
            [[[1.0], [2.0]], [[3.0], [4.0]]],
            [[[0.0], [10.0]]],
            mask=[[1, 1], [1, 0]],
            constants=([[100.0], [200.0]],),
        )
        assert outputs.tolist() == [[[101.0], [103.0]], [[213.0], [213.0]]]
        assert last.tolist() == [[103.0], [213.0]]
        assert [state.tolist() for state in states] == [[[3.0], [13.0]]]

    def test_lists_of_numbers_may_be_in_nests(self) -> None:
        def add(x: dict[str, Any], states: list[Any]) -> tuple[Any, list[Any]]:
            assert states == []
            return x["a"] + x["b"][0], []

        outputs = polyrnn.rnn(add, {"a": [[[1], [2]]], "b": (np.array([[[10], [20]]]),)}, [])[1]
        assert outputs.tolist() == [[[11], [22]]]

    def test_numbers_are_tensors(self) -> None:
        def add(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            total, constant = states
            return x * constant, [total + 1]

        last, _, (count,) = polyrnn.rnn(add, X, 0.5, constants=3)
        assert (last[0, 0], count) == (3.0, 3.5)


class TestBackendArgument:
    @pytest.mark.parametrize(("value", "kind"), [(3, "int"), (np, "module"), (["numpy"], "list")])
    def test_is_a_name_or_a_backend(self, value: Any, kind: str) -> None:
        refused(
            TypeError, f"backend: expected a name or a polyrnn.Backend, got {kind}", backend=value
        )

    def test_is_keyword_only(self) -> None:
        rnn: Any = polyrnn.rnn
        with pytest.raises(TypeError, match="positional argument"):
            rnn(step, X, [H], False, None, None, False, None, False, False, True, "numpy")


class Foreign:
    """A tensor of a library without a backend."""

    def __array__(self, *arguments: Any, **keywords: Any) -> Any:
        return X


class TestForeignTensors:
    @pytest.mark.parametrize("argument", ["inputs", "mask", "input_length"])
    def test_are_errors_without_a_chosen_backend(self, argument: str) -> None:
        kind = f"{Foreign.__module__}.Foreign"
        refused(
            TypeError,
            f"{argument}: expected a tensor, got {kind}, {UNKNOWN}",
            **{argument: Foreign()},
        )

    def test_of_pandas_say_what_to_pass_instead(self) -> None:
        frame = type("DataFrame", (Foreign,), {"__module__": "pandas.core.frame"})
        refused(
            TypeError,
            f"inputs: expected a tensor, got pandas.core.frame.DataFrame, {UNKNOWN}; pass "
            "x.to_numpy()",
            inputs=frame(),
        )

    def test_within_a_list_of_lengths(self) -> None:
        refused(
            TypeError,
            "input_length: expected a tensor or a list of numbers, got list",
            input_length=[Foreign(), 1],
        )

    def test_at_a_later_step(self) -> None:
        outputs = iter([H, Foreign()])
        with pytest.raises(TypeError, match=r"^output: expected a tensor, got .*Foreign, which no"):
            polyrnn.rnn(lambda x, states: (next(outputs), states), X, [H])

    def test_the_error_says_why_a_conversion_failed(self) -> None:
        class Failing(WrappedBackend):
            def convert(self, value: Any, like: Any = None) -> Any:
                raise RuntimeError("there is no memory\nat all")

        refused(
            TypeError,
            "inputs: expected a tensor, got numpy.ndarray, which cannot be made one of numpy: "
            "RuntimeError: there is no memory",
            backend=Failing(),
        )


class TestArraysOfNumPy:
    def test_may_be_of_a_plain_subclass(self, tmp_path: Path) -> None:
        class Named(np.ndarray):
            pass

        mapped = np.memmap(tmp_path / "x", X.dtype, "w+", shape=X.shape)
        mapped[:] = X
        for x in (mapped, X.view(Named), X.astype(">f4")):
            _, outputs, _ = polyrnn.rnn(step, x, [H])
            np.testing.assert_array_equal(np.asarray(outputs), X)

    @pytest.mark.parametrize("nested", [False, True])
    def test_are_not_masked_at_a_later_step(self, nested: bool) -> None:
        outputs: Any = iter([H, np.ma.masked_array(H, mask=True)])

        def put_out(x: Any, states: list[Any]) -> Any:
            output = next(outputs)
            return ([output] if nested else output), states

        with pytest.raises(TypeError, match=r"^output.*: expected a plain tensor, got numpy\.ma"):
            polyrnn.rnn(put_out, X, [H])

    def test_of_masks_in_a_list_are_not_masked(self) -> None:
        with pytest.raises(TypeError, match=r"^mask: expected a plain tensor, got numpy\.ma"):
            polyrnn.rnn(step, X, [H], mask=[np.ma.masked_array([1, 1, 1], mask=True)] * BATCH)
