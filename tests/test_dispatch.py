"""Test which methods of a backend the front end calls, how often, and with which arguments."""

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import optree
import pytest
from recording import OutsideTheContractError, RecordingBackend, Tensor, add, to_numpy

import polyrnn
from polyrnn import Backend

BATCH, TIME, DEPTH = 2, 3, 4
LENGTHS = np.array([3, 1])
MASK = np.arange(TIME) < LENGTHS[:, None]


@pytest.fixture
def backend() -> RecordingBackend:
    return RecordingBackend()


def accumulate(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    total = add(x, states[0])
    return total, [total]


def call(backend: RecordingBackend, step: Any = accumulate, **options: Any) -> Any:
    """Call `rnn` with tensors of the backend; options that are arrays are converted, too."""
    length = options.pop("length", TIME)
    shape = (length, BATCH) if options.get("time_major") else (BATCH, length)
    arguments: Any = {
        "inputs": np.ones((*shape, DEPTH), np.float32),
        "initial_states": [np.zeros((BATCH, DEPTH), np.float32)],
        **options,
    }
    tensors = optree.tree_map(
        lambda leaf: backend.tensor(leaf) if isinstance(leaf, np.ndarray) else leaf, arguments
    )
    return polyrnn.rnn(step, **tensors, backend=backend)


def computing(backend: RecordingBackend) -> list[str]:
    """Return the names of the methods that were called, without nests and indexing."""
    ignored = ("flatten", "index", "body", "returned")
    return [recorded.method for recorded in backend.calls if recorded.method not in ignored]


class TestPlainCall:
    def test_it_transposes_loops_and_transposes_back(self, backend: RecordingBackend) -> None:
        call(backend)
        assert computing(backend) == ["transpose", "loop", "transpose"]
        before, after = backend.called("transpose")
        assert before.arguments == ((BATCH, TIME, DEPTH),)
        assert after.arguments == ((TIME, BATCH, DEPTH),)

    def test_time_major_only_loops(self, backend: RecordingBackend) -> None:
        call(backend, time_major=True)
        assert computing(backend) == ["loop"]

    def test_the_loop_gets_time_first_and_an_output_that_is_not_held(
        self, backend: RecordingBackend
    ) -> None:
        call(backend)
        (loop,) = backend.called("loop")
        carry, xs, reverse, unroll = loop.arguments
        assert carry == ([(BATCH, DEPTH)], None)
        assert xs == [(TIME, BATCH, DEPTH)]
        assert (reverse, unroll) == (False, False)

    @pytest.mark.parametrize(("reverse", "unroll"), list(product([False, True], repeat=2)))
    def test_direction_and_unrolling_are_passed_to_the_loop(
        self, backend: RecordingBackend, reverse: bool, unroll: bool
    ) -> None:
        call(backend, go_backwards=reverse, unroll=unroll)
        (loop,) = backend.called("loop")
        assert loop.arguments[2:] == (reverse, unroll)
        assert not backend.called("flip")

    def test_every_step_stacks_its_outputs(self, backend: RecordingBackend) -> None:
        call(backend)
        returned = [recorded.arguments for recorded in backend.called("returned")]
        assert returned == [(([(BATCH, DEPTH)], None), [(BATCH, DEPTH)])] * TIME

    def test_a_single_last_output_is_carried_and_nothing_is_stacked(
        self, backend: RecordingBackend
    ) -> None:
        _, outputs, _ = call(backend, return_all_outputs=False)
        returned = [recorded.arguments for recorded in backend.called("returned")]
        assert returned == [(([(BATCH, DEPTH)], [(BATCH, DEPTH)]), [])] * TIME
        assert outputs.shape == (BATCH, 1, DEPTH)

    def test_tensors_of_the_backend_are_not_converted(self, backend: RecordingBackend) -> None:
        call(backend, constants=[np.ones(3)])
        assert not backend.called("convert")

    def test_numpy_arrays_are_converted_each_once(self, backend: RecordingBackend) -> None:
        inputs = np.ones((BATCH, TIME, DEPTH), np.float32)
        states = [np.zeros((BATCH, DEPTH), np.float32)]
        polyrnn.rnn(accumulate, inputs, states, backend=backend)
        converted = [recorded.arguments for recorded in backend.called("convert")]
        like = (TIME, BATCH, DEPTH)
        assert converted == [((BATCH, TIME, DEPTH), None), ((BATCH, DEPTH), like)]


class TestMaskedCall:
    def test_the_mask_becomes_boolean_with_time_first(self, backend: RecordingBackend) -> None:
        call(backend, mask=MASK.astype(np.float32))
        (nonzero,) = backend.called("nonzero")
        assert nonzero.arguments == ((BATCH, TIME),)
        assert ((BATCH, TIME),) in [turned.arguments for turned in backend.called("transpose")]

    def test_lengths_become_the_mask_of_time_first_inputs(self, backend: RecordingBackend) -> None:
        call(backend, input_length=LENGTHS)
        (asked,) = backend.called("length_mask")
        assert asked.arguments == ((BATCH,), (TIME, BATCH, DEPTH))
        assert not backend.called("nonzero")

    def test_a_length_that_masks_nothing_adds_no_calls(self, backend: RecordingBackend) -> None:
        call(backend, input_length=TIME)
        assert computing(backend) == ["transpose", "loop", "transpose"]

    def test_padding_is_filled_once_before_the_loop(self, backend: RecordingBackend) -> None:
        call(backend, mask=MASK, time_major=False)
        before = computing(backend)[: computing(backend).index("loop")]
        assert Counter(before)["take_first"] == 2
        detached = [recorded.arguments for recorded in backend.called("detach")]
        assert detached == [((BATCH, DEPTH),), ((TIME, BATCH, DEPTH),)]
        after = computing(backend)[computing(backend).index("loop") :]
        assert set(after) == {"loop", "select", "transpose"}

    def test_a_state_of_rank_1_shares_the_plain_mask(self, backend: RecordingBackend) -> None:
        def count(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            return x, [add(*states, *states)]

        call(backend, count, mask=MASK, initial_states=[np.zeros(BATCH)])
        assert backend.called("loop")[0].arguments[1] == [(TIME, BATCH, DEPTH), (TIME, BATCH)]

    @pytest.mark.parametrize("length", [1, 3, 20])
    def test_the_mask_is_expanded_once_for_each_rank_of_state(
        self, backend: RecordingBackend, length: int
    ) -> None:
        states = [
            np.zeros((BATCH, DEPTH)),
            np.zeros((BATCH, 5)),
            [np.zeros((BATCH, 2, 3)), np.zeros(BATCH)],
        ]
        mask = np.ones((BATCH, length), bool)
        call(
            backend, lambda x, states: (x, states), mask=mask, initial_states=states, length=length
        )
        xs = backend.called("loop")[0].arguments[1]
        expanded = [(length, BATCH), (length, BATCH, 1), (length, BATCH, 1, 1)]
        assert xs == [(length, BATCH, DEPTH), *expanded]
        whole = [(slice(None), slice(None), None), (slice(None), slice(None), None, None)]
        asked = [recorded.arguments for recorded in backend.called("index")]
        for index in whole:
            assert asked.count(((length, BATCH), index)) == 1

    def test_a_step_selects_each_state_twice_and_each_output_once(
        self, backend: RecordingBackend
    ) -> None:
        def step(x: Tensor, states: list[Any]) -> tuple[Any, list[Any]]:
            return {"a": x, "b": (x, x)}, states

        states = [np.zeros((BATCH, DEPTH)), [np.zeros((BATCH, 2, 3)), np.zeros(BATCH)]]
        call(backend, step, mask=MASK, initial_states=states)
        plain: Any = (BATCH,)
        held: list[Any] = [(plain, (BATCH, DEPTH), (BATCH, DEPTH))] * 3
        expected: list[Any] = [
            ((BATCH, 1), (BATCH, DEPTH), (BATCH, DEPTH)),
            ((BATCH, 1, 1), (BATCH, 2, 3), (BATCH, 2, 3)),
            (plain, plain, plain),
        ]
        first = [(mask, x, None) for mask, x, _ in held]
        in_steps = _selects_of_steps(backend)
        states_of_step = expected + expected
        assert in_steps == [states_of_step + first] + [states_of_step + held] * (TIME - 1)

    def test_the_held_output_starts_as_none(self, backend: RecordingBackend) -> None:
        call(backend, mask=MASK)
        carries = [recorded.arguments[0] for recorded in backend.called("body")]
        state = [(BATCH, DEPTH)]
        assert carries == [(state, None)] + [(state, [(BATCH, DEPTH)])] * (TIME - 1)

    def test_outputs_are_filled_once_after_the_loop_if_the_backend_can(self) -> None:
        backend = RecordingBackend(fills=True)
        call(backend, mask=MASK, go_backwards=True)
        plain = (BATCH,)
        state = ((BATCH, 1), (BATCH, DEPTH), (BATCH, DEPTH))
        first = (plain, (BATCH, DEPTH), None)
        states = [state, state]
        assert _selects_of_steps(backend) == [[*states, first]] + [states] * (TIME - 1)
        carries = [recorded.arguments[0][1] for recorded in backend.called("body")]
        assert carries == [None] + [[]] * (TIME - 1)
        filled = [recorded.arguments for recorded in backend.called("forward_fill")]
        assert filled == [((TIME, BATCH, DEPTH), (TIME, BATCH))]
        assert backend.called("flip")

    @pytest.mark.parametrize(
        "changes", [{"mask": None}, {"return_all_outputs": False}, {"zero_output_for_mask": True}]
    )
    def test_nothing_is_filled_where_nothing_is_repeated_or_kept(
        self, changes: dict[str, Any]
    ) -> None:
        backend = RecordingBackend(fills=True)
        call(backend, **{"mask": MASK, **changes})
        assert not backend.called("forward_fill")

    def test_zeroed_outputs_are_selected_once_after_the_loop(
        self, backend: RecordingBackend
    ) -> None:
        call(backend, mask=MASK, zero_output_for_mask=True)
        state = ((BATCH, 1), (BATCH, DEPTH), (BATCH, DEPTH))
        assert _selects_of_steps(backend) == [[state, state]] * TIME
        assert backend.called("select")[-1].arguments == (
            (TIME, BATCH),
            (TIME, BATCH, DEPTH),
            None,
        )
        assert not backend.called("flip")

    def test_the_mask_is_reversed_only_for_zeroed_outputs_backwards(
        self, backend: RecordingBackend
    ) -> None:
        call(backend, mask=MASK, go_backwards=True)
        assert not backend.called("flip")
        call(backend, mask=MASK, go_backwards=True, zero_output_for_mask=True)
        assert [recorded.arguments for recorded in backend.called("flip")] == [((TIME, BATCH),)]


class TestSteps:
    def test_flat_results_are_flattened_at_the_first_step_only(
        self, backend: RecordingBackend
    ) -> None:
        call(backend, mask=MASK, length=TIME)
        flattened = [_count(step, "flatten") for step in _steps(backend)]
        assert flattened == [1] + [0] * (TIME - 1)

    def test_a_nested_output_is_flattened_once_at_each_step(
        self, backend: RecordingBackend
    ) -> None:
        def step(x: Tensor, states: list[Any]) -> tuple[Any, list[Any]]:
            return {"a": x}, states

        call(backend, step)
        assert [_count(step, "flatten") for step in _steps(backend)] == [1] * TIME

    def test_the_step_itself_indexes_and_converts_nothing(self, backend: RecordingBackend) -> None:
        call(backend, mask=MASK)
        for step in _steps(backend):
            assert not _count(step, "index", "convert", "transpose", "nonzero")


class TestContract:
    def test_only_methods_of_the_contract_are_called(self, backend: RecordingBackend) -> None:
        call(backend, mask=MASK, go_backwards=True, zero_output_for_mask=True)
        call(backend, input_length=LENGTHS)
        noted = {"index", "body", "returned", "flatten", "ones_like"}
        asked = {recorded.method for recorded in backend.calls} - noted
        assert asked <= set(vars(Backend))
        assert Backend.__abstractmethods__ <= asked

    @pytest.mark.parametrize("masking", ["none", "mask", "column", "length", "lengths"])
    @pytest.mark.parametrize(
        ("reverse", "zero", "everything", "time_major"), list(product([False, True], repeat=4))
    )
    def test_no_call_uses_more_of_a_tensor_and_all_agree_with_numpy(
        self, masking: str, reverse: bool, zero: bool, everything: bool, time_major: bool
    ) -> None:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            total = plus(x["a"], states[0]["h"])
            return (total, [x["b"]]), [{"h": total}]

        def plus(one: Any, other: Any) -> Any:
            return add(one, other) if isinstance(one, Tensor) else one + other

        generator = np.random.default_rng(0)
        mask = np.swapaxes(MASK, 0, 1) if time_major else MASK
        masks: dict[str, dict[str, Any]] = {
            "none": {},
            "mask": {"mask": mask},
            "column": {"mask": mask[..., None].astype(np.int8)},
            "length": {"input_length": 2},
            "lengths": {"input_length": LENGTHS},
        }
        first = (TIME, BATCH) if time_major else (BATCH, TIME)
        arguments: dict[str, Any] = {
            "inputs": {
                "a": generator.normal(size=(*first, DEPTH)),
                "b": generator.integers(9, size=(*first, 2, 2)),
            },
            "initial_states": [{"h": np.zeros((BATCH, DEPTH))}],
            "go_backwards": reverse,
            "zero_output_for_mask": zero,
            "return_all_outputs": everything,
            "time_major": time_major,
            **masks[masking],
        }
        recorded: Any = call(RecordingBackend(), step, **arguments)
        expected: Any = polyrnn.rnn(step, **arguments, backend="numpy")
        assert optree.tree_structure(recorded) == optree.tree_structure(expected)
        for one, other in zip(
            optree.tree_leaves(recorded), optree.tree_leaves(expected), strict=True
        ):
            np.testing.assert_array_equal(to_numpy(one), other, strict=True)

    @pytest.mark.parametrize(
        "more",
        [bool, len, list, str, np.asarray, lambda x: x + x, lambda x: x.ndim, lambda x: x[0]],
        ids=["bool", "len", "list", "str", "asarray", "add", "ndim", "index"],
    )
    def test_the_tensors_of_these_tests_allow_no_more(
        self, backend: RecordingBackend, more: Any
    ) -> None:
        with pytest.raises(OutsideTheContractError):
            more(backend.tensor(np.ones((1, 1))))


def _steps(backend: RecordingBackend) -> list[list[Any]]:
    """Return the calls made in the loop, grouped by steps."""
    steps: list[list[Any]] = []
    inside = False
    for recorded in backend.calls:
        if recorded.method == "body":
            steps.append([])
        inside = recorded.method == "body" or (inside and recorded.method != "returned")
        if inside:
            steps[-1].append(recorded)
    return steps


def _count(step: list[Any], *methods: str) -> int:
    return sum(recorded.method in methods for recorded in step)


def _selects_of_steps(backend: RecordingBackend) -> list[list[Any]]:
    return [
        [recorded.arguments for recorded in step if recorded.method == "select"]
        for step in _steps(backend)
    ]
