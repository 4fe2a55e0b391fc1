"""Profiles of a pass: the time of each of torch's operators; the rest is spent in our own kernels and in Python."""

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
        seconds: the duration of a pass that is not profiled.
        operators: name, calls, and share of the time, the largest first.
        outside: the share of the time outside of torch's operators.
    """

    seconds: float
    operators: list[tuple[str, int, float]]
    outside: float


def as_profile(values: dict[str, Any]) -> Profile:
    """Return a profile from its JSON values."""
    operators = [(name, calls, share) for name, calls, share in values["operators"]]
    return Profile(values["seconds"], operators, values["outside"])


def profile(run: Callable[[], object]) -> Profile:
    """Run a pass three times, to warm up, to time it and to profile it, and return its profile."""
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
