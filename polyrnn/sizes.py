"""The sizes of the time and batch axes, and comparisons of sizes that may not be static."""

from typing import Any, NamedTuple

from polyrnn.backend import Backend
from polyrnn.nests import Nest


class Sizes(NamedTuple):
    """The sizes of the time and batch axes of a call.

    Args:
        time: The number of time steps; `None` or a symbolic dimension if it is not static.
        batch: The number of samples; likewise.
        time_major: Whether time is the first axis of the inputs and outputs of the call.
    """

    time: Any
    batch: Any
    time_major: bool

    @classmethod
    def of(cls, backend: Backend, inputs: Nest, time_major: bool) -> "Sizes":
        """Return the sizes of the inputs, and check that all leaves agree on them.

        Raises:
            ValueError: If a leaf has a rank below 3, if leaves disagree, or if there are no steps.
        """
        xs, structure = inputs.leaves, inputs.structure
        axes = "(time, batch, ...)" if time_major else "(batch, time, ...)"
        sizes: list[Any] = [None, None]
        said_by = [0, 0]
        for position, x in enumerate(xs):
            shape = backend.shape(x)
            if shape is None or len(shape) < 3:
                given = "unknown rank" if shape is None else f"shape {shape}"
                raise ValueError(
                    f"inputs{backend.nests.paths(structure)[position]}: expected {axes} with "
                    f"rank 3 or more, got {given}"
                )
            for axis in (0, 1):
                if not sizes_agree(sizes[axis], shape[axis]):
                    called = "time" if (axis == 0) == time_major else "batch"
                    paths = backend.nests.paths(structure)
                    raise ValueError(
                        f"inputs{paths[position]}: expected {called} {sizes[axis]} as in "
                        f"inputs{paths[said_by[axis]]}, got {shape[axis]} in shape {shape}"
                    )
                if sizes[axis] is None and shape[axis] is not None:
                    sizes[axis], said_by[axis] = shape[axis], position
        time, batch = sizes if time_major else reversed(sizes)
        if isinstance(time, int) and time == 0:
            raise ValueError(
                f"inputs: expected {axes} with at least one time step, got shape "
                f"{backend.shape(xs[0])}"
            )
        return cls(time, batch, time_major)

    def shape(self) -> tuple[Any, Any]:
        """Return the two sizes in the order of the axes of the inputs."""
        return (self.time, self.batch) if self.time_major else (self.batch, self.time)


def sizes_agree(one: Any, other: Any) -> bool:
    """Return whether two sizes may be equal; a size that is not an integer matches any size."""
    return not (isinstance(one, int) and isinstance(other, int)) or one == other


def shapes_agree(one: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> bool:
    """Return whether two shapes may be equal; `None`, an unknown rank, may equal any shape."""
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(map(sizes_agree, one, other))


def same_size(length: Any, time: Any) -> bool:
    """Return whether a length is the size of the time axis, without reading tensor values."""
    import numpy

    if isinstance(length, int | numpy.integer) and not isinstance(length, bool):
        return isinstance(time, int) and int(length) == time
    # A symbolic size equals only sizes of the same type, which is particular to the framework.
    return time is not None and type(length) is type(time) and bool(length == time)
