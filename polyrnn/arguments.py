"""The arguments of `polyrnn.rnn` as one record, so that they are typed out once."""

from typing import Any, NamedTuple


class Arguments(NamedTuple):
    """What was passed to `polyrnn.rnn`, which documents each argument."""

    step_function: Any
    inputs: Any
    initial_states: Any
    go_backwards: Any
    mask: Any
    constants: Any
    unroll: Any
    input_length: Any
    time_major: Any
    zero_output_for_mask: Any
    return_all_outputs: Any
    reset: Any = None
    reset_states: Any = None
    initial_output: Any = None
    truncate_every: Any = None
    checkpoint_every: Any = None

    def with_tensors(self) -> dict[str, Any]:
        """Return the arguments that may hold tensors, by name, in the order of choosing."""
        return {
            "inputs": self.inputs,
            "initial_states": self.initial_states,
            "constants": self.constants,
            "mask": self.mask,
            "input_length": self.input_length,
            "reset": self.reset,
            "reset_states": self.reset_states,
            "initial_output": self.initial_output,
        }
