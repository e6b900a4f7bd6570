"""Rule 17: with several devices, everything is computed on the device of the inputs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import polyrnn
from polyrnn_conformance.calls import Call, on_host, wave
from polyrnn_conformance.comparing import DisagreementError, Result, assert_agrees, expected_of
from polyrnn_conformance.rows import Check
from polyrnn_conformance.steps import Step
from polyrnn_conformance.subject import Subject
from polyrnn_conformance.trees import Host, leaves_of, map_leaves, skeleton

MASK = np.array([[True, False, True, True], [False, True, True, False]])
LENGTHS = np.array([3, 2], "int32")


def scaled_sum(xp: Any) -> Step:
    """Add up the inputs times the constant, and count the steps."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total, count, scale = states
        total = total + x * scale
        return total * scale, [total, count + 1]

    return step


PLAIN = Call(
    step=scaled_sum,
    inputs=wave(2, 4, 3),
    initial_states=[wave(2, 3, phase=1), np.asarray(0, "float32")],
    constants=[wave(3, phase=2)],
)

ON_DEVICE = ("inputs", "initial_states", "constants")


def _follows(call: Call, placed: tuple[str, ...]) -> Callable[[Subject, str], None]:
    """Return a check that results are on the device of the placed arguments.

    Args:
        call: The call; its other arguments are on the default device or on the host.
        placed: The arguments that are put on a device.
    """

    def check(subject: Subject, mode: str) -> None:
        harness = subject.harness
        for device in harness.devices:

            def give(leaf: Any, argument: str, device: str = device) -> Any:
                if not isinstance(leaf, np.ndarray):
                    return on_host(leaf)
                tensor = subject.tensor(leaf)
                return harness.on_device(tensor, device) if argument in placed else tensor

            given: Mapping[str, Any] = {
                name: map_leaves(lambda leaf, name=name: give(leaf, name), value)  # type: ignore[misc]
                for name, value in call.arguments().items()
            }
            step = call.step(subject.backend.namespace)
            result = polyrnn.rnn(step, backend=subject.choice, **given)
            leaves = leaves_of(result)
            found = [harness.device_of(leaf) for leaf in leaves]
            if harness.follows_devices and set(found) != {device}:
                raise DisagreementError(f"results are on {found}, expected {device}")
            if harness.has_values(device):
                arrays = [harness.to_numpy(leaf) for leaf in leaves]
                names = [subject.backend.dtype_name(leaf) for leaf in leaves]
                assert_agrees(Result(skeleton(result), arrays, names), expected_of(call))

    return check


def _converts(subject: Subject, mode: str) -> None:
    harness, backend = subject.harness, subject.backend
    for device in harness.devices:
        like = harness.on_device(subject.tensor(wave(2, 3)), device)
        for value in (MASK, LENGTHS, 2, 0.5, subject.tensor(MASK), subject.tensor(wave(3))):
            found = harness.device_of(backend.convert(value, like))
            if found != device:
                raise DisagreementError(f"convert: {value!r} is on {found}, expected {device}")


def _row(name: str, title: str, placed: tuple[str, ...] = ON_DEVICE, **changes: Any) -> Check:
    return Check(
        name=f"devices-{name}",
        rules=(17,),
        title=title,
        check=_follows(replace(PLAIN, **changes), placed),
        needs_own_tensors=True,
        needs_devices=True,
    )


def _hosted(tree: Any) -> Any:
    return map_leaves(Host, tree)


_FLAGS: dict[str, dict[str, Any]] = {
    "": {},
    "-zeroed": {"zero_output_for_mask": True},
    "-last-only-backwards": {"return_all_outputs": False, "go_backwards": True},
}

_MASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "mask-tensor": ("A mask on another device follows the inputs.", {"mask": MASK}),
    "mask-numpy": ("A mask on the host follows the inputs.", {"mask": Host(MASK)}),
    "mask-list": ("A mask in a list follows the inputs.", {"mask": Host(MASK.tolist())}),
    "lengths-tensor": (
        "Lengths on another device follow the inputs.",
        {"input_length": LENGTHS},
    ),
    "lengths-numpy": ("Lengths on the host follow the inputs.", {"input_length": Host(LENGTHS)}),
    "length": (
        "One length for all samples makes a mask on the device of the inputs.",
        {"input_length": 2},
    ),
}

ROWS = (
    Check(
        name="devices-of-what-is-converted",
        rules=(16, 17),
        title="A converted value is on the device of the tensor that it is converted like.",
        check=_converts,
        needs_own_tensors=True,
        needs_devices=True,
    ),
    _row("plain", "Results are on the device of the inputs."),
    *(
        _row(f"{name}{way}", title, **changes, **flags)
        for name, (title, changes) in _MASKS.items()
        for way, flags in _FLAGS.items()
    ),
    _row(
        "numpy-inputs",
        "NumPy inputs are moved to the device of the states.",
        ("initial_states", "constants"),
        inputs=_hosted(PLAIN.inputs),
    ),
    _row(
        "numpy-inputs-and-states",
        "NumPy inputs and states are moved to the device of the constants.",
        ("constants",),
        inputs=_hosted(PLAIN.inputs),
        initial_states=_hosted(PLAIN.initial_states),
    ),
    _row(
        "numpy-first-input",
        "A NumPy input is moved to the device of the other inputs.",
        ("inputs", "constants"),
        inputs=[_hosted(PLAIN.inputs), PLAIN.inputs],
        step=lambda xp: lambda x, states: scaled_sum(xp)(x[0] * x[1], states),
        initial_states=_hosted(PLAIN.initial_states),
    ),
    _row(
        "numpy-states",
        "NumPy states are moved to the device of the inputs.",
        ("inputs", "constants"),
        initial_states=_hosted(PLAIN.initial_states),
        mask=MASK,
    ),
    _row(
        "numpy-constants",
        "NumPy constants are moved to the device of the inputs.",
        ("inputs", "initial_states"),
        constants=_hosted(PLAIN.constants),
        input_length=LENGTHS,
        return_all_outputs=False,
    ),
)
