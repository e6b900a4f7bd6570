"""A plug-in that fails when it is imported, like one written for another version."""

raise RuntimeError("this plug-in fails on purpose")
