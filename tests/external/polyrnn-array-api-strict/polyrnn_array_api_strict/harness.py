"""How the conformance suite drives array-api-strict: eagerly, with the dtypes of the standard."""

from polyrnn_conformance import Harness


class StrictHarness(Harness):
    """Leaves the dtypes out that the standard does not have."""

    dtypes = tuple(name for name in Harness.dtypes if name not in ("float16", "bfloat16"))
