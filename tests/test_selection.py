"""Test the choice of the backend by argument, context, environment, tensors, or default."""

import asyncio
import contextlib
import contextvars
import gc
import importlib
import os
import sys
import threading
import tracemalloc
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import numpy as np
import pytest
from fake_distributions import FakeDistributions
from wrapped import WrappedArray

import polyrnn
from polyrnn.selection import ENVIRONMENT_VARIABLE, choose
from polyrnn_numpy.backend import NumpyBackend

ONES = np.ones((2, 3, 4), np.float32)


@pytest.fixture
def frameworks(fakes: FakeDistributions) -> FakeDistributions:
    fakes.framework("abacus")
    fakes.framework("quipu")
    return fakes


def ran_on(inputs: Any = ONES, states: Any = (), **arguments: Any) -> str:
    """Return the name of the framework of the output of a call."""
    output = polyrnn.rnn(lambda x, s: (x, s[: len(states)]), inputs, states, **arguments)[1]
    return type(output).__module__


class TestPrecedence:
    def test_numpy_where_nothing_else_chooses(self, frameworks: FakeDistributions) -> None:
        assert ran_on() == "numpy"

    @pytest.mark.parametrize("argument", ["inputs", "states", "constants", "mask", "input_length"])
    def test_tensors_before_numpy(self, frameworks: FakeDistributions, argument: str) -> None:
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
        self, frameworks: FakeDistributions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, "quipu")
        assert ran_on() == "quipu"
        with pytest.raises(TypeError, match="by the environment variable POLYRNN_BACKEND=quipu"):
            ran_on(frameworks.tensor("abacus", ONES))

    def test_environment_is_read_at_the_call(
        self, frameworks: FakeDistributions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        met = []
        for name in ("abacus", "quipu", ""):
            monkeypatch.setenv(ENVIRONMENT_VARIABLE, name)
            met.append(ran_on())
        assert met == ["abacus", "quipu", "numpy"]

    def test_context_before_environment(
        self, frameworks: FakeDistributions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, "quipu")
        with polyrnn.use_backend("abacus"):
            assert ran_on() == "abacus"

    def test_argument_before_context(self, frameworks: FakeDistributions) -> None:
        with polyrnn.use_backend("abacus"):
            assert ran_on(backend="quipu") == "quipu"
            assert ran_on(backend="numpy") == "numpy"

    def test_tensors_of_a_framework_before_arrays_of_numpy(
        self, frameworks: FakeDistributions
    ) -> None:
        tensor = frameworks.tensor("abacus", np.ones((2, 3)))
        assert ran_on(states=[ONES[:, 0], {"a": tensor}], constants=[ONES]) == "abacus"

    def test_types_of_no_framework_choose_nothing(self, frameworks: FakeDistributions) -> None:
        class Table:
            def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
                return ONES

        arguments = {"inputs": Table(), "constants": [frameworks.tensor("abacus", 1)]}
        assert choose(None, arguments).name == "abacus"


REGISTERING = """
from wrapped import WrappedBackend
from polyrnn import nests
import {name}


class FakeNests:
    def flatten(self, tree):
        {name}.asked.append(type(tree).__name__)
        if type(tree).__name__ == "Node":
            leaves, structure = nests.flatten(tree.parts)
            return leaves, ("Node", structure)
        if isinstance(tree, list) and tree and type(tree[0]).__name__ == "Node":
            assert len(tree) == 1
            leaves, structure = nests.flatten(tree[0].parts)
            return leaves, ("list of Node", structure)
        leaves, structure = nests.flatten(tree)
        return leaves, (None, structure)

    def unflatten(self, structure, leaves):
        kind, inner = structure
        tree = nests.unflatten(inner, leaves)
        if kind is None:
            return tree
        return [{name}.Node(tree)] if kind == "list of Node" else {name}.Node(tree)

    def paths(self, structure):
        kind, inner = structure
        prefix = {None: "", "Node": ".parts", "list of Node": "[0].parts"}[kind]
        return [prefix + path for path in nests.paths(inner)]


class FakeBackend(WrappedBackend):
    tensor_type = {name}.Array
    nests = FakeNests()
"""

NODES = """
from wrapped import WrappedArray


class Array(WrappedArray):
    pass


asked = []
"""


class Node:
    """A class that only the backend in `REGISTERING` can flatten."""

    def __init__(self, parts: Any) -> None:
        self.parts = parts


class TestNestsOfAFramework:
    """A class that only a framework knows is a nest if that framework is imported."""

    @pytest.fixture
    def soroban(self, frameworks: FakeDistributions) -> Any:
        frameworks.framework("soroban", framework=NODES, backend=REGISTERING)
        soroban = type(frameworks.tensor("soroban", 1)).__module__
        module = importlib.import_module(soroban)
        module.Node = Node  # type: ignore[attr-defined]
        return module

    def test_its_tensors_choose(self, frameworks: FakeDistributions, soroban: Any) -> None:
        node = Node({"h": frameworks.tensor("soroban", np.ones((2, 4)))})
        *_, (kept,) = polyrnn.rnn(lambda x, s: (x, s), ONES, [node])
        assert type(kept) is Node
        assert type(kept.parts["h"]) is soroban.Array

    def test_the_reason_is_its_tensor(self, frameworks: FakeDistributions, soroban: Any) -> None:
        node = Node({"h": frameworks.tensor("soroban", np.ones((2, 4)))})
        chosen = choose(None, {"inputs": ONES, "initial_states": [{"a": node}]})
        assert chosen.name == "soroban"
        assert chosen.reason == "the soroban tensor initial_states[0]['a'].parts['h']"

    def test_a_tensor_outside_of_it_takes_precedence(
        self, frameworks: FakeDistributions, soroban: Any
    ) -> None:
        node = Node([frameworks.tensor("soroban", 1)])
        tensor = frameworks.tensor("abacus", ONES)
        assert choose(None, {"inputs": [node, tensor]}).name == "abacus"
        assert soroban.asked == []

    def test_frameworks_are_not_asked_about_numbers_and_tensors(self, soroban: Any) -> None:
        choose(None, {"inputs": [ONES, 1, True, 2.0, "text", b"", None, np.float32(1)]})
        assert soroban.asked == []

    def test_an_unregistered_class_chooses_nothing(self, soroban: Any) -> None:
        assert choose(None, {"inputs": ONES, "initial_states": [object()]}).name == "numpy"
        assert soroban.asked == ["object"]

    def test_arrays_in_it_choose_nothing(self, soroban: Any) -> None:
        assert choose(None, {"inputs": Node([ONES])}).name == "numpy"

    def test_a_framework_that_is_not_imported_is_not_asked(
        self, frameworks: FakeDistributions
    ) -> None:
        frameworks.framework("soroban", framework=NODES, backend=REGISTERING)
        assert choose(None, {"inputs": [ONES, object()]}).name == "numpy"
        assert "soroban" not in sys.modules
        assert "polyrnn_soroban_backend" not in sys.modules

    def test_a_framework_whose_backend_is_broken_is_not_asked(
        self, frameworks: FakeDistributions, soroban: Any
    ) -> None:
        frameworks.framework("broken", backend="raise RuntimeError")
        frameworks.tensor("broken", 1)
        node = Node([frameworks.tensor("soroban", 1)])
        assert choose(None, {"inputs": node}).name == "soroban"


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

    def test_accepts_tensors_of_its_framework(self, frameworks: FakeDistributions) -> None:
        backend = frameworks.registry().load("abacus")
        tensor = frameworks.tensor("abacus", ONES)
        assert ran_on(tensor, backend=backend) == "abacus"
        with pytest.raises(TypeError) as caught:
            ran_on(frameworks.tensor("quipu", ONES), backend=backend)
        assert str(caught.value) == (
            "inputs: expected a tensor of abacus (the backend was chosen by backend=FakeBackend), "
            "got quipu.Array"
        )

    def test_need_not_be_registered(self) -> None:
        from wrapped import WrappedBackend

        with polyrnn.use_backend(WrappedBackend()):
            assert ran_on(WrappedArray(ONES)) == "wrapped"


class TestUseBackend:
    def test_gives_the_backend(self, frameworks: FakeDistributions) -> None:
        with polyrnn.use_backend("abacus") as backend:
            assert isinstance(frameworks.tensor("abacus", 1), backend.tensor_type)

    def test_nests(self, frameworks: FakeDistributions) -> None:
        met = []
        with polyrnn.use_backend("abacus"):
            met.append(ran_on())
            with polyrnn.use_backend("quipu"):
                met.append(ran_on())
            met.append(ran_on())
        met.append(ran_on())
        assert met == ["abacus", "quipu", "abacus", "numpy"]

    def test_is_reentrant_and_reusable(self, frameworks: FakeDistributions) -> None:
        choice = polyrnn.use_backend("abacus")
        met = []
        for _ in range(2):
            with choice, polyrnn.use_backend("quipu"):
                with choice:
                    met.append(ran_on())
                met.append(ran_on())
            met.append(ran_on())
        assert met == ["abacus", "quipu", "numpy"] * 2

    def test_ends_with_an_exception(self, frameworks: FakeDistributions) -> None:
        with pytest.raises(ZeroDivisionError), polyrnn.use_backend("abacus"):
            raise ZeroDivisionError
        assert ran_on() == "numpy"

    def test_holds_for_calls_within_the_step(self, frameworks: FakeDistributions) -> None:
        met = []

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            met.append(ran_on())
            with polyrnn.use_backend("quipu"):
                met.append(ran_on())
            return x, []

        with polyrnn.use_backend("abacus"):
            polyrnn.rnn(step, ONES, [])
        assert met == ["abacus", "quipu"] * 3

    def test_applies_to_its_thread(self, frameworks: FakeDistributions) -> None:
        met = {}

        def other() -> None:
            met["other"] = ran_on()

        with polyrnn.use_backend("abacus"):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            met["own"] = ran_on()
        assert met == {"other": "numpy", "own": "abacus"}

    def test_one_object_works_in_overlapping_threads(self, frameworks: FakeDistributions) -> None:
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

    def test_applies_to_its_task(self, frameworks: FakeDistributions) -> None:
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

    def test_a_task_keeps_the_choice_of_where_it_was_started(
        self, frameworks: FakeDistributions
    ) -> None:
        async def call() -> str:
            return ran_on()

        async def main() -> list[str]:
            with polyrnn.use_backend("abacus"):
                task = asyncio.create_task(call())
            return [ran_on(), await task]

        assert asyncio.run(main()) == ["numpy", "abacus"]

    def test_raises_immediately(self) -> None:
        with pytest.raises(polyrnn.UnknownBackendError, match="no backend is named 'nothing'"):
            polyrnn.use_backend("nothing")
        with pytest.raises(TypeError, match=r"^backend: expected a name or"):
            polyrnn.use_backend(None)  # type: ignore[arg-type]


def within(choice: str | polyrnn.use_backend) -> Generator[str, None, None]:
    """Keep a block open, and yield the framework that a call in it runs on."""
    with polyrnn.use_backend(choice) if isinstance(choice, str) else choice:
        while True:
            yield ran_on()


class TestBlocksThatEndOutOfOrder:
    """The innermost block that is still open decides, in whichever order blocks end."""

    def test_generators(self, frameworks: FakeDistributions) -> None:
        one, other = within("abacus"), within("quipu")
        met = [next(one), next(other)]
        one.close()
        met.append(ran_on())
        other.close()
        met.append(ran_on())
        assert met == ["abacus", "quipu", "quipu", "numpy"]

    def test_a_generator_that_outlives_a_block(self, frameworks: FakeDistributions) -> None:
        with polyrnn.use_backend("quipu"):
            generator = within("abacus")
            met = [next(generator), ran_on()]
        met.append(ran_on())
        generator.close()
        met.append(ran_on())
        assert met == ["abacus", "abacus", "abacus", "numpy"]

    @pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1)])
    def test_any_order(self, frameworks: FakeDistributions, order: tuple[int, ...]) -> None:
        names = ["abacus", "quipu", "numpy"]
        blocks = [within(name) for name in names]
        for block in blocks:
            next(block)
        still_open = list(range(3))
        for ended in order:
            blocks[ended].close()
            still_open.remove(ended)
            assert ran_on() == (names[still_open[-1]] if still_open else "numpy")

    def test_one_object_in_two_generators(self, frameworks: FakeDistributions) -> None:
        choice = polyrnn.use_backend("abacus")
        one, other = within(choice), within(choice)
        next(one), next(other)
        with polyrnn.use_backend("quipu"):
            one.close()
            assert ran_on() == "quipu"
        assert ran_on() == "abacus"
        other.close()
        assert ran_on() == "numpy"

    def test_exit_stacks(self, frameworks: FakeDistributions) -> None:
        one, other = contextlib.ExitStack(), contextlib.ExitStack()
        one.enter_context(polyrnn.use_backend("abacus"))
        other.enter_context(polyrnn.use_backend("quipu"))
        kept = one.pop_all()
        one.close()
        assert ran_on() == "quipu"
        kept.close()
        assert ran_on() == "quipu"
        other.close()
        assert ran_on() == "numpy"

    def test_tasks_that_share_an_object(self, frameworks: FakeDistributions) -> None:
        choice = polyrnn.use_backend("abacus")

        async def task(turns: int) -> list[str]:
            met = []
            with choice:
                for _ in range(turns):
                    await asyncio.sleep(0)
                    met.append(ran_on())
            return [*met, ran_on()]

        async def main() -> list[list[str]]:
            with polyrnn.use_backend("quipu"):
                return list(await asyncio.gather(task(2), task(1), task(3)))

        turns = [["abacus"] * turns + ["quipu"] for turns in (2, 1, 3)]
        assert asyncio.run(main()) == turns

    def test_asynchronous_generators(self, frameworks: FakeDistributions) -> None:
        async def generate(name: str) -> AsyncGenerator[str, None]:
            with polyrnn.use_backend(name):
                while True:
                    yield ran_on()

        async def main() -> list[str]:
            one, other = generate("abacus"), generate("quipu")
            met = [await anext(one), await anext(other)]
            await one.aclose()
            met.append(ran_on())
            await other.aclose()
            return [*met, ran_on()]

        assert asyncio.run(main()) == ["abacus", "quipu", "quipu", "numpy"]

    def test_an_asynchronous_generator_that_is_dropped(self, frameworks: FakeDistributions) -> None:
        # The event loop finalizes the generator in another task, with another context.
        failures = []

        async def generate() -> AsyncGenerator[str, None]:
            with polyrnn.use_backend("abacus"):
                while True:
                    yield ran_on()

        async def main() -> list[str]:
            asyncio.get_running_loop().set_exception_handler(lambda _, said: failures.append(said))
            met = []
            async for name in generate():
                met.append(name)
                break
            gc.collect()
            for _ in range(5):
                await asyncio.sleep(0)
            return [*met, ran_on()]

        assert asyncio.run(main()) == ["abacus", "numpy"]
        assert failures == []

    def test_a_generator_that_another_thread_ends(self, frameworks: FakeDistributions) -> None:
        with polyrnn.use_backend("quipu"):
            generator = within("abacus")
            next(generator)
            thread = threading.Thread(target=generator.close)
            thread.start()
            thread.join()
            assert ran_on() == "quipu"
        assert ran_on() == "numpy"

    def test_a_generator_that_another_context_ends(self, frameworks: FakeDistributions) -> None:
        generator = within("abacus")
        next(generator)
        elsewhere = contextvars.copy_context()
        elsewhere.run(generator.close)
        assert [ran_on(), elsewhere.run(ran_on)] == ["numpy", "numpy"]

    def test_a_block_that_was_never_entered(self, frameworks: FakeDistributions) -> None:
        with polyrnn.use_backend("abacus"):
            polyrnn.use_backend("abacus").__exit__(None, None, None)
            assert ran_on() == "abacus"

    def test_one_object_in_many_threads(self, frameworks: FakeDistributions) -> None:
        choice = polyrnn.use_backend("abacus")
        start = threading.Barrier(8)
        met: list[set[str]] = [set() for _ in range(16)]

        def work(place: int) -> None:
            start.wait(10)
            for _ in range(50):
                with choice:
                    with choice, polyrnn.use_backend("quipu"):
                        pass
                    met[place].add(ran_on())
                met[place + 8].add(ran_on())

        threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert met == [{"abacus"}] * 8 + [{"numpy"}] * 8


