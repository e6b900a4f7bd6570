"""The errors of choosing a backend; errors about arguments are plain ValueError and TypeError."""


class _KeptAsIs:
    # AutoGraph replaces errors raised within a tf.function by its own, unless told to pass
    # them on; of built-in types it keeps the type.
    ag_pass_through = True


class UnknownBackendError(_KeptAsIs, ValueError):
    """No installed distribution provides a backend of the name that was asked for."""


class BackendNotInstalledError(_KeptAsIs, ImportError):
    """The backend is known, but the framework it drives is not installed."""


class BackendBrokenError(_KeptAsIs, ImportError):
    """The backend is there, but importing it fails; the original failure is the cause."""
