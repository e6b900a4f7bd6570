"""A plug-in that calls `sys.exit` when it is imported."""

import sys

sys.exit("this plug-in exits on purpose")
