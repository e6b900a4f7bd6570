"""Mutation testing with Cosmic Ray: print the small changes of the code that no test notices.

This takes minutes to hours. ``tox -e mutation -- numpy`` mutates a backend and runs only the
conformance suite on each mutant; ``tox -e mutation -- front-end`` also runs the project's own
tests. It prints every mutant that survives. For each of them, add a row or test that fails, or
an entry in ``equivalent.toml`` with the reason why the mutant is not a fault.
"""

import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import chdir
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import click
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkItem
from rich.console import Console
from rich.progress import track

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.toml")

SUITE = (
    "-m pytest -q -x -p no:cacheprovider --pyargs polyrnn_conformance -p polyrnn_conformance.plugin"
)
TESTS = "-m pytest -q -x -p no:cacheprovider"

IGNORED_OPERATORS = (
    # Unions in annotations are not evaluated, or raise an error at import.
    "core/ReplaceBinaryOperator_BitOr_*",
    # Comparing with None by identity or by value is the same except for tensors.
    "core/ReplaceComparisonOperator_Is_Eq",
    "core/ReplaceComparisonOperator_IsNot_NotEq",
)
"""Mutation operators whose mutants are not informative."""


NOT_TESTED_BY_THE_SUITE = ("handwritten.py", "harness.py")
"""Modules beside a backend: the loops of the benchmark, and what drives the suite itself."""


class Target(NamedTuple):
    """Modules to mutate, and the commands that have to fail.

    Args:
        modules: The modules to mutate, as patterns of paths.
        commands: The arguments of Python for each command; a mutant is killed if one fails.
    """

    modules: tuple[str, ...]
    commands: tuple[str, ...]


def _suite(backend: str, modes: str = "") -> str:
    return f"{SUITE} --polyrnn-backend {backend}" + (f" --polyrnn-modes {modes}" if modes else "")


TARGETS = {
    "front-end": Target(
        ("polyrnn/*.py",),
        (
            _suite("numpy"),
            _suite("torch", "eager"),
            f"{TESTS} tests/test_*.py --deselect tests/test_processes.py",
        ),
    ),
    "numpy": Target(("backends/polyrnn_numpy/backend.py",), (_suite("numpy"),)),
    "torch": Target(("backends/polyrnn_torch/*.py",), (_suite("torch", "eager"), _suite("torch"))),
    "jax": Target(("backends/polyrnn_jax/*.py",), (_suite("jax", "eager"), _suite("jax"))),
    "tensorflow": Target(
        ("backends/polyrnn_tensorflow/*.py",),
        (_suite("tensorflow", "eager"), _suite("tensorflow")),
    ),
}


class Equivalent(NamedTuple):
    """An entry of ``equivalent.toml``: a mutant that behaves like the original.

    Args:
        module: The path of the module.
        line: The original line, without indentation.
        mutant: The mutated line, as a pattern.
        reason: Why the mutant is not a fault.
    """

    module: str
    line: str
    mutant: str
    reason: str


class Survivor(NamedTuple):
    """A mutant that no test noticed.

    Args:
        module: The path of the module.
        line: The original line, without indentation.
        mutant: The mutated line.
    """

    module: str
    line: str
    mutant: str

    def is_equivalent(self, known: list[Equivalent]) -> bool:
        """Return whether an entry lists the mutant."""
        return any(
            (entry.module, entry.line) == (self.module, self.line)
            and (entry.mutant == self.mutant or fnmatch(self.mutant, entry.mutant))
            for entry in known
        )


def copy_tree(folder: Path) -> None:
    """Copy the files of the checkout; only the copy is mutated."""
    listing = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def command_of(target: Target, folder: Path) -> str:
    """Return one command line that runs the commands of a target until one fails."""
    commands = []
    for command in target.commands:
        words = []
        for word in shlex.split(command):
            matches = sorted(str(path.relative_to(folder)) for path in folder.glob(word))
            words += matches if "*" in word else [word]
        commands.append(shlex.join([sys.executable, *words]))
    return shlex.join(["sh", "-c", " && ".join(commands)])


