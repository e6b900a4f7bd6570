"""Measures one backend, in a process of its own: a request comes in, events go out.

The launcher starts it as a module, writes one line of JSON to its standard input and
reads one event in a line from its standard output.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from polyrnn import registry
from polyrnn.benchmark import contest, peers, probes
from polyrnn.benchmark.framework import Framework
from polyrnn.benchmark.results import Result, cell_from_json, result_to_json
from polyrnn.benchmark.scenarios import mode_of

FRAMEWORKS = {
    "numpy": "polyrnn.benchmark.handwritten_numpy:NumpyFramework",
    "torch": "polyrnn.benchmark.handwritten_torch:TorchFramework",
    "jax": "polyrnn.benchmark.handwritten_jax:JaxFramework",
    "tensorflow": "polyrnn.benchmark.handwritten_tensorflow:TensorflowFramework",
}
"""Where the framework of each backend is; resolved in the process that measures it."""

Send = Callable[[dict[str, Any]], None]


def framework_of(backend: str) -> Framework:
    """Import the framework of a backend."""
    framework: Framework = registry.resolve(FRAMEWORKS[backend])()
    return framework


def work(request: dict[str, Any], send: Send) -> None:
    """Do what a request says.

    Args:
        request: ``backend``, ``threads``, ``pairs``, ``peers`` (whether to measure other
            libraries), ``cells``; or, instead of the last three, ``probe``
            with ``mode`` and ``arguments``.
        send: Takes the events: ``start`` (a cell), ``pair``, ``result`` and ``figures``.
    """
    framework = framework_of(request["backend"])
    framework.use_threads(request["threads"])
    if "probe" in request:
        figures = probes.PROBES[request["probe"]](
            framework, mode_of(request["backend"], request["mode"]), **request["arguments"]
        )
        send({"event": "figures", "figures": figures})
        return
    others = peers.peers(request["backend"]) if request["peers"] else {}
    loop = contest.polyrnn_loop(request["backend"])
    for data in request["cells"]:
        cell = cell_from_json(data)
        send({"event": "start", "cell": data})
        try:
            result = contest.hold(
                framework,
                cell,
                loop,
                others,
                pairs=request["pairs"],
                after_pair=lambda: send({"event": "pair"}),
            )
        except Exception as error:
            result = Result(cell, failure=f"{type(error).__name__}: {error}")
        send({"event": "result", "result": result_to_json(result)})


def main() -> None:
    """Serve the one request that stands on standard input."""
    # What frameworks print must not stand among the events.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    work(json.loads(sys.stdin.readline()), lambda event: print(json.dumps(event), file=events))


if __name__ == "__main__":
    main()
