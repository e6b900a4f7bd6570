"""Test torch.export with a dynamic time axis."""

from typing import Any

import pytest
import torch

import polyrnn

# torch itself still uses its deprecated functions.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:torch.compile is ignored when called inside:UserWarning"),
]

SIZE = 4


class Recurrent(torch.nn.Module):
    """Runs a cell of torch over its inputs.

    Args:
        options: For `polyrnn.rnn`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.cell = torch.nn.LSTMCell(SIZE, SIZE)
        self.options = options

    def forward(self, inputs: Any, mask: Any) -> Any:
        start = inputs.new_zeros(inputs.shape[0], SIZE)

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            hidden, cell = self.cell(x, tuple(states))
            return hidden + 1, [hidden, cell]

        last, outputs, states = polyrnn.rnn(step, inputs, [start, start], mask=mask, **self.options)
        return last, outputs, *states


def arguments(time: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(time)
    inputs = torch.randn(3, time, SIZE, generator=generator)
    return inputs, torch.rand(3, time, generator=generator) > 0.3


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"go_backwards": True, "zero_output_for_mask": True},
        {"return_all_outputs": False},
    ],
)
def test_one_program_for_every_length(options: dict[str, Any], strict: bool) -> None:
    torch.manual_seed(0)
    module = Recurrent(**options)
    time = torch.export.Dim("time")
    shapes = ({1: time}, {1: time})
    program = torch.export.export(module, arguments(9), dynamic_shapes=shapes, strict=strict)
    exported = program.module()
    for length in (2, 3, 30):
        torch.testing.assert_close(exported(*arguments(length)), module(*arguments(length)))


class Nested(Recurrent):
    """Uses dicts as inputs, state and output."""

    def forward(self, inputs: Any, mask: Any) -> Any:
        start = inputs.new_zeros(inputs.shape[0], SIZE)

        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            hidden, cell = self.cell(x["x"], (states[0]["hidden"], states[0]["cell"]))
            return {"hidden": hidden}, [{"hidden": hidden, "cell": cell}]

        state = {"hidden": start, "cell": start}
        return polyrnn.rnn(step, {"x": inputs}, [state], mask=mask)[1]["hidden"]


def test_nests_are_exported_strictly() -> None:
    torch.manual_seed(0)
    module = Nested()
    time = torch.export.Dim("time")
    shapes = ({1: time}, {1: time})
    program = torch.export.export(module, arguments(9), dynamic_shapes=shapes, strict=True)
    torch.testing.assert_close(program.module()(*arguments(30)), module(*arguments(30)))


def test_the_program_has_the_gradients_of_the_module() -> None:
    torch.manual_seed(0)
    module = Recurrent()
    time = torch.export.Dim("time")
    program = torch.export.export(module, arguments(9), dynamic_shapes=({1: time}, {1: time}))
    exported = program.module()
    for one in (module, exported):
        sum(x.square().sum() for x in one(*arguments(20))).backward()
    for expected, got in zip(module.parameters(), exported.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad)


def test_an_open_time_axis_is_not_unrolled() -> None:
    shapes = ({1: torch.export.Dim("time")}, {1: torch.export.Dim("time")})
    with pytest.raises(ValueError, match=r"^unroll: expected a time axis"):
        torch.export.export(
            Recurrent(unroll=True), arguments(9), dynamic_shapes=shapes, strict=False
        )
