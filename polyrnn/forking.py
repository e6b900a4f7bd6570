"""Releases import locks in a forked child that a thread of its parent was holding."""

import importlib
import sys
from collections.abc import Callable
from typing import Any


def forget_imports_of(thread: int) -> None:
    """Remove the modules that a thread of the parent was importing at the fork.

    The child then imports them anew. Without this, the locks of these modules stay held by a
    thread that does not exist in the child, and every import of them blocks forever. Python has no
    public way to release these locks.

    Args:
        thread: The identifier of the thread that `threading.get_ident` returned in the parent.
    """
    bootstrap = getattr(importlib, "_bootstrap", None)
    locks: dict[str, Callable[[], Any]] = getattr(bootstrap, "_module_locks", {})
    for name, lock in list(locks.items()):
        if getattr(lock(), "owner", None) == thread:
            del locks[name]
            sys.modules.pop(name, None)
