"""The errors of choosing a backend; errors about arguments are plain ValueError and TypeError."""


class UnknownBackendError(ValueError):
    """No installed distribution provides a backend of the name that was asked for."""


class BackendNotInstalledError(ImportError):
    """The backend is known, but the framework it drives is not installed."""


class BackendBrokenError(ImportError):
    """The backend is there, but importing it fails; the original failure is the cause."""
