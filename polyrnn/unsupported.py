"""Detects values that are not supported as tensors, and says what to pass instead."""

from typing import Any

from polyrnn import registry
from polyrnn.marks import constant_in_traces

NUMBER_KINDS = ("bool", "int", "uint", "float", "bfloat", "complex")
"""The prefixes of the names of numeric dtypes and bool."""


def kind_of(value: Any) -> str:
    """Return the name of the type of a value for an error."""
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def is_array(value: Any) -> bool:
    """Return whether a value is a NumPy array or a NumPy scalar."""
    import numpy

    return isinstance(value, (numpy.ndarray, numpy.generic))


def holds_numbers(array: Any) -> bool:
    """Return whether the dtype of a NumPy array is numeric or bool."""
    # The name does not depend on the byte order, and that of a structured dtype begins with "void".
    name: str = array.dtype.name
    return name.startswith(NUMBER_KINDS)


def not_numbers(dtype: Any) -> str:
    """Return the error message for a NumPy array that holds neither numbers nor bool."""
    if dtype.names:
        advice = "pass a dict of its fields, {name: x[name] for name in x.dtype.names}"
    elif dtype.kind in "mM":
        advice = "pass numbers, such as x.astype('int64')"
    else:
        advice = "pass numbers, such as x.astype('float32')"
    return f"expected bool or numbers, got dtype {dtype}; {advice}"


def why_not_plain(array: Any) -> str | None:
    """Return why a NumPy array is not accepted, and what to pass instead.

    Args:
        array: An instance of `numpy.ndarray` or a NumPy scalar.

    Returns:
        The reason for a masked array or a `numpy.matrix`, else `None`. Other subclasses of
        `numpy.ndarray`, such as `numpy.memmap`, are accepted.
    """
    import numpy

    if isinstance(array, numpy.ma.MaskedArray):
        return (
            "its mask would be lost; pass x.filled(0), and where whole time steps are "
            "masked mask=~numpy.ma.getmaskarray(x).any(axis=-1)"
        )
    if isinstance(array, numpy.matrix):
        return "it has two axes whatever is done with it; pass numpy.asarray(x)"
    return None


def check_array(array: Any) -> None:
    """Check that a NumPy array is of a supported type and holds bool or numbers.

    Raises:
        TypeError: If it is not; the message says what to pass instead.
    """
    reason = why_not_plain(array)
    if reason is None and not holds_numbers(array):
        reason = not_numbers(array.dtype)
    if reason is not None:
        raise TypeError(reason)


def is_symbolic(value: Any) -> bool:
    """Return whether a value is a symbolic tensor of Keras, which has no values."""
    return type(value).__name__ == "KerasTensor"


def of_no_backend(value: Any) -> str:
    """Return the error message for a value whose type no installed backend knows."""
    if isinstance(value, (list, tuple, dict)):
        return f"expected a tensor or a list of numbers, got {kind_of(value)}"
    kind = type(value)
    names, advice = _known_to_registry(kind.__module__.partition(".")[0], kind.__name__)
    return (
        f"expected a tensor, got {kind_of(value)}, which no installed backend knows "
        f"(there are {names}){advice}"
    )


@constant_in_traces
def _known_to_registry(module: str, name: str) -> tuple[str, str]:
    """Return the names of all backends, and advice for some types of other libraries."""
    advice = ""
    if module == "pandas":
        advice = "; pass x.to_numpy()"
    elif name == "KerasTensor":
        advice = "; it has no values: call rnn in the call method of a Keras layer"
    elif module == "keras" and name.endswith("Variable"):
        advice = "; pass x.value"
    return ", ".join(registry.installed().names()), advice
