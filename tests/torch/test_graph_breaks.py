"""Test steps that break the graph, in a loop that would otherwise be a scan."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sampling import one_of
from torch._higher_order_ops.scan import scan

import polyrnn
from polyrnn_torch.backend import TorchBackend

# torch hides this warning from users, but not if warnings are errors.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")

TIME = TorchBackend.longest_written_out + 1

seen: list[int] = []


def appends() -> None:
    seen.append(1)


def prints() -> None:
    print(end="")


def draws() -> None:
    np.random.rand()


def breaks() -> None:
    torch._dynamo.graph_break()


def appends_locally() -> Callable[[], None]:
    here: list[int] = []
    return lambda: here.append(1)


EFFECTS: list[Callable[[], Any]] = [appends, prints, draws, breaks]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("masked", one_of(2, [True, False]))
@pytest.mark.parametrize("effect", [*EFFECTS, appends_locally], ids=lambda one: one.__name__)
def test_a_step_with_an_effect(effect: Callable[[], Any], masked: bool, trained: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(3, generator=generator)

    def walk(inputs: Any, mask: Any) -> Any:
        take_effect = effect() if effect is appends_locally else effect

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            hidden = torch.tanh(x * weight + states[0])
            take_effect()
            return hidden * 2, [hidden]

        last, outputs, states = polyrnn.rnn(step, inputs, [torch.ones(2, 3)], mask=mask)
        return last, outputs, states[0]

    inputs = torch.randn(2, TIME, 3, generator=generator).requires_grad_(trained)
    mask = torch.rand(2, TIME, generator=generator) > 0.4 if masked else None
    expected = walk(inputs, mask)
    seen.clear()
    got = torch.compile(walk, backend="aot_eager")(inputs, mask)
    torch.testing.assert_close(got, expected)
    assert len(seen) == (TIME if effect is appends else 0)
    if trained:
        torch.testing.assert_close(
            torch.autograd.grad(got[1].square().sum(), inputs),
            torch.autograd.grad(expected[1].square().sum(), inputs),
        )


def test_other_scans_still_fail() -> None:
    def scanned(inputs: Any) -> Any:
        def add(carry: Any, x: Any) -> Any:
            seen.append(1)
            return carry + x, carry * 1

        return scan(add, inputs[0], inputs)

    with pytest.raises(torch._dynamo.exc.UncapturedHigherOrderOpError):
        torch.compile(scanned, backend="aot_eager")(torch.ones(3, 2))
