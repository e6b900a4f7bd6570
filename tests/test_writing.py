"""Test steps that write into their arguments, and that results share no memory, on numpy."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import polyrnn

X = np.array([[[1.0], [2.0], [3.0], [4.0]]])
MASK = np.array([[True, True, False, True]])
H = np.zeros((1, 1))


def add_in_place(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    total = states[0]
    total += x
    return total, [total]


class TestTheStepWrites:
    @pytest.mark.parametrize(
        ("mask", "outputs"), [(None, [1, 3, 6, 10]), (MASK, [1, 3, 3, 7])], ids=["plain", "masked"]
    )
    @pytest.mark.parametrize("everything", [True, False])
    def test_into_its_state(self, mask: Any, outputs: list[float], everything: bool) -> None:
        initial, inputs = H.copy(), X.copy()
        last, all_outputs, (total,) = polyrnn.rnn(
            add_in_place, inputs, [initial], mask=mask, return_all_outputs=everything
        )
        assert all_outputs.ravel().tolist() == (outputs if everything else outputs[-1:])
        assert last.item() == total.item() == outputs[-1]
        np.testing.assert_array_equal(initial, H)
        np.testing.assert_array_equal(inputs, X)

    @pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "masked"])
    def test_into_a_state_of_rank_0(self, mask: Any) -> None:
        initial = np.array(0)

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            states[1] += 1
            return states[0] + states[1], [states[0], states[1]]

        _, outputs, (_, count) = polyrnn.rnn(step, X, [H, initial], mask=mask)
        assert outputs.ravel().tolist() == ([1, 2, 3, 4] if mask is None else [1, 2, 2, 4])
        assert (count.item(), initial.item()) == (4, 0)

    @pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "masked"])
    @pytest.mark.parametrize("backwards", [False, True])
    def test_into_its_input(self, mask: Any, backwards: bool) -> None:
        inputs = X.copy()

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            x *= 10
            return x, [x]

        _, outputs, _ = polyrnn.rnn(step, inputs, [H], mask=mask, go_backwards=backwards)
        walked = X[:, ::-1] if backwards else X
        valid = np.ones(4, bool) if mask is None else mask[0, :: -1 if backwards else 1]
        assert outputs.ravel()[valid].tolist() == (10 * walked.ravel()[valid]).tolist()
        np.testing.assert_array_equal(inputs, X)

    @pytest.mark.parametrize(
        ("constants", "write", "named"),
        [
            (H, lambda constants: constants[0].fill(1), "constants[0]"),
            ([H, {"a": H}], lambda constants: constants[1]["a"].fill(1), "constants[1]['a']"),
        ],
    )
    def test_into_a_constant(self, constants: Any, write: Any, named: str) -> None:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            write(states[1:])
            return x, states[:1]

        text = (
            f"step_function wrote into {named}; it has to make a new tensor instead, such as "
            "h = h + x for h += x"
        )
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
            polyrnn.rnn(step, X, [H], constants=constants)
        assert str(caught.value) == text
        np.testing.assert_array_equal(H, np.zeros((1, 1)))

    def test_into_something_else_that_is_read_only(self) -> None:
        own = np.zeros(1)
        own.setflags(write=False)

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            own[:] = 1
            return x, states[:1]

        with pytest.raises(ValueError, match=r"^assignment destination is read-only$"):
            polyrnn.rnn(step, X, [H], constants=[H])

    @pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "masked"])
    def test_into_a_buffer_that_it_returns_each_time(self, mask: Any) -> None:
        buffer = np.zeros((1, 1))

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            np.add(x, states[0], out=buffer)
            return buffer, [buffer]

        last, outputs, (total,) = polyrnn.rnn(step, X, [H], mask=mask)
        assert outputs.ravel().tolist() == ([1, 3, 6, 10] if mask is None else [1, 3, 3, 7])
        # The next call writes into the buffer again, but not into the results of this call.
        polyrnn.rnn(step, X, [H])
        assert last.item() == total.item() == outputs[0, -1, 0]


class TestResultsShareNoMemory:
    @pytest.mark.parametrize("everything", [True, False])
    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"mask": MASK},
            {"mask": MASK, "zero_output_for_mask": True},
            {"mask": ~MASK & False},
            {"time_major": True},
            {"go_backwards": True},
            {"unroll": True},
        ],
        ids=["plain", "masked", "zeroed", "all-masked", "time-major", "backwards", "unrolled"],
    )
    def test_with_arguments_nor_with_each_other(
        self, everything: bool, arguments: dict[str, Any]
    ) -> None:
        inputs = X.swapaxes(0, 1).copy() if "time_major" in arguments else X.copy()
        initial = [H.copy(), H.copy(), np.zeros(())]
        constant = H.copy()
        met: list[Any] = []

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            met.extend(states)
            return {"x": x, "h": states[0], "c": states[3]}, [x, states[1], states[2]]

        last, outputs, states = polyrnn.rnn(
            step, inputs, initial, constants=constant, return_all_outputs=everything, **arguments
        )
        results = [*last.values(), *outputs.values(), *states]
        others = [inputs, *initial, constant, *met]
        for position, result in enumerate(results):
            for other in [*results[:position], *others]:
                assert not np.shares_memory(result, other)

    def test_the_last_output_does_not_keep_all_outputs_alive(self) -> None:
        last = polyrnn.rnn(add_in_place, np.ones((1, 1000, 8)), [np.zeros((1, 8))])[0]
        assert last.base is None
        assert last.nbytes == 64


class TestLongInputs:
    @pytest.mark.parametrize("backwards", [False, True])
    @pytest.mark.parametrize("masking", ["none", "mask", "lengths"])
    def test_are_not_copied_as_a_whole(self, tmp_path: Path, backwards: bool, masking: str) -> None:
        time = 20_000
        x = np.lib.format.open_memmap(
            tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(1, time, 64)
        )
        maskings: dict[str, dict[str, Any]] = {
            "none": {},
            "mask": {"mask": np.arange(time)[None] % 3 > 0},
            "lengths": {"input_length": [time - 1]},
        }

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            return x[:, :1], [states[0] + x[:, :1]]

        tracemalloc.start()
        try:
            polyrnn.rnn(
                step,
                x,
                [np.zeros((1, 1), np.float32)],
                go_backwards=backwards,
                return_all_outputs=False,
                **maskings[masking],
            )
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # The inputs take 5 MB; a mask and what is computed from it take a few bytes a step.
        assert peak < x.nbytes / 8