class TestMemory:
    def test_backends_passed_as_objects_are_freed(self) -> None:
        gone = []
        for _ in range(2000):
            backend = NumpyBackend()
            gone.append(weakref.ref(backend))
            with polyrnn.use_backend(backend):
                ran_on()
            ran_on(backend=backend)
        del backend
        # They are in no reference cycle either, which only the garbage collector would free.
        assert [reference for reference in gone if reference() is not None] == []

    def test_nothing_is_left_of_a_block(self) -> None:
        def blocks(count: int) -> None:
            for _ in range(count):
                with polyrnn.use_backend(NumpyBackend()):
                    ran_on()
                ran_on(backend=NumpyBackend())

        blocks(10)
        gc.collect()
        before = len(gc.get_objects())
        blocks(3000)
        gc.collect()
        assert len(gc.get_objects()) - before < 50

    def test_backends_of_blocks_that_end_elsewhere_are_freed(self) -> None:
        block = polyrnn.use_backend(NumpyBackend())
        with block as backend:
            gone = weakref.ref(backend)
        del backend
        generator = within(block)
        next(generator)
        thread = threading.Thread(target=generator.close)
        thread.start()
        thread.join()
        del block, generator, thread
        ran_on()
        gc.collect()
        assert gone() is None

    def test_a_registry_that_is_dropped_is_freed(self, frameworks: FakeDistributions) -> None:
        from polyrnn import registry

        ran_on(backend="abacus")
        ran_on(frameworks.tensor("abacus", ONES))
        gone = weakref.ref(registry.installed())
        registry.installed.cache_clear()
        gc.collect()
        assert gone() is None

    def test_unknown_names_are_not_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def mistakes(count: int, start: int) -> None:
            for number in range(start, start + count):
                for call in (ran_on, polyrnn.use_backend):
                    with contextlib.suppress(polyrnn.UnknownBackendError):
                        call(backend=f"{number:0100}")
                os.environ[ENVIRONMENT_VARIABLE] = f"{number:0100}"
                with contextlib.suppress(polyrnn.UnknownBackendError):
                    ran_on()

        monkeypatch.setenv(ENVIRONMENT_VARIABLE, "")
        mistakes(20, 0)
        tracemalloc.start()
        try:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            mistakes(1000, 20)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert after - before < 20_000

    def test_the_same_object_is_used_wherever_it_was_passed(self) -> None:
        backends = [NumpyBackend() for _ in range(3)]
        with contextlib.ExitStack() as stack:
            for backend in backends:
                stack.enter_context(polyrnn.use_backend(backend))
        for backend in backends:
            with polyrnn.use_backend(backend) as used:
                assert used is backend
                assert choose(None, {}).backend is backend


