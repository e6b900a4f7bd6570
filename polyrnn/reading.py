"""Converts the arguments of a call to tensors of the chosen backend, or raises."""

from collections.abc import Callable
from functools import partial
from operator import is_
from typing import Any

from polyrnn import nests, registry
from polyrnn.backend import Backend, Tensor
from polyrnn.errors import summary
from polyrnn.nests import LEAF, Nest
from polyrnn.selection import NEUTRAL, Choice
from polyrnn.sizes import shapes_agree
from polyrnn.unsupported import (
    NUMBER_KINDS,
    holds_numbers,
    is_array,
    is_symbolic,
    kind_of,
    not_numbers,
    of_no_backend,
    why_not_plain,
)


class Reader:
    """Converts the arguments of a call to tensors of the chosen backend, or raises.

    Args:
        choice: The chosen backend and the reason for the choice.

    Attributes:
        like: The tensor whose device the other tensors follow, once it is known.
    """

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.backend = choice.backend
        self.like: Tensor | None = None

    def read(self, argument: str, tree: Any) -> Nest:
        """Return a flattened nest, in which each list of numbers counts as one tensor.

        Args:
            argument: The name of the argument.
            tree: The nest.
        """
        leaves, structure = self._flatten(argument, tree)
        if len(leaves) != 1 or leaves[0] is not tree:
            nests.check_levels(argument, tree)
        if _any_number(leaves):
            tree = written_out(argument, tree)
            leaves, structure = self.backend.nests.flatten(tree)
        return Nest(leaves, structure, len(leaves) == 1 and leaves[0] is tree)

    def read_entries(self, argument: str, entries: Any) -> Nest:
        """Return a flattened list of nests; a value that is no list or tuple is its only entry.

        Args:
            argument: The name of the argument.
            entries: The sequence of nests, or one nest; `None` stands for an empty sequence.
        """
        if entries is None:
            entries = []
        else:
            entries = list(entries) if self._is_sequence(argument, entries) else [entries]
        leaves, structure = self._flatten(argument, entries)
        is_plain = len(leaves) == len(entries) and all(map(is_, leaves, entries))
        if not is_plain:
            nests.check_levels(argument, entries)
        if _any_number(leaves):
            entries = [written_out(argument, entry) for entry in entries]
            leaves, structure = self.backend.nests.flatten(entries)
            is_plain = len(leaves) == len(entries) and all(map(is_, leaves, entries))
        return Nest(leaves, structure, is_plain)

    def _is_sequence(self, argument: str, entries: Any) -> bool:
        """Return whether a value is a list or a tuple, but not a tensor that is a named tuple."""
        if not isinstance(entries, (list, tuple)) or type(entries) in (list, tuple):
            return isinstance(entries, (list, tuple))
        leaves, structure = self._flatten(argument, entries)
        return isinstance(self.backend.nests.unflatten(structure, leaves), (list, tuple))

    def _flatten(self, argument: str, tree: Any) -> tuple[list[Any], Any]:
        return nests.flatten_named(argument, tree, self.backend.nests.flatten)

    def first_tensor(self, leaves: list[Any]) -> Tensor | None:
        """Return the first leaf that already is a tensor of the backend, or `None`."""
        kind = self.backend.tensor_type
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
        return None

    def convert(self, argument: str, nest: Nest) -> Nest:
        """Return the nest of one argument with its leaves converted to tensors."""
        if only(self.backend.tensor_type, nest.leaves):
            try:
                leaves = list(map(self.backend.convert, nest.leaves))
                return Nest(leaves, nest.structure, nest.is_plain)
            except TypeError:
                pass  # The code below finds the leaf and names it in the error.
        where = partial(leaf_name, self.backend, argument, nest.structure)
        leaves = [self.tensor(leaf, partial(where, p)) for p, leaf in enumerate(nest.leaves)]
        return nest._replace(leaves=leaves)

    def tensor(self, value: Any, where: Callable[[], str]) -> Tensor:
        """Convert one value to a tensor of the backend.

        Args:
            value: The value.
            where: Return the name of the value for an error.
        """
        backend = self.backend
        if isinstance(value, backend.tensor_type):
            try:
                return backend.convert(value)
            except TypeError as error:
                raise self._not_plain(value, where, str(error)) from None
        framework = registry.framework_of(type(value))
        if framework == NEUTRAL:
            self._check_array(value, where)
        elif framework is None:
            self._check_convertible(value, where)
        elif framework != self.choice.name:
            raise TypeError(
                f"{where()}: expected a tensor of {self.choice.name} (the backend was chosen by "
                f"{self.choice.reason}), got {kind_of(value)}"
            )
        cause: Exception | None = None
        try:
            tensor = backend.convert(_neutral(backend, value), self.like)
            if backend.dtype_name(tensor).startswith(NUMBER_KINDS):
                return tensor
            reason = f"it holds {backend.dtype_name(tensor)}"
        except Exception as error:
            cause, reason = error, summary(error, first_line=True)
        raise TypeError(
            f"{where()}: expected a tensor, got {kind_of(value)}, which cannot be made "
            f"one of {self.choice.name}: {reason}"
        ) from cause

    def _check_array(self, array: Any, where: Callable[[], str]) -> None:
        """Check that a NumPy object is an array that converts to a tensor without loss."""
        if not is_array(array):
            raise TypeError(f"{where()}: expected a tensor, got {kind_of(array)}, which is none")
        reason = why_not_plain(array)
        if reason is not None:
            raise self._not_plain(array, where, reason)
        # The dtype of an array is unknown while a compiler traces it.
        if self.backend.reads_arrays() and not holds_numbers(array):
            raise ValueError(f"{where()}: {not_numbers(array.dtype)}")

    def _check_convertible(self, value: Any, where: Callable[[], str]) -> None:
        """Check that a value whose type no backend defines may be converted.

        Numbers, lists of numbers and objects that implement a conversion protocol of the framework
        may be. Other objects that NumPy can convert are refused, because a conversion through
        NumPy would lose their gradients silently.
        """
        if isinstance(value, nests.NUMBER) or nests.is_number_list(value):
            return
        if is_symbolic(value) or not self.backend.converts(value):
            raise TypeError(f"{where()}: {of_no_backend(value)}")

    def _not_plain(self, value: Any, where: Callable[[], str], reason: str) -> Exception:
        """Return the error for a tensor of the backend of a kind that loops do not support."""
        if registry.framework_of(type(value)) == NEUTRAL and not holds_numbers(value):
            return ValueError(f"{where()}: {not_numbers(value.dtype)}")
        return TypeError(f"{where()}: expected a plain tensor, got {kind_of(value)}: {reason}")

    def follow(self, value: Any, argument: str) -> Tensor:
        """Convert one value to a tensor on the device of the inputs."""
        if isinstance(value, list):
            value = written_out(argument, value)
        return self.backend.convert(self.tensor(value, lambda: argument), self.like)


