"""What the time of a pass goes into, by torch's operators; what is left over is kernels of our own and Python."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity

SHOWN = 12


@dataclass(frozen=True)
class Profile:
    """Of one pass.

    Attributes:
        seconds: of the pass, not profiled.
        operators: name, calls, and the share of the time, the largest first.
        outside: the share that no operator of torch accounts for.
    """

    seconds: float
    operators: list[tuple[str, int, float]]
    outside: float


def as_profile(values: dict[str, Any]) -> Profile:
    """From JSON."""
    operators = [(name, calls, share) for name, calls, share in values["operators"]]
    return Profile(values["seconds"], operators, values["outside"])


def profile(run: Callable[[], object]) -> Profile:
    """Of the second pass: the first one warms up."""
    run()
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as recorded:
        start = time.perf_counter()
        run()
        profiled = time.perf_counter() - start
    rows = [(row.key, row.count, row.self_cpu_time_total / 1e6 / profiled) for row in recorded.key_averages()]
    rows.sort(key=lambda row: -row[2])
    return Profile(seconds, rows[:SHOWN], max(0.0, 1 - sum(share for *_, share in rows)))
