"""Which backend a call runs on: argument, context, environment, tensors, numpy; what said so."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from shelf import Shelf
from wrapped import WrappedArray

import polyrnn
from polyrnn.selection import ENVIRONMENT_VARIABLE
from polyrnn_numpy.backend import NumpyBackend

ONES = np.ones((2, 3, 4), np.float32)


@pytest.fixture
def frameworks(shelf: Shelf) -> Shelf:
    shelf.framework("abacus")
    shelf.framework("quipu")
    return shelf


def ran_on(inputs: Any = ONES, states: Any = (), **arguments: Any) -> str:
    """Name the framework of the output of a call."""
    output = polyrnn.rnn(lambda x, s: (x, s[: len(states)]), inputs, states, **arguments)[1]
    return type(output).__module__


class TestPrecedence:
    def test_numpy_where_nothing_else_chooses(self, frameworks: Shelf) -> None:
        assert ran_on() == "numpy"

    @pytest.mark.parametrize("argument", ["inputs", "states", "constants", "mask", "input_length"])
    def test_tensors_before_numpy(self, frameworks: Shelf, argument: str) -> None:
        arrays = {
            "inputs": ONES,
            "states": np.ones(2),
            "constants": ONES,
            "mask": np.ones((2, 3)),
            "input_length": np.ones(2, int),
        }
        tensor = frameworks.tensor("abacus", arrays[argument])

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            return x, states[:1]

        states: dict[str, Any] = {"states": arrays["states"]} | {argument: tensor}
        inputs, initial = states.pop("inputs", ONES), states.pop("states")
        output = polyrnn.rnn(step, inputs, [initial], **states)[1]
        assert type(output).__module__ == "abacus"

    def test_environment_before_tensors(
        self, frameworks: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, "quipu")
        assert ran_on() == "quipu"
        with pytest.raises(TypeError, match="environment variable POLYRNN_BACKEND=quipu chose"):
            ran_on(frameworks.tensor("abacus", ONES))

    def test_environment_is_read_at_the_call(
        self, frameworks: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        met = []
        for name in ("abacus", "quipu", ""):
            monkeypatch.setenv(ENVIRONMENT_VARIABLE, name)
            met.append(ran_on())
        assert met == ["abacus", "quipu", "numpy"]

    def test_context_before_environment(
        self, frameworks: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, "quipu")
        with polyrnn.use_backend("abacus"):
            assert ran_on() == "abacus"

    def test_argument_before_context(self, frameworks: Shelf) -> None:
        with polyrnn.use_backend("abacus"):
            assert ran_on(backend="quipu") == "quipu"
            assert ran_on(backend="numpy") == "numpy"

    def test_tensors_of_a_framework_before_arrays_of_numpy(self, frameworks: Shelf) -> None:
        tensor = frameworks.tensor("abacus", np.ones((2, 3)))
        assert ran_on(states=[ONES[:, 0], {"a": tensor}], constants=[ONES]) == "abacus"

    def test_types_of_no_framework_choose_nothing(self, frameworks: Shelf) -> None:
        class Table:
            def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
                return ONES

        assert ran_on(Table(), constants=[frameworks.tensor("abacus", 1)]) == "abacus"


class TestBackendObject:
    def test_is_used_as_it_is(self) -> None:
        class Counting(NumpyBackend):
            loops = 0

            def loop(self, *arguments: Any, **keywords: Any) -> Any:
                self.loops += 1
                return super().loop(*arguments, **keywords)

        counting = Counting()
        ran_on(backend=counting)
        with polyrnn.use_backend(counting) as used:
            ran_on()
        assert used is counting
        assert counting.loops == 2

    def test_is_that_of_its_framework(self, frameworks: Shelf) -> None:
        backend = frameworks.registry().load("abacus")
        tensor = frameworks.tensor("abacus", ONES)
        assert ran_on(tensor, backend=backend) == "abacus"
        with pytest.raises(TypeError) as caught:
            ran_on(frameworks.tensor("quipu", ONES), backend=backend)
        assert str(caught.value) == (
            "inputs: expected a tensor of abacus, which backend=FakeBackend chose as the "
            "backend; got one of quipu (quipu.Array)"
        )

    def test_need_not_be_registered(self) -> None:
        from wrapped import WrappedBackend

        with polyrnn.use_backend(WrappedBackend()):
            assert ran_on(WrappedArray(ONES)) == "wrapped"


class TestUseBackend:
    def test_gives_the_backend(self, frameworks: Shelf) -> None:
        with polyrnn.use_backend("abacus") as backend:
            assert isinstance(frameworks.tensor("abacus", 1), backend.tensor_type)

    def test_nests(self, frameworks: Shelf) -> None:
        met = []
        with polyrnn.use_backend("abacus"):
            met.append(ran_on())
            with polyrnn.use_backend("quipu"):
                met.append(ran_on())
            met.append(ran_on())
        met.append(ran_on())
        assert met == ["abacus", "quipu", "abacus", "numpy"]

    def test_is_reentrant_and_reusable(self, frameworks: Shelf) -> None:
        choice = polyrnn.use_backend("abacus")
        met = []
        for _ in range(2):
            with choice, polyrnn.use_backend("quipu"):
                with choice:
                    met.append(ran_on())
                met.append(ran_on())
            met.append(ran_on())
        assert met == ["abacus", "quipu", "numpy"] * 2

    def test_ends_with_an_exception(self, frameworks: Shelf) -> None:
        with pytest.raises(ZeroDivisionError), polyrnn.use_backend("abacus"):
            raise ZeroDivisionError
        assert ran_on() == "numpy"

    def test_holds_for_calls_within_the_step(self, frameworks: Shelf) -> None:
        met = []

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            met.append(ran_on())
            with polyrnn.use_backend("quipu"):
                met.append(ran_on())
            return x, []

        with polyrnn.use_backend("abacus"):
            polyrnn.rnn(step, ONES, [])
        assert met == ["abacus", "quipu"] * 3

    def test_is_of_its_thread(self, frameworks: Shelf) -> None:
        met = {}

        def other() -> None:
            met["other"] = ran_on()

        with polyrnn.use_backend("abacus"):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            met["own"] = ran_on()
        assert met == {"other": "numpy", "own": "abacus"}

    def test_one_serves_threads_that_overlap(self, frameworks: Shelf) -> None:
        choice = polyrnn.use_backend("abacus")
        entered, left = threading.Event(), threading.Event()
        met = []

        def first() -> None:
            with choice:
                entered.set()
                left.wait(10)
                met.append(ran_on())
            met.append(ran_on())

        thread = threading.Thread(target=first)
        thread.start()
        entered.wait(10)
        with choice:
            met.append(ran_on())
        left.set()
        thread.join()
        assert met == ["abacus", "abacus", "numpy"]

    def test_is_of_its_task(self, frameworks: Shelf) -> None:
        async def task(name: str, turns: int) -> list[str]:
            met = []
            with polyrnn.use_backend(name):
                for _ in range(turns):
                    await asyncio.sleep(0)
                    met.append(ran_on())
            return met

        async def main() -> list[list[str]]:
            return list(await asyncio.gather(task("abacus", 3), task("quipu", 2), task("numpy", 4)))

        assert asyncio.run(main()) == [["abacus"] * 3, ["quipu"] * 2, ["numpy"] * 4]

    def test_refuses_at_once(self) -> None:
        with pytest.raises(polyrnn.UnknownBackendError, match="no backend is named 'nothing'"):
            polyrnn.use_backend("nothing")
        with pytest.raises(TypeError, match=r"^backend: expected a name or"):
            polyrnn.use_backend(None)  # type: ignore[arg-type]


def quipu(shelf: Shelf) -> Any:
    return shelf.tensor("quipu", np.ones((2, 3, 4)))


CHOSEN: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "argument": (lambda call, _: call(backend="abacus"), "backend='abacus'"),
    "environment": (
        lambda call, patch: (patch.setenv(ENVIRONMENT_VARIABLE, "abacus"), call()),
        "the environment variable POLYRNN_BACKEND=abacus",
    ),
    "tensors": (
        lambda call, _: call(constants=[np.ones(1), {"w": _abacus()}]),
        "the abacus tensor constants[1]['w']",
    ),
}


def _abacus() -> Any:
    import abacus  # type: ignore[import-not-found]  # made by the fixture

    return abacus.Array(np.ones(1))


class TestForeignTensors:
    @pytest.mark.parametrize("how", CHOSEN)
    def test_name_all_there_is_to_know(
        self, frameworks: Shelf, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        choose, reason = CHOSEN[how]

        def call(**arguments: Any) -> Any:
            mask = quipu(frameworks)
            return polyrnn.rnn(lambda x, s: (x, s), ONES, [ONES[:, 0]], mask=mask, **arguments)

        with pytest.raises(TypeError) as caught:
            choose(call, monkeypatch)
        assert str(caught.value) == (
            f"mask: expected a tensor of abacus, which {reason} chose as the backend; "
            "got one of quipu (quipu.Array)"
        )

    def test_in_a_context(self, frameworks: Shelf) -> None:
        with pytest.raises(TypeError) as caught, polyrnn.use_backend("abacus"):
            ran_on(states=[{"h": [quipu(frameworks)]}])
        assert str(caught.value) == (
            "initial_states[0]['h'][0]: expected a tensor of abacus, which "
            "polyrnn.use_backend('abacus') chose as the backend; got one of quipu (quipu.Array)"
        )

    def test_of_a_framework_that_numpy_was_chosen_over(self, frameworks: Shelf) -> None:
        with pytest.raises(TypeError) as caught:
            ran_on(quipu(frameworks), backend="numpy")
        assert str(caught.value) == (
            "inputs: expected a tensor of numpy, which backend='numpy' chose as the backend; "
            "got one of quipu (quipu.Array)"
        )

    def test_two_frameworks_name_both_arguments(self, frameworks: Shelf) -> None:
        with pytest.raises(TypeError) as caught:
            ran_on({"a": ONES, "b": quipu(frameworks)}, constants=_abacus())
        assert str(caught.value) == (
            "constants[0]: expected a tensor of quipu, which the quipu tensor inputs['b'] chose "
            "as the backend; got one of abacus (abacus.Array)"
        )

    def test_from_the_step_are_refused_too(self, frameworks: Shelf) -> None:
        with pytest.raises(TypeError) as caught:
            polyrnn.rnn(lambda x, s: ({"y": quipu(frameworks)}, []), ONES, [], backend="abacus")
        assert str(caught.value) == (
            "output ['y']: expected a tensor of abacus, which backend='abacus' chose as the "
            "backend; got one of quipu (quipu.Array)"
        )

    def test_arrays_of_numpy_are_at_home_everywhere(self, frameworks: Shelf) -> None:
        assert ran_on(ONES, states=[np.float32(1)], constants=[2.0], backend="abacus") == "abacus"


class TestUnknownNames:
    def test_by_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, "nmpy")
        with pytest.raises(polyrnn.UnknownBackendError, match="did you mean 'numpy'") as raised:
            ran_on()
        assert raised.value.__notes__ == [
            "The backend 'nmpy' was chosen by the environment variable POLYRNN_BACKEND=nmpy."
        ]

    def test_not_installed(self, shelf: Shelf) -> None:
        shelf.framework("abacus", framework=None)
        with pytest.raises(
            polyrnn.BackendNotInstalledError, match=r"(?m)pip install polyrnn-abacus$"
        ):
            ran_on(backend="abacus")


class TestNamespace:
    def test_is_of_the_framework_of_the_tensor(self, frameworks: Shelf) -> None:
        backend = "from wrapped import WrappedBackend\nimport json\n"
        backend += "class FakeBackend(WrappedBackend):\n    namespace = json\n"
        frameworks.framework("tally", backend=backend)
        assert polyrnn.namespace(frameworks.tensor("tally", 1)).__name__ == "json"
        assert polyrnn.namespace(frameworks.tensor("abacus", 1)) is np

    @pytest.mark.parametrize("x", [ONES, np.float32(1), 1, 1.0, True, 1j])
    def test_is_numpy_for_arrays_and_numbers(self, x: Any) -> None:
        assert polyrnn.namespace(x) is np

    def test_refuses_what_is_no_tensor(self) -> None:
        with pytest.raises(TypeError) as caught:
            polyrnn.namespace("text")
        assert str(caught.value) == (
            "x: expected a tensor of one of jax, numpy, tensorflow, torch, got builtins.str"
        )
