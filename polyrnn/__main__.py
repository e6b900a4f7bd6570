"""Runs the command line as ``python -m polyrnn``."""

from polyrnn.cli import main

if __name__ == "__main__":
    main()
