"""The rules of what `polyrnn.rnn` means, which the rows of the table test."""

from typing import NamedTuple


class Rule(NamedTuple):
    """One rule of what `polyrnn.rnn` means.

    Args:
        topic: The group of rules that it belongs to.
        name: Its name in tables.
        meaning: The text of the rule.
    """

    topic: str
    name: str
    meaning: str


STRUCTURE = "Structure"
TIME = "Time"
MASKING = "Masking"
TENSORS = "Tensors and dtypes"
CHOOSING = "Choosing the backend"
BEYOND = "Beyond the interface"

RULES: dict[int, Rule] = {
    1: Rule(
        STRUCTURE,
        "inputs",
        "`inputs` is a tensor or any nest of tensors of rank 3 or more, which agree on batch and "
        "time. The step gets the same nest without the time axis.",
    ),
    2: Rule(
        STRUCTURE,
        "initial states",
        "A list or tuple is a sequence of states, possibly empty; anything else is one state. "
        "Each state may be a nest, and nests need not be alike.",
    ),
    3: Rule(
        STRUCTURE,
        "the step",
        "The step is called with the list of states and constants. It returns an output, of any "
        "nest and any rank, and the new states: a list, a tuple, or one bare state.",
    ),
    4: Rule(
        STRUCTURE,
        "containers",
        "New states come back as a list, each in the containers it came in; outputs have those of "
        "the step. `None` in a nest passes through.",
    ),
    5: Rule(
        STRUCTURE,
        "what a step may not change",
        "New states must have the number, nests, shapes and dtypes of the states that the step "
        "was given; otherwise a `ValueError` names the path of the leaf, what the step returned "
        "and what was expected. A list and a tuple, or `[h]` and `h`, are interchangeable; the "
        "results have the containers of the initial states.",
    ),
    6: Rule(
        TIME,
        "layout",
        "Outputs are `(batch, time, ...)`, with `time_major` `(time, batch, ...)`. With "
        "`return_all_outputs=False` there is one time step, the last output, and memory does not "
        "grow with time.",
    ),
    7: Rule(
        TIME,
        "direction",
        "With `go_backwards` the walk is from the last step to the first, and outputs come in the "
        "order of the walk. Mask and lengths stay with their time steps.",
    ),
    8: Rule(
        TIME,
        "number of steps",
        "The number of steps is the size of the time axis. A size of zero is a `ValueError`.",
    ),
    9: Rule(
        TIME,
        "unrolling",
        "`unroll` changes how the loop runs and never what it returns. It needs a time axis of "
        "static length.",
    ),
    10: Rule(
        TIME,
        "calls of the step",
        "In eager mode the step is called exactly once for each time step. Where the framework "
        "traces the step, the number of traces does not depend on the number of time steps.",
    ),
    11: Rule(
        MASKING,
        "masks",
        "A mask is `(batch, time)` or `(batch, time, 1)`, of bool or numbers; what is not zero is "
        "true. Any other shape is a `ValueError`.",
    ),
    12: Rule(
        MASKING,
        "masked steps",
        "At a masked step the states stay, and the output is that of the step before, zeros where "
        "there was none, or always zeros with `zero_output_for_mask`.",
    ),
    13: Rule(
        MASKING,
        "what a mask needs",
        "A mask needs states, and states with the batch as their first axis; a state of rank 0, "
        "such as a counter, advances at masked steps too. Without a mask a state may have any "
        "shape.",
    ),
    14: Rule(
        MASKING,
        "padding",
        "The values of masked inputs, NaN and infinity included, affect neither results nor "
        "gradients, at any time step. At a masked step the step function is given a pair that "
        "occurs in the data: the first valid input of the sample and its initial state.",
    ),
    15: Rule(
        MASKING,
        "lengths",
        "`input_length` means the mask `time < input_length`, in both directions and unrolled, "
        "unless a mask is given too.",
    ),
    16: Rule(
        TENSORS,
        "neutral values",
        "NumPy arrays, numbers and lists of numbers are taken by every backend. A tensor of "
        "another framework is a `TypeError` that says what chose the backend.",
    ),
    17: Rule(
        TENSORS,
        "dtypes and devices",
        "The dtype that goes in comes out. Tensors stay on their device, and mask and lengths "
        "follow the inputs.",
    ),
    18: Rule(
        TENSORS,
        "values are not read",
        "No value is read out of a tensor, so that calls work on tracers and on symbolic and fake "
        "tensors.",
    ),
    19: Rule(
        TENSORS,
        "gradients",
        "Results can be differentiated with respect to inputs, initial states, constants and "
        "what the step closes over.",
    ),
    20: Rule(
        CHOOSING,
        "precedence",
        "The first of these that names a backend decides: the argument, `use_backend`, the "
        "environment variable at the time of the call, the tensors, numpy.",
    ),
    21: Rule(
        CHOOSING,
        "imports",
        "Importing polyrnn imports no framework, and choosing one imports only that one. A "
        "backend that is unknown, not installed or broken has an error of its own.",
    ),
    22: Rule(
        BEYOND,
        "resets",
        "Where `reset` is true a new sequence begins: before that step, masked or not, the states "
        "become `reset_states` or the initial ones, and the output that masked steps repeat "
        "becomes zeros. A state of rank 0 is not reset.",
    ),
    23: Rule(
        BEYOND,
        "initial output",
        "`initial_output` is what masked steps repeat before the first valid step. Chunks that are "
        "carried on by it and by the new states equal one walk.",
    ),
    24: Rule(
        BEYOND,
        "checkpoints",
        "With `checkpoint_every` the backward pass computes blocks of so many steps again instead "
        "of keeping them. Values and gradients are the same.",
    ),
    25: Rule(
        BEYOND,
        "truncated gradients",
        "With `truncate_every` gradients do not flow from one block of so many steps into the one "
        "before. Blocks count from the beginning of the walk. Values are the same.",
    ),
    28: Rule(
        TENSORS,
        "values that are not tensors",
        "A value that is not a tensor of an installed backend, a plain NumPy array, a number or "
        "a list of numbers is a `TypeError` that names the argument and the type. It is never "
        "silently converted to a tensor, which would lose its gradients.",
    ),
}
"""All rules, by number."""