def only(kind: Any, values: Any) -> bool:
    """Return whether all values are instances of a type, or of one of several types."""
    # A plain loop is faster than `all`, and this runs several times in each call.
    for value in values:  # noqa: SIM110
        if not isinstance(value, kind):
            return False
    return True


def _any_number(leaves: list[Any]) -> bool:
    for leaf in leaves:  # noqa: SIM110 - a plain loop, as in `only`
        if isinstance(leaf, nests.NUMBER):
            return True
    return False


def leaf_name(backend: Backend, argument: str, structure: Any, position: int) -> str:
    """Return the name of one leaf of an argument for an error, such as ``inputs['a']``."""
    return argument + backend.nests.paths(structure)[position]


def check_like(
    backend: Backend, argument: str, given: Nest, expected: Nest, described: str
) -> None:
    """Check that an argument has the nest, the dtypes and the shapes of other tensors.

    Args:
        backend: The backend.
        argument: The name of the argument.
        given: The argument.
        expected: The other tensors.
        described: What those are, for the error.

    Raises:
        ValueError: If it has not, naming the leaf if the nests are equal.
    """
    unflatten = backend.nests.unflatten
    if given.structure != expected.structure:
        one, other = (
            unflatten(nest.structure, [LEAF] * len(nest.leaves)) for nest in (given, expected)
        )
        raise ValueError(f"{argument}: expected the nest of {described}, {other!r}, got {one!r}")
    for position, (new, old) in enumerate(zip(given.leaves, expected.leaves, strict=True)):
        shape, wanted = backend.shape(new), backend.shape(old)
        if new.dtype != old.dtype or not shapes_agree(shape, wanted):
            raise ValueError(
                f"{leaf_name(backend, argument, given.structure, position)}: expected "
                f"{backend.dtype_name(old)} {wanted}, got {backend.dtype_name(new)} {shape}"
            )


def written_out(argument: str, tree: Any) -> Any:
    """Return the nest of one argument with lists of numbers replaced by NumPy arrays."""
    try:
        return nests.written_out_to_arrays(tree)
    except ValueError as error:
        raise ValueError(f"{argument}: expected lists of equal length") from error


def _neutral(backend: Backend, value: Any) -> Any:
    """Return a list as a NumPy array, and an array in the native byte order."""
    import numpy

    if isinstance(value, list):
        value = numpy.asarray(value)
    # The dtype of an array is unknown while a compiler traces it.
    if isinstance(value, numpy.ndarray) and backend.reads_arrays() and not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    return value
