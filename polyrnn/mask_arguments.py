"""The arguments that say which steps count: the mask and the lengths."""

import sys
from typing import Any

from polyrnn import nests
from polyrnn.backend import Backend, Tensor
from polyrnn.reading import Reader
from polyrnn.sizes import Sizes, same_size, sizes_agree
from polyrnn.unsupported import NUMBER_KINDS, kind_of, why_not_plain


def read_mask(reader: Reader, argument: str, mask: Any, sizes: Sizes) -> Tensor:
    """Check a mask and return it as booleans of shape ``(time, batch)``.

    Args:
        reader: Converts it.
        argument: What it was passed as, ``"mask"`` or ``"reset"``.
        mask: The mask.
        sizes: The sizes of the inputs.
    """
    backend = reader.backend
    if not isinstance(mask, backend.tensor_type):
        array = _host_array(argument, mask)
        mask = mask if array is None else _nonzero_on_host(backend, array)
    mask = reader.follow(mask, argument)
    name = backend.dtype_name(mask)
    if not name.startswith(NUMBER_KINDS):
        raise ValueError(f"{argument}: expected bool or numbers, got dtype {name}")
    shape = backend.shape(mask)
    expected = sizes.shape()
    if (
        shape is None
        or len(shape) not in (2, 3)
        or not all(map(sizes_agree, shape, (*expected, 1)))
    ):
        given = "unknown rank" if shape is None else f"{shape}"
        raise ValueError(
            f"{argument}: expected shape {expected} or {(*expected, 1)} for inputs whose first two "
            f"axes are {expected}, got {given}"
        )
    if len(shape) == 3:
        mask = mask[..., 0]
    mask = backend.nonzero(mask)
    return mask if sizes.time_major else backend.transpose(mask)


def _nonzero_on_host(backend: Backend, array: Any) -> Any:
    """Return where an array of numbers is not zero; any other array as it is."""
    # Where a compiler traces the array its dtype is unknown, and text gets no further anyway.
    if backend.reads_arrays() and not _dtype_name(array).startswith(NUMBER_KINDS):
        return array
    # A framework may narrow numbers, and make zero of what is not.
    return array != 0


def read_lengths(reader: Reader, lengths: Any, sizes: Sizes, x: Tensor) -> Tensor | None:
    """Check lengths; give the mask that they mean, or `None` where they mask nothing."""
    import numpy

    backend = reader.backend
    if same_size(lengths, sizes.time):
        # An integer that says what the time axis says masks nothing.
        return None
    array = _host_array("input_length", lengths)
    known = None if array is None else _host_integers(backend, lengths, array)
    if known is not None:
        given, integers = known
        shape = array.shape
    else:
        tensor = reader.follow(lengths if array is None else array, "input_length")
        given, shape = f"dtype {backend.dtype_name(tensor)}", backend.shape(tensor)
    if not given.startswith(("dtype int", "dtype uint")):
        # Frameworks differ in the dtypes that they would make integers of.
        raise ValueError(f"input_length: expected integers, got {given}")
    if shape is None or len(shape) > 1 or not all(map(sizes_agree, shape, (sizes.batch,))):
        described = "unknown rank" if shape is None else f"{shape}"
        raise ValueError(
            f"input_length: expected an integer or shape ({sizes.batch},), got shape {described}"
        )
    if known is not None:
        _check_range(integers, sizes, single=not shape)
        lengths = numpy.asarray(integers, numpy.int64) if shape else integers[0]
        tensor = reader.follow(lengths, "input_length")
    return backend.length_mask(tensor, x)


def _host_array(argument: str, value: Any) -> Any:
    """Return the NumPy array that a value spells which is on the host, `None` for any other.

    On the host are numbers, NumPy arrays, and lists and tuples of these. The values of a
    tensor are not to be read: it may live anywhere.
    """
    import numpy

    nests.check_levels(argument, value)
    entries = _entries(value)
    # The types stand in a tuple because torch.compile cannot trace their union.
    if not all(isinstance(e, (*nests.NUMBER, numpy.ndarray, numpy.generic)) for e in entries):
        return None
    for entry in entries:
        reason = why_not_plain(entry) if isinstance(entry, numpy.ndarray) else None
        if reason is not None:
            raise TypeError(f"{argument}: expected a plain tensor, got {kind_of(entry)}: {reason}")
    try:
        return numpy.asarray(value)
    except ValueError as error:
        raise ValueError(f"{argument}: expected lists of equal length") from error


def _entries(value: Any) -> list[Any]:
    """List what a list or a tuple holds, and lists and tuples in it; of another value itself."""
    if not isinstance(value, (list, tuple)):
        return [value]
    entries = []
    for entry in value:
        entries += _entries(entry)
    return entries


def _host_integers(backend: Backend, lengths: Any, array: Any) -> tuple[str, list[int]] | None:
    """Return what lengths on the host are, in words, and the integers that they are if any.

    `None` where a compiler traces them, so that nobody knows.
    """
    import numpy

    entries = _entries(lengths)
    if all(type(entry) is int for entry in entries):
        # The dtype of an empty list is not that which NumPy gives it.
        return "dtype int64", entries
    if type(lengths) in nests.NUMBER:
        return kind_of(lengths), []
    if any(isinstance(entry, bool) for entry in entries):
        return "dtype bool", []
    if not backend.reads_arrays():
        return None
    if any(str(getattr(entry, "dtype", "")) == "bool" for entry in entries):
        return "dtype bool", []
    dtype = _dtype_name(array)
    if all(isinstance(entry, (int, numpy.integer)) for entry in entries):
        # NumPy itself makes floats of integers with signs and without.
        return "dtype int64", [int(entry) for entry in entries]
    is_integer = dtype.startswith(("int", "uint"))
    return f"dtype {dtype}", [int(entry) for entry in array.reshape(-1)] if is_integer else []


def _dtype_name(array: Any) -> str:
    """Return the name of the dtype of an array on the host, whatever its byte order."""
    return str(array.dtype.newbyteorder("="))


def _check_range(integers: list[int], sizes: Sizes, *, single: bool) -> None:
    # Among the lengths of several samples one may be 0, which masks all of it.
    least = 1 if single else 0
    # No time axis is longer, even where its length is not known.
    most = sizes.time if isinstance(sizes.time, int) else sys.maxsize
    for position, length in enumerate(integers):
        if not least <= length <= most:
            where = "input_length" if single else f"input_length[{position}]"
            highest = "time" if most == sys.maxsize else most
            raise ValueError(f"{where}: expected {least} to {highest}, got {length}")
