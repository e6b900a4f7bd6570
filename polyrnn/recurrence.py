"""`rnn`: checks and plans a call, lets the backend loop over it, and returns the results."""

from collections.abc import Callable
from functools import partial
from typing import Any

from polyrnn.arguments import Arguments
from polyrnn.backend import Backend, Tensor
from polyrnn.marks import left_alone
from polyrnn.plan import Plan, make_plan
from polyrnn.selection import choose
from polyrnn.step_results import StepResults
from polyrnn.stepping import loop_inputs, make_body
from polyrnn.writing import watching_constants


@left_alone
def rnn(
    step_function: Callable[[Any, list[Any]], tuple[Any, Any]],
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
    *,
    backend: str | Backend | None = None,
    reset: Any = None,
    reset_states: Any = None,
    initial_output: Any = None,
    truncate_every: int | None = None,
    checkpoint_every: int | None = None,
) -> tuple[Any, Any, list[Any]]:
    """Walk a step function over the time axis of a tensor or a nest of tensors.

    With ``x[t]`` for the inputs of one time step, a walk means this::

        states, held = initial_states, initial_output or zeros
        for i, t in enumerate(walk):  # t from 0 to T-1, or T-1 to 0 with go_backwards
            if truncate_every and i > 0 and i % truncate_every == 0:
                states, held = detach(states), detach(held)
            if reset is not None:
                states = where(reset[t], reset_states or initial_states, states)
                held = where(reset[t], zeros, held)
            output, new = step_function(x[t], states + constants)
            if masking:
                output = where(mask[t], output, zeros if zero_output_for_mask else held)
                new = where(mask[t], new, states)
                held = output
            states = new
            outputs.append(output)
        last_output = output

    and in addition padding is harmless: what stands in masked inputs, NaN and
    infinity included, reaches neither values nor gradients. Where a sample is masked the
    step is given a pair that occurs in the data, namely the first valid input of that
    sample, in the order of the walk, and the state that it meets, which is the initial state
    or the reset state; a sample without a valid step is given the pair of another sample.

    Args:
        step_function: Called as ``step_function(x, states)``, where `x` has the nest of
            `inputs` with leaves ``(batch, ...)``, and `states` is the list of states
            followed by the constants. Returns ``(output, new_states)``. The output is any
            nest of tensors of any rank. The new states are a list or tuple, or the bare
            state where there is one; each has the nest, shapes and dtypes it was given,
            except that a list and a tuple, or ``[h]`` and ``h``, count as each other.
            The step must make new tensors: where it writes into its states or constants,
            the call is refused wherever the result would not be right.
            Where the framework is eager the step is called once for each time step.
            Where it traces, the number of traces does not depend on the number of time
            steps unless `unroll` is set; each backend's page states it.
        inputs: A tensor, or any nest of tensors, of shape ``(batch, time, ...)`` and
            rank 3 or more, of any dtype. NumPy arrays, numbers and lists of numbers
            count as tensors of every backend, here and in all arguments below. A number
            gets the default dtype of the framework, a list the one that NumPy gives it.
        initial_states: A list or tuple of states, possibly empty; anything else is one
            state. A state is a tensor or any nest of tensors, of any dtype. With a mask,
            each leaf has the batch as its first axis; but a leaf of rank 0, such as a
            counter or a JAX key, belongs to the walk and advances at masked steps too.
        go_backwards: Walk from the last time step to the first. The outputs come in the
            order of the walk; mask and lengths stay with their time steps.
        mask: ``(batch, time)`` or ``(batch, time, 1)``, bool or any number type; where it
            is zero the states stay, and the output is that of the step before.
        constants: A list or tuple of tensors or nests, handed to every step after the
            states; anything else but `None` is one constant.
        unroll: Walk in plain Python even where the framework would trace one step. The
            results are the same. Needs a time axis of static length.
        input_length: The number of time steps that count: an integer from 1 to time,
            or integers of shape ``(batch,)``. Means the mask ``time < input_length``,
            and is used where `mask` is `None`.
        time_major: Inputs, mask and outputs have time as the first axis and batch as
            the second; saves the transposes.
        zero_output_for_mask: The output of a masked step is zeros.
        return_all_outputs: `False` keeps only the last output; memory then does not
            grow with the number of time steps.
        backend: The name of a backend, or a `Backend`; by default what `use_backend`,
            the environment variable ``POLYRNN_BACKEND`` or the tensors choose.
        reset: Where a new sequence begins, in the shapes, dtypes and layout of `mask`. Before
            such a step, masked or not, the states become `reset_states` and the output that
            masked steps repeat becomes zeros. A reset stays with its time step when the walk
            goes backwards. No gradient flows across it. Each state leaf needs the batch as its
            first axis; one of rank 0 belongs to the walk and is not reset.
        reset_states: The states with which new sequences begin, in the nest, shapes and dtypes
            of `initial_states`, which are the default.
        initial_output: What masked steps repeat before the first valid step, in the nest,
            shapes and dtypes of the step's output; by default zeros. A long sequence can be
            walked in chunks that are carried on by `new_states` and `last_output`; the results
            then equal those of one walk.
        truncate_every: Let gradients flow back through at most this many steps: the states
            are detached before every step whose number, counted from the beginning of the walk,
            is a multiple of it. The values are the same. An integer from 1; needs a time axis of
            static length.
        checkpoint_every: Save memory in training: of each block of this many steps, the backward
            pass keeps the states at its beginning and calls the step again for the rest. Values
            and gradients are the same, and so are random numbers, or the call is refused. A number
            near the square root of the number of time steps takes the least memory. An integer
            from 1; needs a time axis of static length. It changes nothing where no gradients are
            computed, or where the backend does not support it.

    Returns:
        ``(last_output, outputs, new_states)``. `last_output` is the last output of the
        walk, in the nest of the step's output. `outputs` has the same nest with leaves
        ``(batch, time, ...)``, where time is 1 with ``return_all_outputs=False``. An output
        leaf of rank 0 has no batch, and is stacked to ``(time,)``. `new_states` is the list
        of states after the walk, each in its own nest. Where a framework has tensors that
        can be written into, no two results share memory, nor do results and arguments.

    Raises:
        ValueError: If a shape or dtype is not as described, naming the argument and the
            path of the leaf; if a nest contains itself or has more than 128 levels; if a mask
            is given without states; if `unroll` is set and the
            number of time steps is not static; if the step returns another number of
            states, another nest, shape or dtype than it was given, or writes into them.
        TypeError: If an argument is of a wrong type; if a tensor belongs to another framework
            than the backend, or to one that no installed backend knows; if it is no plain
            tensor, such as a masked array of NumPy, a packed sequence or a sparse tensor. The
            error says what to pass instead.
        UnknownBackendError: If the backend is not known.
        BackendNotInstalledError: If its framework is not installed.
        BackendBrokenError: If its framework cannot be imported.

    The interface is that of ``tf.keras.backend.rnn``. The meaning departs from it where
    it contradicts itself, which the conformance suite lists case by case.

    Example:
        >>> import numpy as np
        >>> import polyrnn
        >>> def running_sum(x, states):
        ...     total = states[0] + x
        ...     return total, [total]
        >>> last, outputs, states = polyrnn.rnn(
        ...     running_sum,
        ...     np.array([[[1.0], [2.0], [3.0]]]),
        ...     [np.zeros((1, 1))],
        ...     mask=np.array([[True, True, False]]),
        ... )
        >>> outputs[0, :, 0].tolist()
        [1.0, 3.0, 3.0]
    """
    arguments = Arguments(
        step_function,
        inputs,
        initial_states,
        go_backwards,
        mask,
        constants,
        unroll,
        input_length,
        time_major,
        zero_output_for_mask,
        return_all_outputs,
        reset,
        reset_states,
        initial_output,
        truncate_every,
        checkpoint_every,
    )
    choice = choose(backend, arguments.with_tensors())
    return _walk(make_plan(choice, arguments))


