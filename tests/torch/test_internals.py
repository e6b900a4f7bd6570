"""Test the backend while a private name of torch that it uses is missing."""

import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from missing_names import backend_of, names_of, private_uses, without
from sampling import one_of
from torch.utils import _pytree

import polyrnn
from polyrnn import Backend
from polyrnn_torch import internals
from polyrnn_torch.internals import ATTRIBUTES, COUNTS, NODES, PRIVATE, SCAN

TIME = 40
"""More steps than are unrolled if torch supports scans."""

Missing = tuple[Any, Backend]


ERRORS: list[type[Exception]] = [ImportError]


@pytest.fixture(params=ERRORS)
def missing(name: str, request: pytest.FixtureRequest) -> Iterator[Missing]:
    """Yield the private names and the backend while a name is missing."""
    with without("polyrnn_torch", name, request.param) as module:
        yield module, backend_of("polyrnn_torch", "TorchBackend")


each_name = pytest.mark.parametrize("name", names_of(PRIVATE))


def walk(backend: Any, inputs: Any, weight: Any, mask: Any = None, **options: Any) -> list[Any]:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        hidden = torch.tanh(x * weight + states[0])
        return hidden * 2, [hidden]

    start = torch.zeros(inputs.shape[0], inputs.shape[2])
    last, outputs, (state,) = polyrnn.rnn(
        step, inputs, [start], mask=mask, backend=backend, **options
    )
    return [last, outputs, state]


def data(time: int = TIME) -> tuple[Any, Any, Any]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand((2, time, 3), generator=generator)
    return inputs, torch.rand(3, generator=generator), torch.rand((2, time)) > 0.3


def gradient(backend: Any, inputs: Any, weight: Any, mask: Any, **options: Any) -> Any:
    weight = weight.clone().requires_grad_()
    last, outputs, state = walk(backend, inputs, weight, mask, **options)
    return torch.autograd.grad(last.sum() + outputs.square().sum() + state.sum(), weight)


@each_name
def test_eager_calls_are_right(name: str, missing: Missing) -> None:
    _, backend = missing
    inputs, weight, mask = data(7)
    for options in ({}, {"go_backwards": True}, {"return_all_outputs": False}):
        for given in (None, mask):
            found = walk(backend, inputs, weight, given, **options)
            torch.testing.assert_close(found, walk("torch", inputs, weight, given, **options))
    for given in (None, mask):
        for every in (None, 2):
            torch.testing.assert_close(
                gradient(backend, inputs, weight, given, checkpoint_every=every),
                gradient("torch", inputs, weight, given),
            )


@each_name
def test_steps_may_write(name: str, missing: Missing) -> None:
    _, backend = missing
    inputs, start = torch.tensor([[[1.0], [2.0], [3.0]]]), torch.zeros(1, 1)

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        x += 1
        states[0] += x
        return states[0], [states[0]]

    try:
        last, outputs, states = polyrnn.rnn(step, inputs, [start], backend=backend)
    except ValueError as error:
        assert "step_function wrote into" in str(error)  # noqa: PT017 - either is right
    else:
        assert outputs.flatten().tolist() == [2.0, 5.0, 9.0]
        assert last.item() == states[0].item() == 9.0
    assert inputs.flatten().tolist() == [1.0, 2.0, 3.0]
    assert start.item() == 0.0


@each_name
def test_transformed_calls_are_right(name: str, missing: Missing) -> None:
    _, backend = missing
    inputs, weight, mask = data(5)

    def total(backend: Any) -> Any:
        return lambda weight: walk(backend, inputs, weight, mask)[1].sum()

    found = torch.func.grad(total(backend))(weight)
    torch.testing.assert_close(found, torch.func.grad(total("torch"))(weight))


