"""Reads what a step function returns, and checks that it stays what it was."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from polyrnn import nests
from polyrnn.backend import Backend, Tensor
from polyrnn.masking import check_masked_output
from polyrnn.nests import Nest
from polyrnn.plan import Plan
from polyrnn.reading import check_like, leaf_name, only
from polyrnn.sizes import shapes_agree

# A tuple, because the union of two types would be made anew at each step.
SEQUENCE = (tuple, list)

Results: TypeAlias = tuple[list[Tensor], list[Tensor]]
"""The leaves of an output, and those of the new states."""


class _OutputLeaf(NamedTuple):
    """What a leaf of the output must be at every step, remembered without the tensor."""

    dtype: Any
    shape: Any
    static_shape: tuple[Any, ...] | None


class StepResults:
    """Reads what the step function of a plan returns, as flat lists of tensors.

    Args:
        plan: The plan of the call.

    Attributes:
        output_structure: The structure of the output; `None` before the first step.
        is_plain_output: Whether the output is a tensor, no container.
        keys: Where the output and all states are tensors, not containers: after the first step
            the key of the output, the list of the keys of the states, and whether the first of
            these is that of the output. A later step whose results have the same keys need not
            be read.
    """

    def __init__(self, plan: Plan) -> None:
        self.output_structure: Any = None
        self.is_plain_output = False
        self.keys: list[Any] = []
        self._output_leaves: list[_OutputLeaf] = []
        # The types of tensors that were checked in full; others may not be what they seem.
        self._kinds: tuple[type, ...] = ()
        self._plan = plan
        self._backend = plan.backend
        self._flatten, self._unflatten = plan.backend.nests.flatten, plan.backend.nests.unflatten

    def read(self, result: Any) -> Results:
        """Flatten and check what the step function returned.

        Args:
            result: Whatever it is.

        Returns:
            The leaves of the output, and those of the new states.

        Raises:
            ValueError: If it is not what a step has to return, or not what it was before.
        """
        if not isinstance(result, SEQUENCE) or len(result) != 2:
            nests.check_levels("step_function", result)
            raise ValueError(
                "step_function: expected it to return (output, new_states), got "
                f"{_describe(self._backend, result)}"
            )
        output, new_states = result
        is_first = self.output_structure is None
        return self._read_output(output), self._read_states(new_states, is_first)

    def _read_states(self, new_states: Any, is_first: bool) -> list[Tensor]:
        plan = self._plan
        if (
            plan.states.is_plain
            and isinstance(new_states, SEQUENCE)
            and len(new_states) == len(plan.states.leaves)
            and only(self._backend.tensor_type, new_states)
        ):
            leaves = list(new_states)
        else:
            leaves = self._state_leaves(new_states)
        kinds = () if is_first and not self._are_tensors(leaves) else self._kinds
        return self._checked(leaves, plan.states.leaves, "state", plan.states.structure, kinds)

    def _are_tensors(self, leaves: list[Any]) -> bool:
        """Return whether all leaves are tensors to compute with, and remember their types if so."""
        backend = self._backend
        if not only(backend.tensor_type, leaves):
            return False
        try:
            for leaf in leaves:
                backend.convert(leaf)
        except TypeError:
            return False
        self._kinds += tuple(map(type, leaves))
        return True

    def _state_leaves(self, new_states: Any) -> list[Any]:
        """Return the leaves of new states whose containers differ from those that were given.

        Cells of real libraries return a list for a tuple, or ``[h]`` for ``h``, which the
        interface's own implementation takes.
        """
        backend, expected, states = self._backend, self._plan.states.structure, self._states()
        is_sequence = isinstance(new_states, SEQUENCE)
        # One state may come back bare; it may be a list or tuple itself.
        readings = [list(new_states)] if is_sequence else []
        if len(states) == 1 and not (is_sequence and self._plan.states.is_plain):
            readings.append([new_states])
        forms = [_form(backend, state) for state in states]
        for reading in readings:
            leaves, structure = nests.flatten_named("new_states", reading, self._flatten)
            if structure == expected:
                return leaves
            nests.check_levels("new_states", reading)
            given = self._unflatten(structure, leaves)
            if [_form(backend, state) for state in given] == forms:
                return leaves
        raise ValueError(self._wrong_states(readings, new_states))

    def _states(self) -> list[Any]:
        """Return the nests that were the initial states."""
        states: list[Any] = self._unflatten(self._plan.states.structure, self._plan.states.leaves)
        return states

    def _wrong_states(self, readings: list[list[Any]], new_states: Any) -> str:
        backend, states = self._backend, self._states()
        for reading in readings:
            if len(reading) == len(states):
                for position, (new, old) in enumerate(zip(reading, states, strict=True)):
                    if _form(backend, new) != _form(backend, old):
                        given, expected = _describe(backend, new), _describe(backend, old)
                        return f"state [{position}]: step returned {given} for {expected}"
        count = f"{len(states)} state{'' if len(states) == 1 else 's'}"
        return f"new_states: step returned {_describe(backend, new_states)} for {count}"

    def _read_output(self, output: Any) -> list[Tensor]:
        leaves, structure = nests.flatten_named("output", output, self._flatten)
        if self.output_structure is None:
            return self._read_first_output(output, leaves, structure)
        if structure != self.output_structure:
            nests.check_levels("output", output)
            stars = [nests.LEAF] * len(self._output_leaves)
            before = self._unflatten(self.output_structure, stars)
            raise ValueError(
                f"output: step returned {_describe(self._backend, output)} for {before!r}"
            )
        return self._checked(leaves, self._output_leaves, "output", structure, self._kinds)

    def _read_first_output(self, output: Any, leaves: list[Any], structure: Any) -> list[Tensor]:
        plan, backend = self._plan, self._backend
        nests.check_levels("output", output)
        if not self._are_tensors(leaves):
            leaves = [
                plan.to_tensor(leaf, partial(self._where, "output", structure, position))
                for position, leaf in enumerate(leaves)
            ]
        if plan.masking is not None:
            check_masked_output(plan.masking, leaves, structure)
        if plan.initial_output is not None:
            given = Nest(leaves, structure, is_plain=False)
            check_like(backend, "initial_output", plan.initial_output, given, "the step's output")
        self._output_leaves = [_OutputLeaf(x.dtype, x.shape, backend.shape(x)) for x in leaves]
        self.is_plain_output = len(leaves) == 1 and leaves[0] is output
        if self.is_plain_output and plan.states.is_plain:
            of_output = backend.tensor_key(output)
            of_states = list(map(backend.tensor_key, plan.states.leaves))
            self.keys += [of_output, of_states, of_output in of_states[:1]]
        self.output_structure = structure
        return leaves

    def _checked(
        self,
        leaves: list[Any],
        expected: Sequence[Any],
        called: str,
        structure: Any,
        kinds: tuple[type, ...],
    ) -> list[Tensor]:
        """Check dtypes and shapes; unknown sizes match any size.

        Tensors of other types than `kinds` are checked in full.
        """
        backend = self._backend
        for position in range(len(expected)):
            new: Any = leaves[position]
            old: Any = expected[position]
            if type(new) in kinds and new.dtype == old.dtype and new.shape == old.shape:
                continue
            new = self._plan.to_tensor(new, partial(self._where, called, structure, position))
            fits = shapes_agree(backend.shape(new), _static_shape(backend, old))
            if new.dtype != old.dtype or not fits:
                raise ValueError(
                    f"{self._where(called, structure, position)}: step returned "
                    f"{_spell(backend, new)} for {_spell(backend, old)}"
                )
            leaves[position] = new
        return leaves

    def _where(self, called: str, structure: Any, position: int) -> str:
        return leaf_name(self._backend, f"{called} ", structure, position).rstrip()


def _static_shape(backend: Backend, x: Tensor | _OutputLeaf) -> tuple[Any, ...] | None:
    return x.static_shape if isinstance(x, _OutputLeaf) else backend.shape(x)


def _spell(backend: Backend, x: Tensor | _OutputLeaf) -> str:
    shape = _static_shape(backend, x)
    return f"{backend.dtype_name(x)} {'of unknown rank' if shape is None else shape}"


def _form(backend: Backend, tree: Any) -> Any:
    """Return a form of a nest that is equal for nests whose containers count as each other.

    A list and a tuple do, and a list or tuple of one tensor and that tensor.
    """
    if type(tree) in SEQUENCE:
        children = [_form(backend, child) for child in tree]
        return nests.LEAF if children == [nests.LEAF] else children
    if type(tree) is dict:
        return {key: _form(backend, child) for key, child in tree.items()}
    leaves, structure = backend.nests.flatten(tree)
    # In a tuple, for structures of some frameworks cannot be compared with other objects.
    return nests.LEAF if len(leaves) == 1 and leaves[0] is tree else (structure,)


def _describe(backend: Backend, tree: Any) -> str:
    """Print a nest with a star for each tensor and the type of what is none."""
    leaves, structure = backend.nests.flatten(tree)
    stars = [nests.LEAF if isinstance(leaf, backend.tensor_type) else type(leaf) for leaf in leaves]
    return repr(backend.nests.unflatten(structure, stars))
