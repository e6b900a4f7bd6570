"""Run the cases of the conformance suite on the `rnn` functions of tf_keras and Keras 3."""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from polyrnn import registry
from polyrnn_conformance.calls import Call
from polyrnn_conformance.comparing import assert_agrees, assert_gradients_agree, expected_of
from polyrnn_conformance.rows import Case, Check, Row
from polyrnn_conformance.subject import Subject

KERAS = {name: f"keras.src.backend.{name}.rnn:rnn" for name in registry.installed().names()}
"""The functions of Keras 3, one for each backend."""

TF_KERAS = "tf_keras.backend:rnn"


@dataclass(frozen=True)
class Peer(Subject):
    """A subject that calls another function instead of `polyrnn.rnn`."""

    function: Callable[..., Any]

    writes_in_place = False  # the table asks nothing about memory

    def _rnn(self, call: Call, given: Any, counter: list[int] | None) -> Any:
        weights, arguments = given
        step = call.step(self.backend.namespace, *weights)

        def counted(x: Any, states: Any) -> Any:
            if counter is not None:
                counter.append(1)
            return step(x, states)

        last, outputs, states = self.function(counted, **arguments)
        # A tuple of states instead of a list does not count as a departure.
        return last, outputs, list(states)


def load(backend: str, reference: str) -> Peer:
    """Return the peer with the function at a reference, which takes tensors of a backend."""
    known = registry.installed()
    implementation = known.load(backend)
    harness = known.info(backend).harness
    assert harness is not None
    make_harness = resolve_name(harness)
    return Peer(implementation, make_harness(implementation), backend, resolve_name(reference))


def holds(peer: Peer, row: Row) -> bool:
    """Return whether a peer passes a row of the conformance table, eagerly."""
    mode = peer.harness.modes[0]
    try:
        if isinstance(row, Check):
            row.check(peer, mode)
        elif isinstance(row, Case):
            assert_agrees(peer.run(row.call, mode), expected_of(row.call))
            if row.gradients and "gradients" not in peer.harness.limitations:
                assert_gradients_agree(row.call, peer.gradients(row.call, mode))
    except Exception:  # any failure counts
        return False
    return True
