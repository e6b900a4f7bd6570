"""Test step functions that call `rnn`, with loops that are unrolled and loops that are scans."""

from itertools import product
from typing import Any

import pytest
import torch
from sampling import one_of

import polyrnn
from polyrnn_conformance.covering import covering_rows
from polyrnn_torch.backend import TorchBackend

# torch itself still uses its deprecated functions.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:torch.compile is ignored when called inside:UserWarning"),
]

LENGTHS = [*product((2, 4), repeat=2), (2, 2, 4), (4, 2, 5), (5, 4, 4)]
"""The numbers of steps, outermost first; up to three are unrolled, more are a scan."""


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce the number of unrolled steps, so that few steps make a scan."""
    monkeypatch.setattr(TorchBackend, "steps_per_round", 2)
    monkeypatch.setattr(TorchBackend, "longest_written_out", 3)


def walk(inputs: Any, weight: Any, masked: bool) -> list[Any]:
    """Loop over the first axis after the batch, and in the step over the next, up to features.

    It uses the same operators as the loop written by hand, `by_hand`.
    """

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        summary = x if x.ndim == 2 else walk(x, weight, masked)[0]
        hidden = torch.tanh(summary * weight + states[0])
        return hidden, [hidden]

    valid = inputs.flatten(2).sum(2) > 0 if masked else None
    start = torch.full_like(inputs.flatten(1, -2)[:, 0], 0.1)
    last, outputs, states = polyrnn.rnn(step, inputs, [start], mask=valid)
    return [last, outputs, *states]


def by_hand(inputs: Any, weight: Any, masked: bool) -> list[Any]:
    hidden = torch.full_like(inputs.flatten(1, -2)[:, 0], 0.1)
    held, outputs = torch.zeros_like(hidden), []
    for x in inputs.unbind(1):
        summary = x if x.ndim == 2 else by_hand(x, weight, masked)[0]
        following = torch.tanh(summary * weight + hidden)
        valid = x.flatten(1).sum(1, keepdim=True) > 0 if masked else torch.tensor(True)
        hidden = torch.where(valid, following, hidden)
        held = torch.where(valid, following, held)
        outputs.append(held)
    return [held, torch.stack(outputs, 1), hidden]


def arguments(lengths: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, *lengths, 2, generator=generator, dtype=torch.float64)
    return inputs, torch.rand(2, generator=generator, dtype=torch.float64)


def assert_like_by_hand(walking: Any, lengths: tuple[int, ...], masked: bool, train: bool) -> None:
    given = arguments(lengths)
    if train:
        given = tuple(x.requires_grad_() for x in given)
    got, expected = walking(*given, masked), by_hand(*given, masked)
    torch.testing.assert_close(got, expected)
    if train:
        one, other = (
            torch.autograd.grad(sum(x.square().sum() for x in results), given)
            for results in (got, expected)
        )
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_walks_within_walks(lengths: tuple[int, ...], masked: bool, train: bool) -> None:
    assert_like_by_hand(walk, lengths, masked, train)


# Every pair of options, because all combinations of them would take four minutes.
COMPILED = covering_rows(
    {
        "lengths": tuple(map(str, range(len(LENGTHS)))),
        **dict.fromkeys(("fullgraph", "masked", "train"), ("no", "yes")),
    },
    strength=2,
)


@pytest.mark.parametrize("row", one_of(2, COMPILED, ["-".join(row.values()) for row in COMPILED]))
def test_compiled_walks_within_walks(row: dict[str, str]) -> None:
    lengths = LENGTHS[int(row["lengths"])]
    fullgraph, masked, train = (row[option] == "yes" for option in ("fullgraph", "masked", "train"))
    compiled = torch.compile(walk, fullgraph=fullgraph, backend="aot_eager")
    assert_like_by_hand(compiled, lengths, masked, train)


@pytest.mark.parametrize("lengths", one_of(2, [((2, 4),), ((4, 4),)]))
def test_kernels_for_walks_within_walks(lengths: tuple[int, ...]) -> None:
    assert_like_by_hand(torch.compile(walk, fullgraph=True), lengths, masked=True, train=False)


class Walking(torch.nn.Module):
    """A module that calls `walk`.

    Args:
        masked: Whether to use a mask.
    """

    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.masked = masked

    def forward(self, inputs: Any, weight: Any) -> Any:
        return walk(inputs, weight, self.masked)


@pytest.mark.parametrize(
    ("lengths", "strict"),
    # Without strict=True torch cannot export nested scans.
    one_of(2, [((2, 4), False), ((2, 4), True), ((4, 2, 5), True), ((4, 4), True)]),
)
@pytest.mark.parametrize("masked", [False, True])
def test_exported_walks_within_walks(lengths: tuple[int, ...], masked: bool, strict: bool) -> None:
    program = torch.export.export(Walking(masked), arguments(lengths), strict=strict)
    exported = program.module()
    assert_like_by_hand(lambda *given: exported(*given[:2]), lengths, masked, train=False)


class Counting:
    """A module that sets attributes before and after a loop."""

    def __init__(self) -> None:
        self.walks = 0
        self.last: Any = None

    def __call__(self, inputs: Any, weight: Any) -> Any:
        for _ in range(3):
            self.walks += 1
            self.last = walk(inputs, weight, masked=False)[0]
        return self.last + self.walks


def test_what_is_set_after_a_scan_is_kept() -> None:
    counting, expected = Counting(), Counting()
    compiled = torch.compile(counting, fullgraph=True, backend="aot_eager")
    given = arguments((6,))
    torch.testing.assert_close(compiled(*given), expected(*given))
    torch.testing.assert_close(counting.last, expected.last)
    assert counting.walks == 3
