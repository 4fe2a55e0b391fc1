"""Compute threads (lanes) of each device, shared by all models.

A GPU has one lane. A CPU has several, each with a part of the cores: a forward pass on few cores is delayed least when
decoding or answering takes one of them. A lane uses all cores while the others are idle.

OpenMP has worker threads for each thread that computes on several cores. If there are more of them than cores, they
sleep between operations, and waking them costs a quarter of the speed.
"""

import logging
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
DECAY = 0.9  # of measured throughput with each batch, an average over about ten batches
TRIAL_SECONDS = (1.0, 10.0)  # of audio, after loading: the first pass compiles and allocates, the second is timed


def torch_thread(name: str) -> ThreadPoolExecutor:
    """Make a thread on which torch uses one core, unless a lane sets more."""
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=torch.set_num_threads, initargs=(1,))


@dataclass(frozen=True)
class Lane:
    """A compute thread of a device.

    Attributes:
        cores: number of cores while other lanes are busy.
        all_cores: number of cores while they are idle.
        number: of lanes of the device.
    """

    thread: ThreadPoolExecutor
    cores: int = 1
    all_cores: int = 1
    number: int = 1


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
            cores = self._cores if device.type == "cpu" else 1
            number = min(cores, LANES)
            self._lanes[device] = [
                Lane(torch_thread(f"sonant-compute-{device}-{i}"), cores // number, cores, number)
                for i in range(number)
            ]
        return self._lanes[device]

    def close(self) -> None:
        """End all lanes after their current work."""
        self._is_closed = True
        for lanes in self._lanes.values():
            for lane in lanes:
                lane.thread.shutdown(wait=False, cancel_futures=True)


class Worker:
    """One model in one lane.

    Attributes:
        budget: most samples in a forward pass.
        audio_seconds_per_second: throughput under load, beside other models; None if not measured yet.
    """

    def __init__(self, backbone: Backbone, batch_seconds: float | None, lane: Lane) -> None:
        self._forward = Forward(backbone, batch_seconds or suitable_batch_seconds(backbone) / lane.number)
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

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Run a function in the lane, in the order of submission."""
        return self._lane.thread.submit(work)

    def forward(self, clips: Sequence[Clip], *, is_alone: bool = True) -> Iterator[Tensor | NonFiniteStates]:
        """Compute states as `Forward` does. Call it in the lane; `is_alone`: other lanes are idle."""
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
