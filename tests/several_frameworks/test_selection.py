"""Test choosing among four frameworks in one process, and that their errors have equal texts."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf
import torch

import polyrnn
from polyrnn import registry

FRAMEWORKS: dict[str, Callable[[Any], Any]] = {
    "numpy": np.asarray,
    "torch": torch.as_tensor,
    "jax": jnp.asarray,
    "tensorflow": tf.convert_to_tensor,
}
OTHERS = [name for name in FRAMEWORKS if name != "numpy"]
PAIRS = [(one, other) for one in OTHERS for other in OTHERS if one != other]
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
H = np.zeros((2, 4), np.float32)
MASK = np.array([[True, True, False], [True, False, False]])
KINDS = {
    name: f"{type(tensor(H)).__module__}.{type(tensor(H)).__qualname__}"
    for name, tensor in FRAMEWORKS.items()
}


def add(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    total = states[0] + x
    return polyrnn.namespace(total).tanh(total), [total]


def is_of(name: str, tensor: Any) -> bool:
    return isinstance(tensor, type(FRAMEWORKS[name](H)))


framework = pytest.mark.parametrize("name", FRAMEWORKS)
other = pytest.mark.parametrize("name", OTHERS)
pair = pytest.mark.parametrize(("one", "other"), PAIRS)


class TestChoice:
    @framework
    @pytest.mark.parametrize("argument", ["inputs", "initial_states", "mask"])
    def test_by_tensors(self, name: str, argument: str) -> None:
        arguments: dict[str, Any] = {"inputs": X, "initial_states": H, "mask": MASK}
        arguments[argument] = FRAMEWORKS[name](arguments[argument])
        last, outputs, (state,) = polyrnn.rnn(add, **arguments)
        assert is_of(name, last)
        assert is_of(name, outputs)
        assert is_of(name, state)

    @framework
    def test_by_argument_context_and_environment(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert is_of(name, polyrnn.rnn(add, X, H, backend=name)[0])
        with polyrnn.use_backend(name):
            assert is_of(name, polyrnn.rnn(add, X, H)[0])
        monkeypatch.setenv("POLYRNN_BACKEND", name)
        assert is_of(name, polyrnn.rnn(add, X, H)[0])

    def test_one_after_the_other(self) -> None:
        results = []
        for name in [*FRAMEWORKS, *reversed(FRAMEWORKS)]:
            results.append(polyrnn.rnn(add, FRAMEWORKS[name](X), H, mask=MASK)[1])
            assert is_of(name, results[-1])
        for result in results:
            np.testing.assert_allclose(np.asarray(result), np.asarray(results[0]), rtol=1e-5)

    @pair
    def test_one_within_the_other(self, one: str, other: str) -> None:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            inner = polyrnn.rnn(add, FRAMEWORKS[other](X), H)[0]
            assert is_of(other, inner)
            return x + FRAMEWORKS[one](np.asarray(inner).copy()), states

        # The step reads values, so it must not be traced: the loop is unrolled.
        outputs = polyrnn.rnn(step, FRAMEWORKS[one](X), H, unroll=True)[1]
        assert is_of(one, outputs)


@jax.tree_util.register_pytree_node_class
class JaxNode:
    """A class that only JAX can flatten."""

    def __init__(self, h: Any) -> None:
        self.h = h

    def tree_flatten(self) -> Any:
        return (self.h,), None

    @classmethod
    def tree_unflatten(cls, _: Any, children: Any) -> Any:
        return cls(*children)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class JaxRecord:
    """A class that only JAX can flatten, registered by the other function."""

    h: Any


class TorchNode:
    """A class that only torch can flatten."""

    def __init__(self, h: Any) -> None:
        self.h = h


torch.utils._pytree.register_pytree_node(
    TorchNode, lambda node: ([node.h], None), lambda children, _: TorchNode(*children)
)


def add_in(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    return x, [type(states[0])(states[0].h + x)]


class TestNestsOfAFramework:
    @pytest.mark.parametrize("node", [JaxNode, JaxRecord])
    def test_what_is_registered_with_jax_chooses(self, node: Any) -> None:
        *_, (state,) = polyrnn.rnn(add_in, X, [node(jnp.asarray(H))])
        assert type(state) is node
        assert is_of("jax", state.h)

    @pytest.mark.parametrize("compiled", [False, True])
    def test_what_is_registered_with_torch_chooses(self, compiled: bool) -> None:
        def call(h: Any) -> Any:
            *_, (state,) = polyrnn.rnn(add_in, X, [TorchNode(h)])
            return state.h

        run = torch.compile(call, backend="eager") if compiled else call
        assert is_of("torch", run(torch.as_tensor(H)))

    def test_several_frameworks_may_be_asked(self) -> None:
        with pytest.raises(TypeError, match=r"^initial_states\[0\]: expected a tensor, got object"):
            polyrnn.rnn(add, X, [object()])


class TestForeignTensors:
    @pair
    def test_two_frameworks_name_both_arguments(self, one: str, other: str) -> None:
        with pytest.raises(TypeError) as caught:
            polyrnn.rnn(
                add,
                {"x": FRAMEWORKS[one](X)},
                [H],
                constants=[{"w": FRAMEWORKS[other](H)}],
            )
        assert str(caught.value) == (
            f"constants[0]['w']: expected a tensor of {one} (the backend was chosen by the {one} "
            f"tensor inputs['x']), got {KINDS[other]}"
        )

    @pair
    def test_the_mask_and_the_lengths_count(self, one: str, other: str) -> None:
        for argument, value in (("mask", MASK), ("input_length", np.array([1, 2]))):
            with pytest.raises(TypeError) as caught:
                polyrnn.rnn(add, FRAMEWORKS[one](X), H, **{argument: FRAMEWORKS[other](value)})
            assert str(caught.value) == (
                f"{argument}: expected a tensor of {one} (the backend was chosen by the {one} "
                f"tensor inputs), got {KINDS[other]}"
            )

    @pair
    def test_a_step_may_not_mix_them_either(self, one: str, other: str) -> None:
        foreign = FRAMEWORKS[other](H)
        with pytest.raises(TypeError) as caught:
            polyrnn.rnn(lambda x, s: (x, [foreign]), FRAMEWORKS[one](X), H)
        assert str(caught.value) == (
            f"state [0]: expected a tensor of {one} (the backend was chosen by the {one} tensor "
            f"inputs), got {KINDS[other]}"
        )

    @other
    def test_numpy_was_chosen(self, name: str) -> None:
        with pytest.raises(TypeError) as caught:
            polyrnn.rnn(add, FRAMEWORKS[name](X), H, backend="numpy")
        assert str(caught.value) == (
            "inputs: expected a tensor of numpy (the backend was chosen by backend='numpy'), got "
            f"{KINDS[name]}"
        )


class TestNamespace:
    @framework
    @pytest.mark.parametrize("function", ["tanh", "exp", "log", "where", "matmul"])
    def test_has_what_a_step_needs(self, name: str, function: str) -> None:
        arrays = {"where": (X > 3, X, -X), "matmul": (X, X[0].T.copy())}.get(function, (X + 1,))
        namespace = polyrnn.namespace(FRAMEWORKS[name](X))
        result = getattr(namespace, function)(*map(FRAMEWORKS[name], arrays))
        assert is_of(name, result)
        expected = getattr(np, function)(*arrays)
        np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-5)

    @framework
    def test_is_that_of_the_backend(self, name: str) -> None:
        with polyrnn.use_backend(name) as backend:
            assert polyrnn.namespace(FRAMEWORKS[name](H)) is backend.namespace


def refusals() -> dict[str, tuple[type[Exception], Callable[[Any], Any]]]:
    """Return invalid calls by name, each with its error and a function of the tensor maker."""

    def call(step: Any = add, inputs: Any = X, states: Any = H, **arguments: Any) -> Any:
        def run(tensor: Any) -> Any:
            return polyrnn.rnn(step, tensor(inputs), [{"h": tensor(states)}], **arguments)

        return run

    def returning(output: Any, new: Any) -> Any:
        return lambda x, states: (output(x, states[0]["h"]), new(x, states[0]["h"]))

    return {
        "rank": (ValueError, call(inputs=H)),
        "mask": (ValueError, call(mask=MASK.T)),
        "lengths": (ValueError, call(input_length=[1, 4])),
        "array of float lengths": (ValueError, call(input_length=np.ones(2))),
        "float lengths": (ValueError, call(input_length=[1.0, 2.0])),
        "state": (ValueError, call(states=H[:1], mask=MASK)),
        "flag": (TypeError, call(unroll=1)),
        "text": (TypeError, call(constants=["text"])),
        "no pair": (ValueError, call(lambda x, states: x)),
        "no states": (ValueError, call(returning(lambda x, h: x, lambda x, h: []))),
        "nest": (ValueError, call(returning(lambda x, h: x, lambda x, h: [{"g": h}]))),
        "leaf": (ValueError, call(returning(lambda x, h: x, lambda x, h: [{"h": [h, h]}]))),
        "shape": (ValueError, call(returning(lambda x, h: x, lambda x, h: [{"h": h[:1]}]))),
        "dtype": (ValueError, call(returning(lambda x, h: x, lambda x, h: [{"h": h > 0}]))),
        "output": (
            ValueError,
            call(returning(lambda x, h: {"y": h[0]}, lambda x, h: [{"h": h}]), mask=MASK),
        ),
        "text in output": (
            TypeError,
            call(returning(lambda x, h: {"y": "y"}, lambda x, h: [{"h": h}])),
        ),
    }


@pytest.mark.parametrize("refusal", refusals())
def test_errors_have_the_same_text_everywhere(refusal: str) -> None:
    error, call = refusals()[refusal]
    texts = set()
    for name, tensor in FRAMEWORKS.items():
        with polyrnn.use_backend(name), pytest.raises(error) as caught:
            call(tensor)
        assert type(caught.value) is error
        text = str(caught.value).replace(", ".join(registry.installed().names()), "<backends>")
        texts.add(text.replace(name, "<backend>"))
    assert len(texts) == 1
