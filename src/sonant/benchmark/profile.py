"""Profiles of a pass: time of each operator of torch; the rest is spent in kernels of sonant and in Python."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity

SHOWN = 12


@dataclass(frozen=True)
class Profile:
    """The profile of one pass.

    Attributes:
        seconds: duration of a pass without profiler.
        operators: name, calls, and share of the time, largest first.
        outside: share of the time outside of operators of torch.
    """

    seconds: float
    operators: list[tuple[str, int, float]]
    outside: float


def as_profile(values: dict[str, Any]) -> Profile:
    """Make a profile from JSON values."""
    operators = [(name, calls, share) for name, calls, share in values["operators"]]
    return Profile(values["seconds"], operators, values["outside"])


def profile(run: Callable[[], object]) -> Profile:
    """Profile a pass, run three times: to warm up, to time and to profile."""
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
