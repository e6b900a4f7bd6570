"""The conformance suite, which every backend of polyrnn has to pass."""

from polyrnn_conformance.harness import Harness

__all__ = ["Harness"]
