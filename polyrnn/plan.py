"""The arguments of a call, normalized once into a plan; every error about them is raised here."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from polyrnn import nests, registry
from polyrnn.backend import Backend, Tensor
from polyrnn.selection import NEUTRAL, Choice

NUMBER_KINDS = ("bool", "int", "uint", "float", "bfloat", "complex")


class Plan(NamedTuple):
    """A call without anything left to decide: tensors of one backend, time before batch."""

    backend: Backend
    to_tensor: Callable[[Any, Callable[[], str]], Tensor]
    step_function: Callable[..., Any]
    inputs: list[Tensor]
    inputs_structure: Any
    states: list[Tensor]
    states_structure: Any
    constants: list[Any]
    mask: Tensor | None
    reverse: bool
    unroll: bool
    time_major: bool
    zero_output_for_mask: bool
    return_all_outputs: bool


def make_plan(
    choice: Choice,
    *,
    step_function: Any,
    inputs: Any,
    initial_states: Any,
    go_backwards: Any,
    mask: Any,
    constants: Any,
    unroll: Any,
    input_length: Any,
    time_major: Any,
    zero_output_for_mask: Any,
    return_all_outputs: Any,
) -> Plan:
    """Check and normalize the arguments of `polyrnn.rnn`; it documents what each may be."""
    if not callable(step_function):
        raise TypeError(f"step_function: expected a callable, got {_kind(step_function)}")
    time_major = _flag("time_major", time_major)
    unroll = _flag("unroll", unroll)

    backend = choice.backend
    reader = _Reader(choice)
    input_leaves, inputs_structure = reader.read("inputs", inputs)
    if not input_leaves:
        raise ValueError("inputs: expected at least one tensor, got an empty nest")
    state_leaves, states_structure = reader.read_entries("initial_states", initial_states)
    constant_leaves, constants_structure = reader.read_entries("constants", constants)

    reader.like = next(
        (
            leaf
            for leaf in (*input_leaves, *state_leaves, *constant_leaves)
            if isinstance(leaf, backend.tensor_type)
        ),
        None,
    )
    xs = reader.convert("inputs", input_leaves, inputs_structure)
    sizes = _Sizes.of(backend, xs, inputs_structure, time_major)
    if not time_major:
        xs = [backend.transpose(x) for x in xs]
    if unroll and not isinstance(sizes.time, int):
        raise ValueError(
            "unroll: expected a time axis of static length to unroll, "
            f"got inputs of {sizes.time or 'unknown'} time steps"
        )
    # From here on everything follows the device of the inputs.
    reader.like = xs[0]
    states = reader.convert("initial_states", state_leaves, states_structure)
    constant_tensors = reader.convert("constants", constant_leaves, constants_structure)

    time_mask = None
    if mask is not None:
        time_mask = _read_mask(reader, mask, sizes)
    elif input_length is not None:
        time_mask = _read_lengths(reader, input_length, sizes, xs[0])
    if time_mask is not None:
        named = "mask" if mask is not None else "input_length"
        _check_masked_states(backend, named, states, states_structure, sizes)
        xs = [_without_padding(backend, time_mask, x) for x in xs]

    return Plan(
        backend=backend,
        to_tensor=reader.tensor,
        step_function=step_function,
        inputs=xs,
        inputs_structure=inputs_structure,
        states=states,
        states_structure=states_structure,
        constants=backend.unflatten(constants_structure, constant_tensors),
        mask=time_mask,
        reverse=_flag("go_backwards", go_backwards),
        unroll=unroll,
        time_major=time_major,
        zero_output_for_mask=_flag("zero_output_for_mask", zero_output_for_mask),
        return_all_outputs=_flag("return_all_outputs", return_all_outputs),
    )


class _Reader:
    """Turns what was passed into tensors of the chosen backend, and refuses what is not one."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.backend = choice.backend
        self.like: Tensor | None = None

    def read(self, argument: str, tree: Any) -> tuple[list[Any], Any]:
        """Take apart a nest, in which a list of numbers is a tensor written out."""
        leaves, structure = self.backend.flatten(tree)
        if any(nests.is_number(leaf) for leaf in leaves):
            return self.backend.flatten(_written_out(argument, tree))
        return leaves, structure

    def read_entries(self, argument: str, entries: Any) -> tuple[list[Any], Any]:
        """Take apart a sequence of nests; what is no list or tuple is the only entry of one."""
        if entries is None:
            entries = []
        elif not isinstance(entries, list | tuple):
            entries = [entries]
        leaves, structure = self.backend.flatten(list(entries))
        if any(nests.is_number(leaf) for leaf in leaves):
            return self.backend.flatten([_written_out(argument, entry) for entry in entries])
        return leaves, structure

    def convert(self, argument: str, leaves: list[Any], structure: Any) -> list[Tensor]:
        kind = self.backend.tensor_type
        where = partial(leaf_name, self.backend, argument, structure)
        return [
            leaf if isinstance(leaf, kind) else self.tensor(leaf, partial(where, position))
            for position, leaf in enumerate(leaves)
        ]

    def tensor(self, value: Any, where: Callable[[], str]) -> Tensor:
        """Convert one value; `where` names it should that fail."""
        if isinstance(value, self.backend.tensor_type):
            return value
        framework = registry.installed().framework_of(type(value))
        if framework not in (None, NEUTRAL, self.choice.name):
            raise TypeError(
                f"{where()}: expected a tensor of {self.choice.name}, which "
                f"{self.choice.reason} chose as the backend; got one of {framework} "
                f"({_kind(value)})"
            )
        try:
            if framework == NEUTRAL or nests.is_number(value) or isinstance(value, list):
                value = _array_of_numbers(value)
            return self.backend.convert(value, self.like)
        except Exception as error:
            raise TypeError(
                f"{where()}: expected a tensor, got {_kind(value)}, which cannot be made "
                f"one of {self.choice.name}: {error}"
            ) from error

    def follow(self, value: Any, argument: str) -> Tensor:
        """Convert one value and bring it to the device of the inputs."""
        return self.backend.convert(self.tensor(value, lambda: argument), self.like)


