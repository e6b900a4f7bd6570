"""Runs the benchmark as ``python -m polyrnn.benchmark``."""

from polyrnn.benchmark.command import bench

bench(prog_name="python -m polyrnn.benchmark")
