"""The harness with which the conformance suite runs numpy: eagerly, without gradients."""

from collections.abc import Mapping
from typing import ClassVar

from polyrnn_conformance.harness import Capability, Harness
from polyrnn_numpy.backend import BLOCK


class NumpyHarness(Harness):
    """Runs functions eagerly."""

    limitations: ClassVar[Mapping[Capability, str]] = {
        "gradients": "numpy does not differentiate.",
        "compilation": "numpy does not compile.",
        "unknown_shapes": "numpy arrays always know their shape.",
    }
    handwritten: ClassVar[str | None] = "polyrnn_numpy.handwritten:NumpyFramework"
    block_sizes: ClassVar[Mapping[str, tuple[int, ...]]] = {"eager": (BLOCK,)}
