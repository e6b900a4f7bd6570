"""Turns what is passed into tensors of the chosen backend, and refuses what is not one."""

from collections.abc import Callable
from functools import partial
from operator import is_
from typing import Any

from polyrnn import nests, registry
from polyrnn.backend import Backend, Tensor
from polyrnn.nests import Nest
from polyrnn.selection import NEUTRAL, Choice
from polyrnn.unsupported import (
    NUMBER_KINDS,
    holds_numbers,
    is_array,
    is_symbolic,
    kind_of,
    not_numbers,
    of_no_backend,
    summary,
    why_not_plain,
)


class Reader:
    """Turns what was passed into tensors of the chosen backend, and refuses what is not one."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.backend = choice.backend
        self.like: Tensor | None = None

    def read(self, argument: str, tree: Any) -> Nest:
        """Return a nest taken apart; a list of numbers in it is a tensor written out.

        Args:
            argument: What the nest was passed as.
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
        """Return a list of nests taken apart; what is no list or tuple is its only entry.

        Args:
            argument: What the sequence was passed as.
            entries: The sequence; `None` is an empty one.
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
        """Return whether a value is a list or a tuple, and no tensor that only looks like one."""
        if not isinstance(entries, (list, tuple)) or type(entries) in (list, tuple):
            return isinstance(entries, (list, tuple))
        leaves, structure = self._flatten(argument, entries)
        return isinstance(self.backend.nests.unflatten(structure, leaves), (list, tuple))

    def _flatten(self, argument: str, tree: Any) -> tuple[list[Any], Any]:
        try:
            return self.backend.nests.flatten(tree)
        except RecursionError:
            raise nests.too_deep(argument) from None

    def first_tensor(self, leaves: list[Any]) -> Tensor | None:
        """Find the first leaf that is a tensor of the backend already."""
        kind = self.backend.tensor_type
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
        return None

    def convert(self, argument: str, nest: Nest) -> Nest:
        """Return the nest of one argument with tensors for leaves."""
        if only(self.backend.tensor_type, nest.leaves):
            try:
                return nest._replace(leaves=list(map(self.backend.convert, nest.leaves)))
            except TypeError:
                pass  # Which leaf it is, and what it is called, is found out below.
        where = partial(leaf_name, self.backend, argument, nest.structure)
        leaves = [self.tensor(leaf, partial(where, p)) for p, leaf in enumerate(nest.leaves)]
        return nest._replace(leaves=leaves)

    def tensor(self, value: Any, where: Callable[[], str]) -> Tensor:
        """Convert one value; `where` names it should that fail."""
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
                f"{where()}: expected a {self.choice.name} tensor (the backend was chosen by "
                f"{self.choice.reason}), got {kind_of(value)}"
            )
        cause: Exception | None = None
        try:
            tensor = backend.convert(_neutral(backend, value), self.like)
            if backend.dtype_name(tensor).startswith(NUMBER_KINDS):
                return tensor
            reason = f"it holds {backend.dtype_name(tensor)}"
        except Exception as error:
            cause, reason = error, summary(error)
        raise TypeError(
            f"{where()}: expected a tensor, got {kind_of(value)}, which cannot be made "
            f"one of {self.choice.name}: {reason}"
        ) from cause

    def _check_array(self, array: Any, where: Callable[[], str]) -> None:
        """Check that a value of NumPy is an array, and loses nothing where it is made a tensor."""
        if not is_array(array):
            raise TypeError(f"{where()}: expected a tensor, got {kind_of(array)}, which is none")
        reason = why_not_plain(array)
        if reason is not None:
            raise self._not_plain(array, where, reason)
        # Where a compiler traces arrays nothing is known of their dtypes.
        if self.backend.reads_arrays() and not holds_numbers(array):
            raise ValueError(f"{where()}: {not_numbers(array.dtype)}")

    def _check_convertible(self, value: Any, where: Callable[[], str]) -> None:
        """Check that a value of a type that no backend defines may be converted all the same.

        Numbers may, lists of them, and what follows a protocol of the framework. What offers
        its values to NumPy would be converted too, and lose its gradients in silence.
        """
        if isinstance(value, nests.NUMBER) or nests.is_number_list(value):
            return
        if is_symbolic(value) or not self.backend.converts(value):
            raise TypeError(f"{where()}: {of_no_backend(value)}")

    def _not_plain(self, value: Any, where: Callable[[], str], reason: str) -> Exception:
        """Return the error for a tensor of the backend that it does not compute with."""
        if registry.framework_of(type(value)) == NEUTRAL and not holds_numbers(value):
            return ValueError(f"{where()}: {not_numbers(value.dtype)}")
        return TypeError(f"{where()}: expected a plain tensor, got {kind_of(value)}: {reason}")

    def follow(self, value: Any, argument: str) -> Tensor:
        """Convert one value and bring it to the device of the inputs."""
        if isinstance(value, list):
            value = written_out(argument, value)
        return self.backend.convert(self.tensor(value, lambda: argument), self.like)


def only(kind: Any, values: Any) -> bool:
    """Return whether all values are of a type, or of one of some types."""
    # A plain loop: what each call does shows where steps are short, and this is done often.
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
    """Name one leaf of an argument by the expression that reaches it: ``inputs['a']``."""
    return argument + backend.nests.paths(structure)[position]


def written_out(argument: str, tree: Any) -> Any:
    """Replace the lists of numbers in one argument by the arrays that they spell."""
    try:
        return nests.written_out_to_arrays(tree)
    except ValueError as error:
        raise ValueError(f"{argument}: expected lists of equal length") from error


def _neutral(backend: Backend, value: Any) -> Any:
    """Return a list as an array, and an array in the byte order of this machine."""
    import numpy

    if isinstance(value, list):
        value = numpy.asarray(value)
    # Where a compiler traces arrays nothing is known of their dtypes.
    if isinstance(value, numpy.ndarray) and backend.reads_arrays() and not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    return value
