"""The rules of what `polyrnn.rnn` means, by the numbers that the rows of the table name."""

RULES = {
    1: "inputs are any nest of tensors",
    2: "initial states are a sequence of nests",
    3: "what the step gets and gives back",
    4: "the containers of the results",
    5: "a step that breaks its word is refused",
    6: "all outputs, or the last alone",
    7: "walking backwards",
    8: "how long the time axis is",
    9: "unrolling changes no result",
    10: "how often the step is called",
    11: "shapes and dtypes of a mask",
    12: "what a masked step leaves behind",
    13: "what a mask asks of the states",
    14: "padding may hold anything",
    15: "lengths in the place of a mask",
    16: "what counts as a tensor",
    17: "dtypes and devices are kept",
    18: "no value is read out of a tensor",
    19: "results are differentiable",
    20: "what chooses the backend",
    21: "a framework is imported when chosen",
}
"""What each rule is about, in a few words."""
