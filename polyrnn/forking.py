"""Makes a forked child able to import what a thread of its parent was importing."""

import importlib
import sys
from collections.abc import Callable
from typing import Any


def forget_imports_of(thread: int) -> None:
    """Drop the modules that a thread which no longer exists was importing.

    They are then imported again. Python itself leaves them locked, so that whoever imports one of
    them waits for a thread that does not exist. It has no public way to unlock them.

    Args:
        thread: The identity of the thread, as `threading.get_ident` returned it there.
    """
    bootstrap = getattr(importlib, "_bootstrap", None)
    locks: dict[str, Callable[[], Any]] = getattr(bootstrap, "_module_locks", {})
    for name, lock in list(locks.items()):
        if getattr(lock(), "owner", None) == thread:
            del locks[name]
            sys.modules.pop(name, None)
