"""Test choosing and importing backends in processes started by fork or spawn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_distributions import BACKEND, FRAMEWORK, PLUGIN, FakeDistributions

PROGRAM = """\
import multiprocessing
import sys

import numpy as np

import polyrnn
from polyrnn import selection


def total(queue):
    def step(x, states):
        state = states[0] + x
        return state, [state]

    last, _, _ = polyrnn.rnn(step, np.ones((2, 5, 3)), [np.zeros((2, 3))])
    queue.put((selection.standing_choice()[1], last.tolist()))


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    with polyrnn.use_backend("numpy"):
        total(queue)
        queue.get(timeout=60)
        process = context.Process(target=total, args=(queue,))
        process.start()
        reason, last = queue.get(timeout=60)
        process.join(60)
    assert process.exitcode == 0, process.exitcode
    assert last == [[5.0] * 3] * 2, last
    print(reason)
"""


@pytest.mark.parametrize(
    ("method", "reason"), [("fork", "polyrnn.use_backend('numpy')"), ("spawn", "default")]
)
def test_a_child_computes(method: str, reason: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program), method],
        # NumPy must not use threads, because a forked child does not inherit them.
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == reason


GATE = """\
import threading

started, finish = threading.Event(), threading.Event()
is_shut = True


def pass_through():
    started.set()
    if is_shut:
        finish.wait()
"""

FORKED_WHILE_IMPORTING = """\
import faulthandler
import os
import threading

import gate
import numpy as np

import polyrnn


def compute(name):
    def step(x, states):
        return x, [states[0] + x]

    _, _, (total,) = polyrnn.rnn(step, np.ones((2, 5, 3)), np.zeros((2, 3)), backend=name)
    assert np.array_equal(getattr(total, "array", total), np.full((2, 3), 5.0)), total
    return type(total).__module__


thread = threading.Thread(target=compute, args=("abacus",))
thread.start()
gate.started.wait(60)
if os.fork() == 0:
    # Of the threads there is only this one left, so that nobody finishes what was begun.
    faulthandler.dump_traceback_later(30, exit=True)
    gate.is_shut = False
    assert [compute("numpy"), compute("abacus"), compute("quipu")] == ["numpy", "abacus", "quipu"]
    states = {status.name: status.state for status in polyrnn.backends()}
    assert states["abacus"] == states["quipu"] == "installed", states
    os._exit(0)
_, status = os.wait()
gate.finish.set()
thread.join(60)
assert compute("abacus") == "abacus"
raise SystemExit(os.waitstatus_to_exitcode(status))
"""

FORKED_BY_AN_IMPORT = """\
import faulthandler
import os
import threading

import polyrnn


def load(name):
    polyrnn.use_backend(name)


faulthandler.dump_traceback_later(30, exit=True)
load("abacus")
import abacus

if abacus.child:
    # The import went on in the child, and another thread can do the next.
    thread = threading.Thread(target=load, args=("quipu",))
    thread.start()
    thread.join(20)
    os._exit(thread.is_alive())
_, status = os.waitpid(abacus.pid, 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""


def run_program(source: str, fakes: FakeDistributions) -> None:
    """Run a program that can import the fake distributions; it has to succeed in time."""
    program = fakes.folder / "program.py"
    program.write_text(source)
    done = subprocess.run(
        # Python warns of a fork in a process with threads, which these tests do on purpose.
        [*(sys.executable, "-W", "error"), *("-W", "ignore:This process"), str(program)],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="The platform has no fork.")


@needs_fork
@pytest.mark.parametrize("blocked", ["plugin", "backend", "framework"])
def test_a_forked_child_can_import_what_another_thread_was_importing(
    blocked: str, fakes: FakeDistributions
) -> None:
    sources = {"plugin": PLUGIN, "backend": BACKEND, "framework": FRAMEWORK}
    sources[blocked] = f"import gate\ngate.pass_through()\n{sources[blocked]}"
    fakes.write("gate", GATE)
    fakes.framework("abacus", **sources)
    fakes.framework("quipu")
    run_program(FORKED_WHILE_IMPORTING, fakes)


@needs_fork
def test_an_import_that_forks_continues_in_both_processes(fakes: FakeDistributions) -> None:
    forking = "import os\npid = os.fork()\nchild = pid == 0\n"
    fakes.framework("abacus", framework=forking + FRAMEWORK)
    fakes.framework("quipu")
    run_program(FORKED_BY_AN_IMPORT, fakes)
