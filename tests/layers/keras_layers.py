"""Compare Keras layers with their cells run by polyrnn, on the current backend of Keras."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import keras
import numpy as np

import polyrnn

BATCH, TIME, FEATURES, UNITS = 3, 6, 4, 5
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
MASK = np.arange(TIME) < np.array([[6], [2], [4]])

CELLS: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: keras.layers.LSTMCell(UNITS),
    "GRU": lambda: keras.layers.GRUCell(UNITS),
    "SimpleRNN": lambda: keras.layers.SimpleRNNCell(UNITS),
    "StackedRNNCells": lambda: keras.layers.StackedRNNCells(
        [keras.layers.LSTMCell(UNITS), keras.layers.GRUCell(UNITS)]
    ),
}


def comparisons() -> Iterator[tuple[str, bool, bool, bool]]:
    """Yield each cell with and without a mask, in both directions, unrolled or not."""
    for name, masked, backwards, unroll in product(CELLS, (False, True), (False, True), (0, 1)):
        # Keras fails on torch for a layer that is masked, backwards and unrolled.
        if not (masked and backwards and unroll):
            yield name, masked, backwards, bool(unroll)


def compare(name: str, masked: bool, backwards: bool, unroll: bool) -> None:
    """Compare the outputs and states of one layer."""
    cell = CELLS[name]()
    layer = keras.layers.RNN(
        cell, return_sequences=True, return_state=True, go_backwards=backwards, unroll=unroll
    )
    mask = MASK if masked else None
    expected, *expected_states = layer(INPUTS, mask=mask)

    _, outputs, states = polyrnn.rnn(
        cell,
        keras.ops.convert_to_tensor(INPUTS),
        cell.get_initial_state(BATCH),
        mask=mask,
        go_backwards=backwards,
        unroll=unroll,
        zero_output_for_mask=masked,
    )

    # The output of a masked step in Keras is zeros or a state, depending on the backend.
    valid = MASK if masked else np.ones_like(MASK)
    if backwards:
        valid = valid[:, ::-1]
    numpy = keras.ops.convert_to_numpy
    np.testing.assert_allclose(numpy(outputs)[valid], numpy(expected)[valid], atol=1e-5)
    ours = [numpy(state) for state in keras.tree.flatten(states)]
    theirs = [numpy(state) for state in keras.tree.flatten(expected_states)]
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def main() -> None:
    """Run all comparisons, and print their number."""
    count = 0
    for comparison in comparisons():
        compare(*comparison)
        count += 1
    print(f"{count} comparisons on {keras.backend.backend()}")


if __name__ == "__main__":
    main()
