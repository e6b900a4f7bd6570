"""One recurrent loop for numpy, tensorflow, torch and jax, and for frameworks that plug in.

The function is `rnn`. The front end implements its rules for masks, padding, direction, nesting
and dtypes once for all frameworks. A backend computes the loop for one framework, which is imported
when the backend is chosen. One conformance suite tests every backend.

The backend of a call is chosen by the first of these that is given: the argument ``backend=``, a
block of `use_backend`, the environment variable ``POLYRNN_BACKEND``, the tensors that are passed.
"""

from polyrnn.backend import (
    Backend,
    Body,
    Carry,
    Nests,
    Sharing,
    Tensor,
    python_loop,
)
from polyrnn.backend_info import BackendInfo
from polyrnn.errors import (
    BackendBrokenError,
    BackendNotInstalledError,
    PolyrnnError,
    UnknownBackendError,
)
from polyrnn.hookspecs import hookimpl, hookspec
from polyrnn.recurrence import rnn
from polyrnn.selection import backends, namespace, use_backend
from polyrnn.statuses import BackendStatus

__version__ = "0.2.0.dev0"

__all__ = [
    "Backend",
    "BackendBrokenError",
    "BackendInfo",
    "BackendNotInstalledError",
    "BackendStatus",
    "Body",
    "Carry",
    "Nests",
    "PolyrnnError",
    "Sharing",
    "Tensor",
    "UnknownBackendError",
    "__version__",
    "backends",
    "hookimpl",
    "hookspec",
    "namespace",
    "python_loop",
    "rnn",
    "use_backend",
]
