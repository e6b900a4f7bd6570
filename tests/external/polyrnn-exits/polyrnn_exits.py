"""A plug-in that ends the process of whoever imports it."""

import sys

sys.exit("this plug-in exits on purpose")
