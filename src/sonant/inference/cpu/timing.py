"""Timing of short computations on a machine that may be busy."""

import math
import sys
import time
from collections.abc import Callable

import torch

ROUNDS = 4  # rounds of measurement: on a busy machine, only the third may be undisturbed
CLEAR = 1.7  # a ratio beyond this, in either direction, is accepted after the first round
HOPELESS = 10.0  # and one above this before the warm-up

# CPU time of this thread, which hardly depends on the load; Windows has a resolution of 16 ms.
clock = time.perf_counter if sys.platform == "win32" else time.thread_time


@torch.no_grad()
def seconds(*calls: Callable[[], object], warm_up: bool = True, turns: int = 4) -> list[float]:
    """Measure each computation in one thread: the minimum of several turns, since disturbances only add time."""
    best, threads = [math.inf] * len(calls), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for turn in range(turns + warm_up):
            for number, call in enumerate(calls):
                start = clock()
                call()
                taken = clock() - start
                if turn or not warm_up:
                    best[number] = min(best[number], taken)
    finally:
        torch.set_num_threads(threads)
    return best


def time_ratio(given: Callable[[], object], present: Callable[[], object]) -> float:
    """Return the time of one computation over that of another; few turns are made if the ratio is clear."""
    first = seconds(given, present, warm_up=False, turns=1)
    if first[0] > HOPELESS * first[1]:
        return first[0] / first[1]
    best = [math.inf, math.inf]
    for number in range(ROUNDS):
        best = list(map(min, best, seconds(given, present, warm_up=False, turns=4 if number else 3)))
        if not best[1] / CLEAR < best[0] < best[1] * CLEAR:
            break
    return best[0] / best[1]
