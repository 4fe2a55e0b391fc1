"""Benchmarks of the models on this machine, against other implementations and against the machine's limits."""

from sonant.benchmark.results import Results
from sonant.benchmark.run import BenchmarkRequest, bench

__all__ = ["BenchmarkRequest", "Results", "bench"]