def sample(database: WorkDB, count: int | None, seed: int) -> None:
    """Keep a random sample of the mutants, which the seed determines."""
    wanted = [
        item
        for item in database.work_items
        if not any(fnmatch(item.mutations[0].operator_name, name) for name in IGNORED_OPERATORS)
    ]
    wanted.sort(key=_position)
    if count is not None and count < len(wanted):
        wanted = random.Random(seed).sample(wanted, count)
    database.clear()
    database.add_work_items(wanted)


def _position(item: WorkItem) -> tuple[Any, ...]:
    mutation = item.mutations[0]
    return str(mutation.module_path), mutation.start_pos, mutation.operator_name, str(mutation)


def survivors(database: WorkDB, folder: Path) -> Iterator[Survivor]:
    """Yield the mutants of a session that survived."""
    for item, result in database.completed_work_items:
        if result.test_outcome is TestOutcome.SURVIVED:
            changed = [line for line in result.diff.splitlines() if line[:3] not in ("---", "+++")]
            old = " ".join(line[1:].strip() for line in changed if line.startswith("-"))
            new = " ".join(line[1:].strip() for line in changed if line.startswith("+"))
            path = Path(item.mutations[0].module_path)
            module = path.relative_to(folder) if path.is_absolute() else path
            yield Survivor(str(module), old, new)


@click.command()
@click.argument("name", metavar="TARGET", type=click.Choice(sorted(TARGETS)))
@click.option("--sample", "count", type=int, help="Try this many mutants, drawn at random.")
@click.option("--seed", default=0, show_default=True, help="Which mutants are drawn.")
@click.option("--only", default="*", help="Mutate only modules that match this pattern.")
@click.option("--quick", is_flag=True, help="Run the first command only: the suite, eagerly.")
@click.option(
    "--session",
    type=click.Path(path_type=Path),
    help="Keep the outcomes in this file; an unfinished session goes on.",
)
def main(
    name: str, count: int | None, seed: int, only: str, quick: bool, session: Path | None
) -> None:
    """Mutate the modules of TARGET and print every mutant that no test notices.

    The exit status is 0 even if mutants survive.
    """
    target = TARGETS[name]
    if quick:
        target = target._replace(commands=target.commands[:1])
    console = Console()
    with tempfile.TemporaryDirectory(prefix="polyrnn-mutation-") as name_of_folder:
        folder = Path(name_of_folder).resolve()
        copy_tree(folder)
        places = [str(folder), str(folder / "backends"), str(folder / "conformance")]
        os.environ |= {"PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
        os.environ.pop("PYTHONSAFEPATH", None)
        with chdir(folder), use_db(session.resolve() if session else folder / "session") as work:
            if work.num_work_items == 0:
                paths = sorted(path for pattern in target.modules for path in folder.glob(pattern))
                chosen = [
                    path.relative_to(folder)
                    for path in paths
                    if path.name not in NOT_TESTED_BY_THE_SUITE
                ]
                matching = [path for path in chosen if fnmatch(str(path), only)]
                init(matching, work, {})
                sample(work, count, seed)
            command = command_of(target, folder)
            began = time.monotonic()
            outcome, output = run_tests(command, None)
            if outcome is not TestOutcome.SURVIVED:
                raise click.ClickException(f"the tests fail without any mutant:\n{output[-3000:]}")
            limit = 30 + 3 * (time.monotonic() - began)
            pending = work.pending_work_items
            for item in track(pending, description=f"mutants of {name}", console=console):
                work.set_result(item.job_id, mutate_and_test(item.mutations, command, limit))
            _report(console, name, work, folder)


def _report(console: Console, name: str, work: WorkDB, folder: Path) -> None:
    entries = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    known = [Equivalent(**entry) for entry in entries]
    alive = list(survivors(work, folder))
    unknown = [survivor for survivor in alive if not survivor.is_equivalent(known)]
    for survivor in sorted(unknown):
        console.print(survivor.module, style="bold", highlight=False)
        console.print(f"  - {survivor.line}\n  + {survivor.mutant}", markup=False, highlight=False)
    tried = work.num_results - (len(alive) - len(unknown))
    killed = tried - len(unknown)
    console.print(
        f"{name}: {killed} of {tried} mutants killed ({killed / max(tried, 1):.1%}), "
        f"{len(alive) - len(unknown)} more are equivalent",
        highlight=False,
    )


if __name__ == "__main__":
    main()
