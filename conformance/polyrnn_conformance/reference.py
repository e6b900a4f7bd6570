"""The reference implementation of `polyrnn.rnn` in plain NumPy, without any code of polyrnn.

With a mask, each sample is processed by itself, and the step function is not called at its
masked steps, so that the values of padding cannot affect the results. The code favours
clarity over speed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from polyrnn_conformance.trees import (
    children,
    filled,
    is_node,
    leaves_of,
    map_leaves,
    skeleton,
    with_children,
)

Step = Callable[[Any, list[Any]], tuple[Any, Any]]


def rnn(
    step_function: Step,
    inputs: Any,
    initial_states: Any,
    go_backwards: bool = False,
    mask: Any = None,
    constants: Any = None,
    unroll: bool = False,
    input_length: Any = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
    reset: Any = None,
    reset_states: Any = None,
    initial_output: Any = None,
    truncate_every: int | None = None,
    checkpoint_every: int | None = None,
) -> tuple[Any, Any, list[Any]]:
    """Compute what `polyrnn.rnn` has to return.

    `unroll`, `truncate_every` and `checkpoint_every` change nothing.

    Args:
        step_function: Takes and returns NumPy arrays.
        inputs: As for `polyrnn.rnn`, with NumPy arrays or lists of numbers as leaves.
        initial_states: As for `polyrnn.rnn`.
        go_backwards: As for `polyrnn.rnn`.
        mask: As for `polyrnn.rnn`.
        constants: As for `polyrnn.rnn`.
        unroll: As for `polyrnn.rnn`.
        input_length: As for `polyrnn.rnn`.
        time_major: As for `polyrnn.rnn`.
        zero_output_for_mask: As for `polyrnn.rnn`.
        return_all_outputs: As for `polyrnn.rnn`.
        reset: As for `polyrnn.rnn`.
        reset_states: As for `polyrnn.rnn`.
        initial_output: As for `polyrnn.rnn`.
        truncate_every: As for `polyrnn.rnn`.
        checkpoint_every: As for `polyrnn.rnn`.

    Returns:
        ``(last_output, outputs, new_states)`` of NumPy arrays.
    """
    inputs = _arrays(inputs)
    if time_major:
        inputs = map_leaves(lambda x: x.swapaxes(0, 1), inputs)
    batch, time = leaves_of(inputs)[0].shape[:2]
    walk = list(range(time))
    if go_backwards:
        walk.reverse()

    states = [_arrays(state) for state in _sequence(initial_states)]
    fixed = [_arrays(constant) for constant in _sequence(constants)]
    valid = _valid(mask, input_length, batch, time, time_major)
    begins = _valid(reset, None, batch, time, time_major)
    fresh = states
    if reset_states is not None:
        fresh = [_arrays(state) for state in _sequence(reset_states)]
    if valid is None:
        steps, states = _walk_batch(step_function, inputs, states, fixed, walk, begins, fresh)
    else:
        held = None if zero_output_for_mask or initial_output is None else _arrays(initial_output)
        steps, states = _walk_samples(
            step_function,
            inputs,
            states,
            fixed,
            walk,
            valid,
            zero_output_for_mask,
            begins,
            fresh,
            held,
        )

    last = steps[-1]
    kept = steps if return_all_outputs else steps[-1:]
    stacked = [
        np.stack(leaf, axis=0 if time_major or np.ndim(leaf[0]) == 0 else 1)
        for leaf in zip(*map(leaves_of, kept), strict=True)
    ]
    return last, filled(last, iter(stacked)), states


def _walk_batch(
    step_function: Step,
    inputs: Any,
    states: list[Any],
    constants: list[Any],
    walk: list[int],
    begins: list[list[bool]] | None,
    fresh: list[Any],
) -> tuple[list[Any], list[Any]]:
    """Loop without a mask, over all samples at once because states may lack a batch axis."""
    outputs = []
    for t in walk:
        if begins is not None:
            rows = [row[t] for row in begins]
            leaves = zip(leaves_of(states), leaves_of(fresh), strict=True)
            states = filled(states, iter([_begun(old, new, rows) for old, new in leaves]))
        x = map_leaves(lambda leaf: leaf[:, t], inputs)  # noqa: B023 - used at once
        output, new = _call(step_function, x, states + constants)
        states = _in_the_containers_of(states, new)
        outputs.append(output)
    return outputs, states


def _walk_samples(
    step_function: Step,
    inputs: Any,
    states: list[Any],
    constants: list[Any],
    walk: list[int],
    valid: list[list[bool]],
    zero_output_for_mask: bool,
    begins: list[list[bool]] | None,
    fresh: list[Any],
    initial_output: Any,
) -> tuple[list[Any], list[Any]]:
    """Loop over each sample by itself, and call the step at its valid steps only."""
    batch = len(valid)
    # One call with ones finds the nest, shapes and dtypes of the output.
    ones = map_leaves(lambda leaf: np.ones_like(leaf[:, 0]), inputs)
    with np.errstate(all="ignore"):
        container = _call(step_function, ones, states + constants)[0]
    zeros = [np.zeros(leaf.shape[1:], leaf.dtype) for leaf in leaves_of(container)]
    clock = _clock(step_function, inputs, states, constants, walk, valid)
    outputs_of: list[list[list[Any]]] = []
    states_of: list[list[Any]] = []
    for b in range(batch):
        own = [leaf if np.ndim(leaf) == 0 else leaf[b] for leaf in leaves_of(states)]
        held = zeros
        if initial_output is not None:
            held = [leaf[b] for leaf in leaves_of(initial_output)]
        outputs: list[list[Any]] = []
        for t, now in zip(walk, clock, strict=False):
            if begins is not None and begins[b][t]:
                own = [
                    old if np.ndim(leaf) == 0 else leaf[b]
                    for old, leaf in zip(own, leaves_of(fresh), strict=True)
                ]
                held = zeros
            if valid[b][t]:
                # The sample is repeated along the batch, whose size the step may depend on.
                x = map_leaves(lambda leaf: _rows(leaf[b, t], batch), inputs)  # noqa: B023
                rows = [
                    _rows(leaf, batch) if counter is None else counter
                    for leaf, counter in zip(own, now, strict=True)
                ]
                output, new = _call(step_function, x, filled(states, iter(rows)) + constants)
                new = leaves_of(_in_the_containers_of(states, new))
                own = [
                    leaf[b] if counter is None else leaf
                    for leaf, counter in zip(new, now, strict=True)
                ]
                held = [leaf[b] for leaf in leaves_of(output)]
                outputs.append(held)
            else:
                outputs.append(zeros if zero_output_for_mask else held)
        outputs_of.append(outputs)
        states_of.append(own)

    steps = [
        filled(container, iter([_stack(leaf) for leaf in zip(*samples, strict=True)]))
        for samples in zip(*outputs_of, strict=True)
    ]
    merged = [
        _stack(leaf) if counter is None else counter
        for leaf, counter in zip(zip(*states_of, strict=True), clock[-1], strict=True)
    ]
    return steps, filled(states, iter(merged))


def _begun(state: Any, fresh: Any, begins: list[bool]) -> Any:
    """Return a state in which the samples that begin anew have the fresh one."""
    if np.ndim(state) == 0:
        return state
    samples = zip(state, fresh, begins, strict=True)
    return _stack([new if begin else old for old, new, begin in samples])


def _call(step_function: Step, x: Any, states: list[Any]) -> tuple[Any, Any]:
    """Call the step with copies, so that it may write into its arguments."""
    x, states = map_leaves(np.array, x), map_leaves(np.array, states)
    output, new = step_function(x, states)
    return map_leaves(np.array, output), map_leaves(np.array, new)


def _clock(
    step_function: Step,
    inputs: Any,
    states: list[Any],
    constants: list[Any],
    walk: list[int],
    valid: list[list[bool]],
) -> list[list[Any]]:
    """Return the states of rank 0 before each step and after the last, `None` for the others.

    States of rank 0 advance at every step, masked or not, and do not depend on the samples.
    So the step is called with the first valid input and the initial state of each sample.
    """
    leaves = leaves_of(states)
    now = [leaf if np.ndim(leaf) == 0 else None for leaf in leaves]
    clock = [now]
    if all(counter is None for counter in now):
        return clock * (len(walk) + 1)
    firsts = [next((t for t in walk if row[t]), None) for row in valid]
    anyone = next((b for b, first in enumerate(firsts) if first is not None), None)
    places = [
        (b, first) if first is not None else (anyone, firsts[anyone] if anyone is not None else 0)
        for b, first in enumerate(firsts)
    ]

    def at_first(x: Any) -> Any:
        return _stack([x[b, t] if b is not None else np.ones_like(x[0, 0]) for b, t in places])

    x = map_leaves(at_first, inputs)
    samples = [b if source is None else source for b, (source, _) in enumerate(places)]
    for _ in walk:
        given = [
            leaf[samples] if counter is None else counter
            for leaf, counter in zip(leaves, now, strict=True)
        ]
        _, new = _call(step_function, x, filled(states, iter(given)) + constants)
        new = leaves_of(_in_the_containers_of(states, new))
        now = [None if counter is None else leaf for leaf, counter in zip(new, now, strict=True)]
        clock.append(now)
    return clock


def _valid(
    mask: Any, input_length: Any, batch: int, time: int, time_major: bool
) -> list[list[bool]] | None:
    """Return for each sample and step whether it is valid; `None` without mask and lengths."""
    if mask is not None:
        mask = np.asarray(mask)
        if time_major:
            mask = mask.swapaxes(0, 1)
        return [[bool(mask[b, t].reshape(()) != 0) for t in range(time)] for b in range(batch)]
    if input_length is not None:
        lengths = np.broadcast_to(np.asarray(input_length), (batch,))
        return [[t < int(lengths[b]) for t in range(time)] for b in range(batch)]
    return None


def _sequence(entries: Any) -> list[Any]:
    if entries is None:
        return []
    return list(entries) if isinstance(entries, list | tuple) else [entries]


def _in_the_containers_of(states: list[Any], new: Any) -> list[Any]:
    """Return new states, given as list, tuple or one bare state, in the containers of the old."""
    entries = list(new) if isinstance(new, list | tuple) else [new]
    if list(map(_loose, entries)) != list(map(_loose, states)):
        entries = [new]
    return [filled(old, iter(leaves_of(entry))) for old, entry in zip(states, entries, strict=True)]


def _loose(tree: Any) -> Any:
    """Return a description of a nest that is equal for a list, a tuple and a bare tensor."""
    if type(tree) in (list, tuple):
        below = [_loose(child) for child in tree]
        return "*" if below == ["*"] else below
    if type(tree) is dict:
        return {key: _loose(child) for key, child in tree.items()}
    return skeleton(tree)


def _arrays(tree: Any) -> Any:
    """Return a nest with numbers and lists of numbers converted to arrays."""
    if _is_written_out(tree):
        return np.asarray(tree)
    if is_node(tree):
        return with_children(tree, [_arrays(child) for child in children(tree)])
    return tree


def _is_written_out(tree: Any) -> bool:
    if isinstance(tree, list):
        return len(tree) > 0 and all(_is_written_out(entry) for entry in tree)
    return isinstance(tree, int | float | complex)


def _rows(sample: Any, batch: int) -> Any:
    return np.repeat(np.asarray(sample)[None], batch, axis=0)


def _stack(samples: Any) -> Any:
    return np.stack([np.asarray(sample) for sample in samples])