def _walk(plan: Plan) -> tuple[Any, Any, list[Any]]:
    backend, unflatten = plan.backend, plan.backend.nests.unflatten
    copy = plan.sharing.copy
    results = StepResults(plan)
    check_constants = watching_constants(plan)
    loop = backend.loop if plan.blocks is None else partial(plan.blocks.loop, backend)
    carry, stacked = loop(
        make_body(plan, results),
        (plan.states.leaves, _initially_held(plan)),
        loop_inputs(plan),
        reverse=plan.reverse,
        unroll=plan.unroll,
    )
    check_constants()
    leaves, carried = carry
    assert leaves is not None
    # The step may still hold the tensors that it returned, or they may be views of its inputs.
    states = list(map(copy, leaves))
    if not plan.states.is_plain:
        states = unflatten(plan.states.structure, states)
    last, outputs = _outputs(plan, carried or [], stacked)
    if results.is_plain_output:
        return last[0], outputs[0], states
    structure = results.output_structure
    return unflatten(structure, last), unflatten(structure, outputs), states


def _initially_held(plan: Plan) -> list[Tensor] | None:
    """Return what masked steps repeat before the first valid one; `None` stands for zeros."""
    masking = plan.masking
    if masking is None or masking.zeroes_output or plan.initial_output is None:
        return None
    return plan.initial_output.leaves


def _outputs(
    plan: Plan, carried: list[Tensor], stacked: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the leaves of the last output and of the outputs, in the layout of the inputs."""
    backend, copy = plan.backend, plan.sharing.copy
    if plan.masking is not None:
        stacked, carried = plan.masking.finish(stacked, carried)
    if plan.all_outputs:
        outputs = stacked
        last = [copy(output[-1, ...]) for output in stacked]
    else:
        last = list(map(copy, carried))
        outputs = [copy(output)[None, ...] for output in carried]
    if not plan.time_major:
        outputs = [_batch_major(backend, output) for output in outputs]
    return last, outputs


def _batch_major(backend: Backend, output: Tensor) -> Tensor:
    shape = backend.shape(output)
    # An output of rank 0 has no batch to bring to the front.
    return output if shape is not None and len(shape) < 2 else backend.transpose(output)
