"""Compute threads (lanes) of each device, shared by all models.

A GPU has one lane. A CPU has several, each with a part of the cores: a forward pass on few cores is delayed least when
decoding or answering takes one of them. A lane uses all cores while the others are idle.

A pass cannot be interrupted, so on a CPU passes are short. A recording, or a window of one, that is longer than such a
pass is computed on a further thread of the lane, between which and the short passes the operating system divides the
cores; on Linux such threads have a lower priority.

OpenMP has worker threads for each thread that computes on several cores. If there are more of them than cores, they
sleep between operations, and waking them costs a quarter of the speed.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from sonant.errors import NonFiniteStates
from sonant.extraction.forward import Clip, Forward, suitable_batch_seconds
from sonant.models.backbone import Backbone

logger = logging.getLogger(__name__)

T = TypeVar("T")
LANES = 4  # most lanes of a CPU
CPU_PASS_SECONDS = 5.0  # of audio; longer passes compute no more audio a second
LONGER_PASSES = 2  # further threads of a lane of a CPU
NICENESS = 5  # of these threads, above that of the process
TIMES_LONGER = 4  # that a pass on the next thread may be
DECAY = 0.9  # of measured throughput with each batch, an average over about ten batches
TRIAL_SECONDS = (1.0, 10.0)  # of audio, after loading: the first pass compiles and allocates, the second is timed


def torch_thread(name: str) -> ThreadPoolExecutor:
    """Make a thread on which torch uses one core, unless a lane sets more."""
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=torch.set_num_threads, initargs=(1,))


def _background_thread(name: str) -> ThreadPoolExecutor:
    """Make such a thread that gives way to others, where threads have priorities of their own."""

    def begin() -> None:
        torch.set_num_threads(1)
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.nice(0) + NICENESS)

    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=begin)


@dataclass(frozen=True)
class Lane:
    """A compute thread of a device.

    Attributes:
        cores: number of cores while other lanes are busy.
        all_cores: number of cores while they are idle.
        longer: further threads for single recordings or windows that are longer than a batch, by length.
    """

    thread: ThreadPoolExecutor
    cores: int = 1
    all_cores: int = 1
    longer: Sequence[ThreadPoolExecutor] = ()

    @property
    def threads(self) -> Sequence[ThreadPoolExecutor]:
        return self.thread, *self.longer


class ComputeThreads:
    """Lanes of all devices."""

    def __init__(self) -> None:
        self._cores = torch.get_num_threads()
        self._lanes: dict[torch.device, list[Lane]] = {}
        self._is_closed = False

    def lanes(self, device: torch.device) -> list[Lane]:
        """Return the lanes of a device, which all models share."""
        if self._is_closed:
            raise RuntimeError(f"the server is stopping, and computes nothing more on {device}")
        if device not in self._lanes:
            lanes = self._lanes[device] = []
            is_cpu = device.type == "cpu"
            cores = self._cores if is_cpu else 1
            number = min(cores, LANES)
            for name in (f"sonant-compute-{device}-{i}" for i in range(number)):
                longer = [_background_thread(f"{name}-longer-{i}") for i in range(LONGER_PASSES if is_cpu else 0)]
                lanes.append(Lane(torch_thread(name), cores // number, cores, longer))
        return self._lanes[device]

    def close(self) -> None:
        """End all lanes after their current work."""
        self._is_closed = True
        for lanes in self._lanes.values():
            for lane in lanes:
                for thread in lane.threads:
                    thread.shutdown(wait=False, cancel_futures=True)


class Worker:
    """One model in one lane.

    Attributes:
        budget: most samples in a forward pass.
        audio_seconds_per_second: throughput under load, beside other models; None if not measured yet.
    """

    def __init__(self, backbone: Backbone, batch_seconds: float | None, lane: Lane) -> None:
        usual = CPU_PASS_SECONDS if backbone.device.type == "cpu" else suitable_batch_seconds(backbone)
        self._forward = Forward(backbone, batch_seconds or usual)
        self._lane = lane
        self._audio_seconds = self._wall_seconds = 0.0

    @property
    def audio_seconds_per_second(self) -> float | None:
        return self._audio_seconds / self._wall_seconds if self._wall_seconds else None

    @property
    def backbone(self) -> Backbone:
        return self._forward.backbone

    @property
    def budget(self) -> float:
        return self._forward.budget

    @property
    def num_threads(self) -> int:
        return len(self._lane.threads)

    def submit(self, work: Callable[[], T], thread: int = 0) -> "Future[T]":
        """Run a function on a thread of the lane, in the order of submission."""
        return self._lane.threads[thread].submit(work)

    def forward(self, clips: Sequence[Clip], *, is_alone: bool = True) -> Iterator[Tensor | NonFiniteStates]:
        """Compute states as `Forward` does. Call it in the lane; `is_alone`: all other threads are idle."""
        torch.set_num_threads(self._lane.all_cores if is_alone else self._lane.cores)
        return self._forward(clips)

    def note(self, audio_seconds: float, wall_seconds: float) -> None:
        """Note duration of a batch and the time that it took since its submission."""
        self._audio_seconds = DECAY * self._audio_seconds + audio_seconds
        self._wall_seconds = DECAY * self._wall_seconds + wall_seconds

    def try_out(self) -> None:
        """Run noise through the model, to compile kernels and measure the throughput before the first request."""
        generator = np.random.default_rng(0)
        for seconds in TRIAL_SECONDS:
            noise = generator.standard_normal(round(seconds * self.backbone.sampling_rate), dtype=np.float32)
            start = time.perf_counter()
            for states in self.forward([Clip(noise, ("last",))]):
                if isinstance(states, NonFiniteStates):
                    logger.error("a model fails on noise, and may fail on recordings: %s", states)
        self.note(seconds, time.perf_counter() - start)
