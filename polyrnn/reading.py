"""Turns what is passed into tensors of the chosen backend, and refuses what is not one."""

from collections.abc import Callable
from functools import partial
from operator import is_
from typing import Any

from polyrnn import nests, registry
from polyrnn.backend import Backend, Tensor
from polyrnn.nests import Nest
from polyrnn.selection import NEUTRAL, Choice

NUMBER_KINDS = ("bool", "int", "uint", "float", "bfloat", "complex")
"""How the names of those dtypes begin that hold numbers."""


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
        flatten = self.backend.nests.flatten
        leaves, structure = flatten(tree)
        if _any_number(leaves):
            tree = written_out(argument, tree)
            leaves, structure = flatten(tree)
        return Nest(leaves, structure, len(leaves) == 1 and leaves[0] is tree)

    def read_entries(self, argument: str, entries: Any) -> Nest:
        """Return a list of nests taken apart; what is no list or tuple is its only entry.

        Args:
            argument: What the sequence was passed as.
            entries: The sequence; `None` is an empty one.
        """
        flatten = self.backend.nests.flatten
        if entries is None:
            entries = []
        else:
            entries = list(entries) if isinstance(entries, (list, tuple)) else [entries]
        leaves, structure = flatten(entries)
        if _any_number(leaves):
            entries = [written_out(argument, entry) for entry in entries]
            leaves, structure = flatten(entries)
        is_plain = len(leaves) == len(entries) and all(map(is_, leaves, entries))
        return Nest(leaves, structure, is_plain)

    def first_tensor(self, leaves: list[Any]) -> Tensor | None:
        """Find the first leaf that is a tensor of the backend already."""
        kind = self.backend.tensor_type
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
        return None

    def convert(self, argument: str, nest: Nest) -> Nest:
        """Return the nest of one argument with tensors for leaves."""
        where = partial(leaf_name, self.backend, argument, nest.structure)
        leaves = [self.tensor(leaf, partial(where, p)) for p, leaf in enumerate(nest.leaves)]
        return nest._replace(leaves=leaves)

    def tensor(self, value: Any, where: Callable[[], str]) -> Tensor:
        """Convert one value; `where` names it should that fail."""
        if isinstance(value, self.backend.tensor_type):
            return _neutral(self.backend, value)
        framework = registry.framework_of(type(value))
        if framework not in (None, NEUTRAL, self.choice.name):
            raise TypeError(
                f"{where()}: expected a tensor of {self.choice.name}, which "
                f"{self.choice.reason} chose as the backend; got one of {framework} "
                f"({kind_of(value)})"
            )
        cause: Exception | None = None
        try:
            tensor = self.backend.convert(_neutral(self.backend, value), self.like)
            if self.backend.dtype_name(tensor).startswith(NUMBER_KINDS):
                return tensor
        except Exception as error:
            cause = error
        # What the framework says of its failure is the cause; the text is the same for all.
        # Only now is NumPy asked for the dtype: torch.compile cannot trace the question.
        dtype = str(getattr(value, "dtype", "")) if framework == NEUTRAL else ""
        if dtype and not dtype.startswith(NUMBER_KINDS):
            raise ValueError(f"{where()}: expected bool or numbers, got dtype {dtype}") from cause
        raise TypeError(
            f"{where()}: expected a tensor, got {kind_of(value)}, which cannot be made "
            f"one of {self.choice.name}"
        ) from cause

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


def kind_of(value: Any) -> str:
    """Name the type of a value for an error."""
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


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
