"""The worker process, which measures one backend.

`polyrnn_benchmark.launch` starts it as a module, writes the request to its standard input
as one line of JSON, and reads events from its standard output, one a line.
"""

import json
import os
import sys
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

from polyrnn import registry
from polyrnn_benchmark import contest, peers, probes
from polyrnn_benchmark.framework import Framework
from polyrnn_benchmark.plain_framework import PlainFramework
from polyrnn_benchmark.results import Result, cell_from_json, result_to_json
from polyrnn_benchmark.scenarios import mode_of
from polyrnn_conformance.harness import Harness

Send = Callable[[dict[str, Any]], None]


def harness_of(backend: str) -> Harness:
    """Return the harness that a backend names, or the default `Harness`."""
    known = registry.installed()
    reference = known.info(backend).harness
    made: Harness = (resolve_name(reference) if reference else Harness)(known.load(backend))
    return made


def framework_of(harness: Harness) -> Framework:
    """Return the framework that a harness names, or the default `PlainFramework`."""
    reference = harness.handwritten
    kind: type[Framework] = resolve_name(reference) if reference else PlainFramework
    return kind.of(harness)


def modes_of(harness: Harness) -> list[str]:
    """Return the modes that can run a Python loop, which needs static shapes."""
    return [mode for mode in harness.modes if mode not in harness.unknown_shape_modes]


def work(request: dict[str, Any], send: Send) -> None:
    """Serve one request.

    Args:
        request: ``backend`` and ``threads``, with one of: ``pairs``, ``peers`` (whether to
            measure other libraries) and ``cells``; or ``probe``, ``mode`` and ``arguments``;
            or ``describe``.
        send: Called with each event: ``start`` (of a cell), ``pair``, ``result``, ``figures``
            or ``modes``.
    """
    harness = harness_of(request["backend"])
    if "describe" in request:
        differentiates = "gradients" not in harness.limitations
        send({"event": "modes", "modes": modes_of(harness), "differentiates": differentiates})
        return
    framework = framework_of(harness)
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
    """Serve the one request on standard input."""
    # Frameworks print to standard output, which must contain events only.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    work(json.loads(sys.stdin.readline()), lambda event: print(json.dumps(event), file=events))


if __name__ == "__main__":
    main()
