"""The command-line interface; it needs click and rich, which the extra ``cli`` installs."""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command-line interface, or exit with a message that says what to install."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        sys.exit(
            f"polyrnn: the command line needs {' and '.join(missing)}; "
            'to get it: pip install "polyrnn[cli]"'
        )
    from polyrnn.cli.group import group

    group(prog_name="polyrnn")
