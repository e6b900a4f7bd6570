"""Errors raised when a backend is chosen.

Errors about other arguments are plain ValueError and TypeError.
"""


class PolyrnnError(Exception):
    """The base class of the errors that polyrnn defines."""

    # AutoGraph replaces errors raised within a tf.function by errors of its own, except for
    # built-in types and for types with this attribute.
    ag_pass_through = True


class UnknownBackendError(PolyrnnError, ValueError):
    """No installed distribution provides a backend of the given name."""


class BackendNotInstalledError(PolyrnnError, ImportError):
    """The backend is known, but its framework is not installed."""


class BackendBrokenError(PolyrnnError, ImportError):
    """The backend is installed, but importing it fails; the original failure is the cause."""


def summary(error: BaseException, *, first_line: bool = False) -> str:
    """Return the type and the text of an error, whatever its own ``__str__`` does.

    Args:
        error: The error.
        first_line: Return only the first line of the text.
    """
    kind = type(error).__name__
    try:
        text = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return kind
    if first_line:
        text = next(iter(text.strip().splitlines()), "")
    return f"{kind}: {text}" if text else kind
