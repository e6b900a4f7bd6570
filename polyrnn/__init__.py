"""One recurrent loop for numpy, tensorflow, torch, jax, and whatever else is plugged in.

Why it exists:

- A loop over time looks simple and is not: masks, padding, direction, nesting
  and dtypes each have a rule, and frameworks that write the loop anew each
  settle those rules differently. Here they are written once.
- A backend only computes. It walks, selects and transposes; it decides nothing.
- A framework is imported when it is chosen, never before.
- Whoever adds a framework proves it with the same suite that proves the others.

The function is `rnn`. A backend is chosen by its argument ``backend=``, by
`use_backend`, by the environment variable ``POLYRNN_BACKEND``, or by the
tensors that are passed.
"""

from polyrnn.backend import Backend, BackendInfo, python_loop
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

__version__ = "0.1.0"

__all__ = [
    "Backend",
    "BackendBrokenError",
    "BackendInfo",
    "BackendNotInstalledError",
    "BackendStatus",
    "PolyrnnError",
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
