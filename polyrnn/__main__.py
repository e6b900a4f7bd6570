"""Runs the command-line interface as ``python -m polyrnn``."""

from polyrnn.cli import main

if __name__ == "__main__":
    main()
