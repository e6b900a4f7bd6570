"""A pytest plug-in that runs the Python blocks of Markdown files, in order within each file.

The output of a block is compared with the ``output`` block that follows it.
"""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

PRINTED = "__printed__"

run_silently = PythonEvaluator()


def run(example: Example) -> None:
    """Run a block and store what it prints."""
    with redirect_stdout(StringIO()) as printed:
        run_silently(example)
    example.namespace[PRINTED] = printed.getvalue()


def compare(example: Example) -> str | None:
    """Return how a block of output differs from what was printed, or `None`."""
    expected, printed = str(example.parsed).rstrip(), example.namespace.get(PRINTED, "").rstrip()
    return None if printed == expected else f"expected:\n{expected}\nprinted:\n{printed}"


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser("python", run), CodeBlockParser("output", compare)],
    patterns=["*.md"],
    path=str(Path(__file__).parents[2]),
).pytest()