@each_name
def test_nests_of_python_are_nests(name: str, missing: Missing) -> None:
    _, backend = missing
    pair = namedtuple("pair", "left right")

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        return {"sum": x[0] + states[0].left}, [pair(x[0] + states[0].left, states[0].right)]

    state = pair(torch.zeros(2, 3), {"kept": torch.ones(2, 3)})
    _, outputs, (found,) = polyrnn.rnn(step, (torch.ones(2, 4, 3),), [state], backend=backend)
    assert outputs["sum"][0, :, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert found.left[0, 0].item() == 4.0
    assert torch.equal(found.right["kept"], torch.ones(2, 3))


def call_compiled(backend: Any, time: int, trained: bool = False) -> None:
    """Check the results of a compiled call."""
    inputs, weight, mask = data(time)
    weight.requires_grad_(trained)

    def function(inputs: Any, weight: Any, mask: Any) -> list[Any]:
        return walk(backend, inputs, weight, mask)

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    found, expected = compiled(inputs, weight, mask), walk("torch", inputs, weight, mask)
    torch.testing.assert_close(found, expected)
    if trained:
        totals = [results[1].square().sum() for results in (found, expected)]
        torch.testing.assert_close(*[torch.autograd.grad(total, weight) for total in totals])


@each_name
@pytest.mark.parametrize("missing", [AttributeError], indirect=True)
def test_short_compiled_calls_are_right(name: str, missing: Missing) -> None:
    _, backend = missing
    call_compiled(backend, 4)


@pytest.mark.parametrize("name", one_of(5, PRIVATE.uses[SCAN]))
@pytest.mark.parametrize("missing", [ImportError], indirect=True)
def test_a_long_compiled_loop_says_which_torch_it_needs(name: str, missing: Missing) -> None:
    _, backend = missing
    # Neither short loops nor training use a scan in any case.
    call_compiled(backend, 4)
    call_compiled(backend, TIME, trained=True)
    with pytest.warns(RuntimeWarning, match="the loop is unrolled for torch.compile") as warned:
        call_compiled(backend, TIME)
    (message,) = {str(each.message) for each in warned}
    version = torch.__version__
    assert f"needs torch 2.13: torch {version} has no {name.replace(':', '.')}" in message
    # Each missing name is warned of once.
    call_compiled(backend, TIME + 1)


@pytest.mark.parametrize(
    ("function", "attribute"), [(name, path) for name in ATTRIBUTES for path in ATTRIBUTES[name]]
)
def test_what_a_scan_takes_of_the_tracer_may_have_moved(function: str, attribute: str) -> None:
    with without("polyrnn_torch", None, ImportError) as module:
        backend = backend_of("polyrnn_torch", "TorchBackend")
        module.ATTRIBUTES = {**ATTRIBUTES, function: (f"{attribute}_moved",)}
        with pytest.warns(RuntimeWarning, match=rf"has no torch\..*\.{attribute}_moved"):
            call_compiled(backend, TIME)


@pytest.mark.parametrize("name", PRIVATE.uses[COUNTS])
def test_writes_that_are_not_counted_are_made_into_copies(name: str, missing: Missing) -> None:
    _, backend = missing
    assert backend.sharing is not None
    assert backend.sharing.counts is None
    assert backend.sharing.hand_out is not None


@dataclass
class Registered:
    h: Any


_pytree.register_dataclass(Registered)


@pytest.mark.parametrize("name", PRIVATE.uses[NODES])
def test_what_is_registered_with_torch_is_no_nest(name: str, missing: Missing) -> None:
    module, backend = missing
    assert not module.registered_nodes()
    plain = backend.nests.flatten([torch.ones(1), {"a": torch.ones(1)}])
    assert len(plain[0]) == 2


def test_nothing_is_missing_here() -> None:
    assert not [name for use in PRIVATE.uses for name in PRIVATE.missing(use)]
    assert internals.counts_writes


def test_private_names_are_in_one_module() -> None:
    assert not private_uses("polyrnn_torch", r"torch\._|torch\.fx|utils.*_pytree|\b_version")


def test_an_eager_call_imports_no_compiler() -> None:
    program = (
        "import sys, torch, polyrnn\n"
        "step = lambda x, states: (x, [states[0] + x])\n"
        "polyrnn.rnn(step, torch.ones(2, 3, 4), [torch.zeros(2, 4)], mask=torch.ones(2, 3))\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False"]
