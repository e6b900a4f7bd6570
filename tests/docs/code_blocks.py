"""A pytest plug-in that runs the Python blocks of Markdown files, each file from top to bottom.

What a block prints is compared with the block ``output`` behind it.
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
    """Run a block and keep what it prints."""
    with redirect_stdout(StringIO()) as printed:
        run_silently(example)
    example.namespace[PRINTED] = printed.getvalue()


def compare(example: Example) -> str | None:
    """Compare a block of output with what was printed; say what differs."""
    expected, printed = str(example.parsed).rstrip(), example.namespace.get(PRINTED, "").rstrip()
    return None if printed == expected else f"expected:\n{expected}\nprinted:\n{printed}"


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser("python", run), CodeBlockParser("output", compare)],
    patterns=["*.md"],
    path=str(Path(__file__).parents[2]),
).pytest()
