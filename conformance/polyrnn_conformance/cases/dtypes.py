"""Rules 16 to 19: dtypes, neutral values, and gradients."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, array_of, digits, wave
from polyrnn_conformance.rows import Case
from polyrnn_conformance.steps import Step, count_and_echo, dense, running_sum
from polyrnn_conformance.trees import Host

FLOATING = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
WHOLE = ("int8", "int32", "int64", "uint8")
MASK = np.array([[True, False, True], [False, True, False]])


def parity(xp: Any) -> Step:
    """Return whether the number of true inputs so far is odd."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        odd = states[0] ^ x
        return x, [odd]

    return step


def bilinear(xp: Any, kernel: Any) -> Step:
    """Multiply constants into the state, so that every argument has a gradient."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        h, c, scale, shift = states
        h = xp.tanh(xp.matmul(x, kernel) * scale + h)
        c = c * h + shift
        return h * c, [h, c]

    return step


def embedded(xp: Any, table: Any) -> Step:
    """Select floats by integer inputs, like an embedding."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + xp.where(x > 1, table[0, ...], table[1, ...])
        return total, [total]

    return step


def counted(xp: Any) -> Step:
    """Count steps in an integer state, besides a float state."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total, count, one = states
        return (total + x, count), [total + x, count + one]

    return step


def dense_and_counted(xp: Any, kernel: Any) -> Step:
    """Count steps in an integer state, besides a recurrent layer, and output both."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        h, count, one = states
        h = xp.tanh(xp.matmul(x, kernel) + h)
        return (h, count), [h, count + one]

    return step


def _foreign(array: np.ndarray[Any, Any]) -> Host:
    """Return an array in the other byte order."""
    return Host(array.astype(array.dtype.newbyteorder("S")))


def _floating(dtype: str) -> tuple[Case, ...]:
    def wavy(*shape: int) -> Any:
        kind = dtype if dtype.startswith("complex") else "float64"
        return array_of(wave(*shape, dtype=kind), dtype)

    return (
        Case(
            name=f"dtype-{dtype}",
            rules=(17,),
            title=f"{dtype} in is {dtype} out.",
            call=Call(step=count_and_echo, inputs=wavy(2, 3, 2), initial_states=[wavy(2, 2)]),
        ),
        Case(
            name=f"dtype-{dtype}-masked",
            rules=(12, 17),
            title=f"{dtype} in is {dtype} out when masked.",
            call=Call(
                step=count_and_echo,
                inputs=wavy(2, 3, 2),
                initial_states=[wavy(2, 2)],
                mask=MASK,
            ),
        ),
        Case(
            name=f"dtype-{dtype}-zero-output",
            rules=(12, 17),
            title=f"{dtype} in is {dtype} out when zeroed.",
            call=Call(
                step=count_and_echo,
                inputs=wavy(2, 3, 2),
                initial_states=[wavy(2, 2)],
                mask=MASK,
                zero_output_for_mask=True,
                unroll=True,
            ),
        ),
    )


def _whole(dtype: str) -> tuple[Case, ...]:
    return (
        Case(
            name=f"dtype-{dtype}",
            rules=(17,),
            title=f"{dtype} in is {dtype} out.",
            call=Call(
                step=running_sum,
                inputs=digits(2, 3, 2, dtype=dtype),
                initial_states=[digits(2, 2, dtype=dtype)],
            ),
        ),
        Case(
            name=f"dtype-{dtype}-masked",
            rules=(12, 17),
            title=f"{dtype} in is {dtype} out when masked.",
            call=Call(
                step=running_sum,
                inputs=digits(2, 3, 2, dtype=dtype),
                initial_states=[digits(2, 2, dtype=dtype)],
                mask=digits(2, 3, dtype=dtype),
            ),
        ),
    )


