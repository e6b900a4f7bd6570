"""Test all kinds of torch tensors, their devices and dtypes, and NumPy arrays."""

import gc
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch_layers import BATCH, SIZE, Memory, mask, sequence, tensors

import polyrnn


def running_sum(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    total = states[0] + x
    return total, [total]


def walk_to(device: str, **options: Any) -> list[torch.Tensor]:
    inputs = torch.ones(BATCH, 5, SIZE, device=device)
    start = torch.zeros(BATCH, SIZE, device=device)
    return tensors(polyrnn.rnn(running_sum, inputs, [start], **options))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"go_backwards": True, "zero_output_for_mask": True, "mask": np.ones((BATCH, 5))},
        {"mask": torch.ones(BATCH, 5)},
        {"input_length": np.array([1, 5, 0])},
        {"input_length": torch.tensor([1, 5, 0])},
        {"input_length": 3, "return_all_outputs": False},
    ],
)
def test_everything_follows_the_device_of_the_inputs(options: dict[str, Any]) -> None:
    for tensor in walk_to("meta", **options):
        assert tensor.device.type == "meta"


def test_neutral_inputs_follow_the_states() -> None:
    start = torch.zeros(2, 3, device="meta")
    _, outputs, _ = polyrnn.rnn(running_sum, np.ones((2, 4, 3), "float32"), [start])
    assert outputs.device.type == "meta"
    assert outputs.shape == (2, 4, 3)


@pytest.mark.parametrize("options", [{}, {"mask": np.ones((BATCH, 5))}, {"input_length": 3}])
def test_fake_tensors_stay_fake(options: dict[str, Any]) -> None:
    with FakeTensorMode():
        results = walk_to("cpu", **options)
    assert [type(tensor) for tensor in results] == [FakeTensor] * 3
    assert results[1].shape == (BATCH, 5, SIZE)


def test_a_parameter_is_a_state_and_gets_its_gradient() -> None:
    start = torch.nn.Parameter(torch.zeros(2, 3))
    last, _, states = polyrnn.rnn(running_sum, torch.ones(2, 4, 3), start)
    last.sum().backward()
    assert start.grad is not None
    assert start.grad.tolist() == [[1.0] * 3] * 2
    assert type(states[0]) is torch.Tensor


def test_no_graph_is_kept_where_no_gradient_is_wanted() -> None:
    memory = Memory(0, trained=True)
    with torch.no_grad():
        assert not any(x.requires_grad for x in tensors(memory(sequence(3), mask=mask(3))))
    assert all(x.requires_grad for x in tensors(memory(sequence(3), mask=mask(3))))
    with torch.inference_mode():
        assert all(x.is_inference() for x in tensors(memory(sequence(3), mask=mask(3))))


STEPS = np.arange(24).reshape(2, 4, 3)


def read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (STEPS.astype("float16"), torch.float16),
        (STEPS.astype(ml_dtypes.bfloat16), torch.bfloat16),
        (STEPS.astype(ml_dtypes.bfloat16)[:, ::-1], torch.bfloat16),
        (STEPS.astype("float64")[::-1, :, ::-1], torch.float64),
        (STEPS.astype(">f4"), torch.float32),
        (read_only(STEPS.astype("int8")), torch.int8),
        (np.broadcast_to(np.arange(3, dtype="int32"), (2, 4, 3)), torch.int32),
        (np.asfortranarray(STEPS.astype("complex64")), torch.complex64),
        (STEPS.astype("uint16"), torch.uint16),
        (STEPS > 5, torch.bool),
    ],
)
def test_arrays_become_tensors_of_the_same_dtype(array: Any, dtype: torch.dtype) -> None:
    _, outputs, _ = polyrnn.rnn(lambda x, states: (x, []), array, [], backend="torch")
    assert outputs.dtype == dtype
    assert outputs.to(torch.complex128).tolist() == array.astype("complex128").tolist()


def test_numbers_get_the_default_dtype() -> None:
    handed: list[Any] = []

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        handed.append(states)
        return x, []

    polyrnn.rnn(step, torch.ones(2, 1, 3), [], constants=[2.5, 2, np.float64(1), np.int8(3)])
    dtypes = [constant.dtype for constant in handed[0]]
    assert dtypes == [torch.float32, torch.int64, torch.float64, torch.int8]


def test_dtypes_are_named_as_numpy_names_them() -> None:
    wrong = torch.ones(2, 3, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"^state \[0\]: step returned bfloat16 .* for float32 "):
        polyrnn.rnn(lambda x, states: (x, [wrong]), torch.ones(2, 4, 3), [torch.ones(2, 3)])


@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_long_walk_holds_few_slices(go_backwards: bool) -> None:
    counts: list[int] = []
    for time in (600, 6000):
        steps = iter(range(time))

        def step(x: Any, states: list[Any], steps: Any = steps) -> tuple[Any, list[Any]]:
            if next(steps) == 300:
                counts.append(sum(type(thing) is torch.Tensor for thing in gc.get_objects()))
            return x, [states[0] + x]

        polyrnn.rnn(
            step,
            torch.ones(1, time, 1),
            torch.zeros(1, 1),
            go_backwards=go_backwards,
            return_all_outputs=False,
        )
    assert counts[1] < 2 * counts[0]
