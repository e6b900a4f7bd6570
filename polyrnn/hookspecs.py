"""The one hook by which a distribution makes a backend known."""

import pluggy

from polyrnn.backend_info import BackendInfo

PROJECT = "polyrnn"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def polyrnn_backends() -> BackendInfo:  # type: ignore[empty-body]
    """Describe the backend that the plug-in provides, without importing its framework.

    The plug-in is a module named by an entry point in the group ``polyrnn``.
    The entry point has the name of the backend, so that one can be loaded alone.

    Returns:
        Plain data about the backend; see `BackendInfo`.

    Example:
        >>> import polyrnn
        >>> @polyrnn.hookimpl
        ... def polyrnn_backends():
        ...     return polyrnn.BackendInfo(
        ...         name="tinygrad",
        ...         modules=("tinygrad",),
        ...         implementation="polyrnn_tinygrad.backend:TinygradBackend",
        ...         install="polyrnn-tinygrad",
        ...     )
        >>> polyrnn_backends().name
        'tinygrad'
    """
