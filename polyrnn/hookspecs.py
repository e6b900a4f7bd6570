"""The pluggy hook through which a distribution provides a backend."""

import pluggy

from polyrnn.backend_info import BackendInfo

PROJECT = "polyrnn"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def polyrnn_backends() -> BackendInfo:  # type: ignore[empty-body]
    """Return the description of the backend that the plug-in provides.

    The plug-in is the module that an entry point in the group ``polyrnn`` refers to. The entry
    point has the name of the backend, so that a backend is loaded without the others. The hook
    must not import the framework.

    Returns:
        The description of the backend.

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