def quipu(fakes: FakeDistributions) -> Any:
    return fakes.tensor("quipu", np.ones((2, 3, 4)))


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
    def test_the_error_names_everything(
        self, frameworks: FakeDistributions, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        choose, reason = CHOSEN[how]

        def call(**arguments: Any) -> Any:
            mask = quipu(frameworks)
            return polyrnn.rnn(lambda x, s: (x, s), ONES, [ONES[:, 0]], mask=mask, **arguments)

        with pytest.raises(TypeError) as caught:
            choose(call, monkeypatch)
        assert str(caught.value) == (
            f"mask: expected a tensor of abacus (the backend was chosen by {reason}), got "
            "quipu.Array"
        )

    def test_in_a_context(self, frameworks: FakeDistributions) -> None:
        with pytest.raises(TypeError) as caught, polyrnn.use_backend("abacus"):
            ran_on(states=[{"h": [quipu(frameworks)]}])
        assert str(caught.value) == (
            "initial_states[0]['h'][0]: expected a tensor of abacus (the backend was chosen by "
            "polyrnn.use_backend('abacus')), got quipu.Array"
        )

    def test_if_numpy_was_chosen(self, frameworks: FakeDistributions) -> None:
        with pytest.raises(TypeError) as caught:
            ran_on(quipu(frameworks), backend="numpy")
        assert str(caught.value) == (
            "inputs: expected a tensor of numpy (the backend was chosen by backend='numpy'), "
            "got quipu.Array"
        )

    def test_two_frameworks_name_both_arguments(self, frameworks: FakeDistributions) -> None:
        with pytest.raises(TypeError) as caught:
            ran_on({"a": ONES, "b": quipu(frameworks)}, constants=_abacus())
        assert str(caught.value) == (
            "constants[0]: expected a tensor of quipu (the backend was chosen by the quipu tensor "
            "inputs['b']), got abacus.Array"
        )

    def test_from_the_step_are_refused_too(self, frameworks: FakeDistributions) -> None:
        with pytest.raises(TypeError) as caught:
            polyrnn.rnn(lambda x, s: ({"y": quipu(frameworks)}, []), ONES, [], backend="abacus")
        assert str(caught.value) == (
            "output ['y']: expected a tensor of abacus (the backend was chosen by "
            "backend='abacus'), got quipu.Array"
        )

    def test_from_the_step_where_numpy_is_the_default(self, frameworks: FakeDistributions) -> None:
        with pytest.raises(TypeError) as caught:
            polyrnn.rnn(lambda x, s: (quipu(frameworks), []), ONES, [])
        assert str(caught.value) == (
            "output: expected a tensor of numpy (the backend was chosen by default), got "
            "quipu.Array"
        )

    def test_numpy_arrays_work_on_every_backend(self, frameworks: FakeDistributions) -> None:
        assert ran_on(ONES, states=[np.float32(1)], constants=[2.0], backend="abacus") == "abacus"


class TestUnknownNames:
    def test_by_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, "nmpy")
        with pytest.raises(polyrnn.UnknownBackendError, match="did you mean 'numpy'") as raised:
            ran_on()
        assert raised.value.__notes__ == [
            "The backend 'nmpy' was chosen by the environment variable POLYRNN_BACKEND=nmpy."
        ]

    def test_not_installed(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", framework=None)
        with pytest.raises(
            polyrnn.BackendNotInstalledError, match=r"(?m)pip install polyrnn-abacus$"
        ):
            ran_on(backend="abacus")


class TestNamespace:
    def test_is_of_the_framework_of_the_tensor(self, frameworks: FakeDistributions) -> None:
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