class _Sizes(NamedTuple):
    """The lengths of the time and batch axes; `None` or symbolic where they are not static."""

    time: Any
    batch: Any
    time_major: bool

    @classmethod
    def of(cls, backend: Backend, xs: list[Tensor], structure: Any, time_major: bool) -> "_Sizes":
        axes = "(time, batch, ...)" if time_major else "(batch, time, ...)"
        sizes: list[Any] = [None, None]
        first: list[str] = ["", ""]
        for position, x in enumerate(xs):
            shape = backend.shape(x)
            if shape is None or len(shape) < 3:
                given = "unknown rank" if shape is None else f"shape {shape}"
                raise ValueError(
                    f"inputs{backend.paths(structure)[position]}: expected {axes} with "
                    f"rank 3 or more, got {given}"
                )
            for axis in (0, 1):
                if not sizes_agree(sizes[axis], shape[axis]):
                    called = "time" if (axis == 0) == time_major else "batch"
                    paths = backend.paths(structure)
                    raise ValueError(
                        f"inputs{paths[position]}: expected {called} {sizes[axis]} as in "
                        f"inputs{first[axis]}, got {shape[axis]} in shape {shape}"
                    )
                if sizes[axis] is None and shape[axis] is not None:
                    sizes[axis], first[axis] = shape[axis], backend.paths(structure)[position]
        time, batch = sizes if time_major else reversed(sizes)
        if isinstance(time, int) and time == 0:
            raise ValueError(f"inputs: expected {axes} with at least one time step, got none")
        return cls(time, batch, time_major)

    def shape(self) -> tuple[Any, Any]:
        return (self.time, self.batch) if self.time_major else (self.batch, self.time)


def _read_mask(reader: _Reader, mask: Any, sizes: _Sizes) -> Tensor:
    backend = reader.backend
    mask = reader.follow(mask, "mask")
    name = backend.dtype_name(mask)
    if not name.startswith(NUMBER_KINDS):
        raise ValueError(f"mask: expected bool or numbers, got dtype {name}")
    shape = backend.shape(mask)
    expected = sizes.shape()
    if (
        shape is None
        or len(shape) not in (2, 3)
        or not all(map(sizes_agree, shape, (*expected, 1)))
    ):
        given = "unknown rank" if shape is None else f"{shape}"
        raise ValueError(
            f"mask: expected shape {expected} or {(*expected, 1)} for inputs whose first two "
            f"axes are {expected}, got {given}"
        )
    if len(shape) == 3:
        mask = mask[..., 0]
    mask = backend.nonzero(mask)
    return mask if sizes.time_major else backend.transpose(mask)


def _read_lengths(reader: _Reader, lengths: Any, sizes: _Sizes, x: Tensor) -> Tensor | None:
    backend = reader.backend
    if _same_size(lengths, sizes.time):
        # An integer that says what the time axis says masks nothing.
        return None
    host = _host_integers(lengths)
    if host is not None:
        lengths = host
        _check_host_lengths(host, sizes)
    lengths = reader.follow(lengths, "input_length")
    name = backend.dtype_name(lengths)
    if not name.startswith(("int", "uint")):
        raise ValueError(f"input_length: expected integers, got dtype {name}")
    shape = backend.shape(lengths)
    if shape is None or len(shape) > 1 or not all(map(sizes_agree, shape, (sizes.batch,))):
        given = "unknown rank" if shape is None else f"{shape}"
        raise ValueError(
            f"input_length: expected an integer or shape ({sizes.batch},), got shape {given}"
        )
    return backend.length_mask(lengths, x)