ROWS = (
    *(row for dtype in FLOATING for row in _floating(dtype)),
    *(row for dtype in WHOLE for row in _whole(dtype)),
    Case(
        name="dtype-bool",
        rules=(12, 17),
        title="bool in is bool out, masked or not.",
        call=Call(
            step=parity,
            inputs=digits(2, 3, 2, dtype="bool"),
            initial_states=[digits(2, 2, dtype="bool")],
            mask=MASK,
        ),
    ),
    Case(
        name="dtype-mixed",
        rules=(12, 17),
        title="Integer and floating-point states each keep their dtype, masked too.",
        call=Call(
            step=counted,
            inputs=wave(2, 3, 2),
            initial_states=[wave(2, 2), digits(2, 1, dtype="int32")],
            constants=[np.ones((), "int32")],
            mask=MASK,
        ),
    ),
    Case(
        name="dtype-integer-inputs",
        rules=(14, 17),
        title="Inputs may be integers while states are floats.",
        call=Call(
            step=embedded,
            weights=(wave(2, 2),),
            inputs=digits(2, 3, 2),
            initial_states=[wave(2, 2)],
            mask=MASK,
        ),
        gradients=True,
    ),
    Case(
        name="dtype-float32-weights-of-float64-mask",
        rules=(11, 17),
        title="A mask of a wider dtype does not change other dtypes.",
        call=Call(
            step=count_and_echo,
            inputs=wave(2, 3, 2),
            initial_states=[wave(2, 2)],
            mask=MASK.astype("float64"),
        ),
    ),
    Case(
        name="neutral-numpy-inputs",
        rules=(16,),
        title="NumPy arrays as inputs, states and constants become tensors of the backend.",
        call=Call(
            step=count_and_echo,
            inputs={"a": Host(wave(2, 3, 2))}["a"],
            initial_states=[Host(wave(2, 2))],
            constants=[Host(wave(2))],
        ),
    ),
    Case(
        name="neutral-numpy-states",
        rules=(16,),
        title="States may be NumPy arrays while inputs are tensors.",
        call=Call(
            step=dense,
            weights=(wave(2, 2), wave(2, 2, phase=1)),
            inputs=wave(2, 3, 2),
            initial_states=[Host(wave(2, 2, phase=2))],
        ),
    ),
    Case(
        name="neutral-lists",
        rules=(16,),
        title="Nested lists of numbers become tensors.",
        call=Call(
            step=running_sum,
            inputs=Host([[[0.5], [1.5]], [[2.5], [3.5]]]),
            initial_states=[Host(np.array([[1.0], [-1.0]]))],
        ),
    ),
    *(
        Case(
            name=f"neutral-byte-order-{dtype}",
            rules=(16, 17),
            title=f"{dtype} of a foreign byte order becomes {dtype} of the own one.",
            call=Call(
                step=count_and_echo,
                inputs=_foreign(digits(2, 3, 2, dtype=dtype)),
                initial_states=[_foreign(digits(2, 2, dtype=dtype))],
                constants=[_foreign(digits(2, 2, dtype=dtype))],
                mask=_foreign(digits(2, 3, dtype=dtype)),
            ),
            every_mode=False,  # torch.compile does not support such arrays
        )
        for dtype in ("int32", "float32", "complex64")
    ),
    Case(
        name="neutral-byte-order-lengths",
        rules=(15, 16),
        title="Lengths may have a non-native byte order.",
        call=Call(
            step=count_and_echo,
            inputs=wave(2, 3, 2),
            initial_states=[wave(2, 2)],
            input_length=_foreign(np.array([1, 3], "int32")),
        ),
        every_mode=False,
    ),
    Case(
        name="gradients-beside-integers",
        rules=(12, 19),
        title="Gradients flow through other states beside an integer state.",
        call=Call(
            step=dense_and_counted,
            weights=(wave(3, 2),),
            inputs=wave(2, 3, 3),
            initial_states=[wave(2, 2), digits(2, 1, dtype="int32")],
            constants=[np.ones((), "int32")],
            mask=MASK,
        ),
        gradients=True,
    ),
    Case(
        name="gradients-of-every-argument",
        rules=(19,),
        title="Inputs, states, constants and what the step closes over have gradients.",
        call=Call(
            step=bilinear,
            weights=(wave(3, 2),),
            inputs=wave(2, 3, 3),
            initial_states=[wave(2, 2), wave(2, 2, phase=1)],
            constants=[wave(2, phase=2), wave(2, 2, phase=3)],
        ),
        gradients=True,
    ),
    Case(
        name="gradients-of-every-argument-masked",
        rules=(14, 19),
        title="With a mask every argument has gradients, through the valid steps only.",
        call=Call(
            step=bilinear,
            weights=(wave(3, 2),),
            inputs=wave(2, 3, 3),
            initial_states=[wave(2, 2), wave(2, 2, phase=1)],
            constants=[wave(2, phase=2), wave(2, 2, phase=3)],
            mask=MASK,
        ),
        gradients=True,
    ),
)
