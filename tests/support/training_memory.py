"""Measure the memory and the time of training in a process of its own."""

from polyrnn_benchmark import launch


def training_figures(
    backend: str, mode: str, *, time_steps: int, checkpoint_every: int | None
) -> dict[str, float]:
    """Return the peak memory in bytes and the time in seconds; see `polyrnn_benchmark.probes`.

    Args:
        backend: The name of a backend.
        mode: The name of a mode of its benchmark.
        time_steps: The number of time steps.
        checkpoint_every: As for `polyrnn.rnn`.
    """
    arguments = {"time_steps": time_steps, "checkpoint_every": checkpoint_every}
    request = {
        "backend": backend,
        "mode": mode,
        "threads": 1,
        "probe": "training",
        "arguments": arguments,
    }
    figures: dict[str, float] = {}
    for event in launch.events(request):
        figures = event["figures"]
    return figures