def _host_integers(lengths: Any) -> Any:
    """Give lengths that are known on the host as an array; `None` where they are not."""
    import numpy

    if isinstance(lengths, numpy.ndarray | numpy.generic | int | float | complex | list):
        try:
            return numpy.asarray(lengths)
        except ValueError as error:
            raise ValueError(f"input_length: expected integers, got {lengths!r}") from error
    return None


def _check_host_lengths(lengths: Any, sizes: _Sizes) -> None:
    if lengths.dtype.kind not in "iu" or lengths.ndim > 1:
        return  # what is no integer, and what has another shape, is refused for that
    least = 1 if lengths.ndim == 0 else 0
    most = sizes.time if isinstance(sizes.time, int) else None
    for position, length in enumerate(lengths.reshape(-1).tolist()):
        if length < least or (most is not None and length > most):
            where = f"input_length[{position}]" if lengths.ndim else "input_length"
            raise ValueError(
                f"{where}: expected {least} to {most if most is not None else 'time'}, got {length}"
            )


def _check_masked_states(
    backend: Backend, named: str, states: list[Tensor], structure: Any, sizes: _Sizes
) -> None:
    if not backend.unflatten(structure, states):
        raise ValueError(f"{named}: expected initial_states to hold still when masked, got none")
    for position, state in enumerate(states):
        shape = backend.shape(state)
        if shape is not None and (not shape or not sizes_agree(shape[0], sizes.batch)):
            raise ValueError(
                f"initial_states{backend.paths(structure)[position]}: expected the batch "
                f"({sizes.batch}) as the first axis, for {named} is given; got shape {shape}"
            )


def _without_padding(backend: Backend, mask: Tensor, x: Tensor) -> Tensor:
    """Give masked entries a valid input, so that whatever they held reaches no gradient.

    Each sample is filled with its own first valid step, a sample without one with
    that of another sample, and where nothing is valid floats become ones and
    integers zeros. Selecting among the results of the step would clean the values
    only: a zero gradient times the infinite slope of what was not selected is NaN.
    """
    if backend.shape(mask)[1] == 0:  # type: ignore[index]  # the rank is known: it was checked
        return x
    first = backend.first_true(mask)
    sample, valid = backend.take(x, first), backend.take(mask, first)
    first = backend.first_true(valid[:, None])
    other, any_valid = backend.take(sample[:, None], first), backend.take(valid[:, None], first)
    nothing = backend.select(any_valid & ~any_valid, other, None)
    if backend.dtype_name(x).startswith(("float", "bfloat", "complex")):
        nothing = nothing + 1
    other = backend.select(any_valid, other, nothing)
    return backend.select(mask, x, backend.select(valid, sample, other))


def leaf_name(backend: Backend, argument: str, structure: Any, position: int) -> str:
    """Name one leaf of an argument by the expression that reaches it: ``inputs['a']``."""
    return argument + backend.paths(structure)[position]


def _written_out(argument: str, tree: Any) -> Any:
    try:
        return nests.written_out_to_arrays(tree)
    except ValueError as error:
        raise ValueError(f"{argument}: expected lists of equal length: {error}") from error


def _flag(name: str, value: Any) -> bool:
    if value is True or value is False:
        return value
    if type(value).__name__ in ("bool", "bool_") and type(value).__module__ == "numpy":
        return bool(value)
    raise TypeError(f"{name}: expected True or False, got {_kind(value)}")


def sizes_agree(one: Any, other: Any) -> bool:
    """Tell whether two sizes may be equal: those that are not plain integers may."""
    return not (isinstance(one, int) and isinstance(other, int)) or one == other


def _same_size(length: Any, time: Any) -> bool:
    """Tell whether a length is the size of the time axis, reading no value out of a tensor."""
    import numpy

    if isinstance(length, int | numpy.integer) and not isinstance(length, bool):
        return isinstance(time, int) and int(length) == time
    # Sizes that are symbolic have a type of their own in each framework that has them.
    return time is not None and type(length) is type(time) and bool(length == time)


def _array_of_numbers(value: Any) -> Any:
    import numpy

    array = numpy.asarray(value)
    if array.dtype.kind in "OSUMm":
        raise TypeError(f"dtype {array.dtype} does not hold numbers")
    return array


def _kind(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
