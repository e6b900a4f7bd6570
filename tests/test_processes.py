"""A process that chose its backend hands the choice on by fork, and not by spawn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
        # A forked child gets no threads of NumPy's, so that there must not be any.
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == reason
