"""Test the errors for unsupported kinds of torch tensors, which say what to pass instead."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

import polyrnn

PARTS = [torch.ones(3, 4), torch.ones(2, 4)]
X, H = torch.ones(2, 3, 4), torch.zeros(2, 4)

PACKED = (
    "expected a tensor, got torch.nn.utils.rnn.PackedSequence, which cannot be made one of torch: "
    "TypeError: it is packed; pass inputs, lengths = torch.nn.utils.rnn.pad_packed_sequence(x, "
    "batch_first=True), and input_length=lengths"
)
NESTED = (
    "it is nested; pass torch.nested.to_padded_tensor(x, 0.0), with the lengths of its parts as "
    "input_length"
)
PLAIN = "expected a plain tensor, got torch.Tensor: "

quietly = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

KINDS: dict[str, tuple[Callable[[], Any], str]] = {
    "packed": (lambda: pack_sequence(PARTS), PACKED),
    "nested": (lambda: torch.nested.nested_tensor(PARTS), PLAIN + NESTED),
    "jagged": (
        lambda: torch.nested.nested_tensor(PARTS, layout=torch.jagged),
        "expected a plain tensor, got torch.nested._internal.nested_tensor.NestedTensor: " + NESTED,
    ),
    "sparse": (X.to_sparse, PLAIN + "its layout is torch.sparse_coo; pass x.to_dense()"),
    "compressed": (
        lambda: torch.ones(2, 3).to_sparse_csr(),
        PLAIN + "its layout is torch.sparse_csr; pass x.to_dense()",
    ),
    "quantized": (
        lambda: torch.quantize_per_tensor(X, 0.1, 0, torch.quint8),
        PLAIN + "it is quantized; pass x.dequantize()",
    ),
}
kinds = pytest.mark.parametrize(("make", "text"), KINDS.values(), ids=KINDS)


def running_sum(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    total = states[0] + x
    return total, [total]


def refused(text: str, step: Any = running_sum, **arguments: Any) -> None:
    with pytest.raises(TypeError) as caught:
        polyrnn.rnn(step, **({"inputs": X, "initial_states": [H]} | arguments))
    assert str(caught.value) == text


@quietly
@kinds
@pytest.mark.parametrize(
    ("argument", "place"),
    [
        ("inputs", "inputs"),
        ("initial_states", "initial_states[0]"),
        ("constants", "constants[0]"),
        ("mask", "mask"),
        ("input_length", "input_length"),
    ],
)
@pytest.mark.parametrize("backend", [None, "torch"])
def test_in_every_argument(
    make: Any, text: str, argument: str, place: str, backend: str | None
) -> None:
    refused(f"{place}: {text}", backend=backend, **{argument: make()})


@quietly
@kinds
def test_within_a_nest(make: Any, text: str) -> None:
    refused(f"inputs['a'][0]: {text}", inputs={"a": [make()]})
    refused(f"initial_states[0]['h']: {text}", initial_states=[{"h": make()}])


@quietly
@kinds
def test_of_a_step(make: Any, text: str) -> None:
    refused(f"output: {text}", step=lambda x, states: (make(), states))


def test_a_sparse_new_state_of_the_right_shape() -> None:
    text = f"state [0]: {PLAIN}its layout is torch.sparse_coo; pass x.to_dense()"
    refused(text, step=lambda x, states: (x, [x.to_sparse()]))


def test_a_packed_sequence_is_of_torch_to_another_backend() -> None:
    refused(
        "inputs: expected a tensor of numpy (the backend was chosen by backend='numpy'), got "
        "torch.nn.utils.rnn.PackedSequence",
        inputs=pack_sequence(PARTS),
        backend="numpy",
    )


def test_what_is_advised_for_a_packed_sequence() -> None:
    inputs, lengths = pad_packed_sequence(pack_sequence(PARTS), batch_first=True)
    *_, (total,) = polyrnn.rnn(running_sum, inputs, [H], input_length=lengths)
    assert total[:, 0].tolist() == [3.0, 2.0]
