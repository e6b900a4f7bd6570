"""The harness of array-api-strict for the conformance suite."""

from polyrnn_conformance import Harness


class StrictHarness(Harness):
    """Declares the dtypes of the array API standard."""

    dtypes = tuple(name for name in Harness.dtypes if name not in ("float16", "bfloat16"))
