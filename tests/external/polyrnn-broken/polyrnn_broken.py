"""Fails as it is imported: what a plug-in does that was written for another release."""

raise RuntimeError("this plug-in fails on purpose")
