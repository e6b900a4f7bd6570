"""Test that the harness declares exactly what the backend cannot do."""

from typing import get_args

from polyrnn_conformance.calls import Call, array_of, digits, wave
from polyrnn_conformance.cases.dtypes import parity
from polyrnn_conformance.comparing import (
    assert_agrees,
    assert_gradients_agree,
    expected_of,
)
from polyrnn_conformance.harness import Capability, Harness
from polyrnn_conformance.steps import running_sum
from polyrnn_conformance.subject import Subject


def test_limitations_are_declared_in_sentences(subject: Subject) -> None:
    """Check that each limitation has a capability known to the suite, and a sentence."""
    for capability, sentence in subject.harness.limitations.items():
        assert capability in get_args(Capability)
        assert sentence.endswith(".")


def test_compilation_is_declared_as_it_is(subject: Subject) -> None:
    """Check that a harness has one mode if and only if it declares no compilation."""
    compiles = len(subject.harness.modes) > 1
    assert compiles == ("compilation" not in subject.harness.limitations)


def test_unknown_shapes_are_declared_as_they_are(subject: Subject) -> None:
    """Check that a harness has modes with unknown shapes unless it declares that it has none."""
    harness = subject.harness
    assert set(harness.unknown_shape_modes) <= set(harness.modes)
    assert bool(harness.unknown_shape_modes) == ("unknown_shapes" not in harness.limitations)


def test_gradients_are_declared_as_they_are(subject: Subject) -> None:
    """Check that gradients work unless they are declared missing."""
    harness = subject.harness
    dtype = "float64" if "float64" in harness.dtypes else "float32"
    assert _differentiates(subject, dtype) == ("gradients" not in harness.limitations)


def test_dtypes_are_declared_as_they_are(subject: Subject) -> None:
    """Check that the declared dtypes are exactly those that work."""
    works = {dtype for dtype in Harness.dtypes if _has_dtype(subject, dtype)}
    assert works == set(subject.harness.dtypes)


def _differentiates(subject: Subject, dtype: str) -> bool:
    call = Call(step=running_sum, inputs=wave(2, 3, 2), initial_states=[wave(2, 2)])
    call = call.in_dtype(dtype)
    mode = subject.harness.modes[0]
    try:
        assert_gradients_agree(call, subject.gradients(call, mode))
    except Exception:
        return False
    return True


def _has_dtype(subject: Subject, dtype: str) -> bool:
    x, state = array_of(digits(2, 3, 2), dtype), array_of(digits(2, 2), dtype)
    step = parity if dtype == "bool" else running_sum
    call = Call(step=step, inputs=x, initial_states=[state])
    try:
        assert_agrees(subject.run(call, subject.harness.modes[0]), expected_of(call))
    except Exception:
        return False
    return True
