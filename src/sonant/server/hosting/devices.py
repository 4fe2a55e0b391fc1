"""The lanes on each device, threads that all models take in turn, so that none competes for cores.

A GPU has one lane. The cores of a processor are shared out among several: a pass that waits for no other core loses
least where the rest of the server (decoding, answering) takes a core for a moment. A server that has the device to
itself computes on all of its cores.

OpenMP keeps helpers for each thread that computes on several cores. As soon as there are more threads and helpers than
cores, it lets helpers sleep between two operations, and waking them costs a quarter of the speed.
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
LANES = 4  # of a processor at most; with more cores each lane has several
MEMORY = 0.9  # of what was measured, that a batch leaves; of about the last ten batches
TRIAL_SECONDS = (1.0, 10.0)  # of audio, before a model is offered: the first finds its kernels, the second is timed


def thread_beside(name: str) -> ThreadPoolExecutor:
    """Make a thread that may use torch while others compute."""
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=torch.set_num_threads, initargs=(1,))


@dataclass(frozen=True)
class Lane:
    """A thread that computes on a device.

    Attributes:
        thread: runs what is submitted, in that order.
        cores: number that it computes on while other lanes are busy.
        all_cores: number that it computes on while they are not.
        number: how many lanes the device has.
    """

    thread: ThreadPoolExecutor
    cores: int = 1
    all_cores: int = 1
    number: int = 1


class ComputeThreads:
    """The lanes of every device that holds models."""

    def __init__(self) -> None:
        self._cores = torch.get_num_threads()
        self._lanes: dict[torch.device, list[Lane]] = {}
        self._is_closed = False

    def lanes(self, device: torch.device) -> list[Lane]:
        """Return the lanes of a device, the same for every model."""
        if self._is_closed:
            raise RuntimeError(f"the server is stopping, and computes nothing more on {device}")
        if device not in self._lanes:
            cores = self._cores if device.type == "cpu" else 1
            number = min(cores, LANES)
            self._lanes[device] = [
                Lane(thread_beside(f"sonant-compute-{device}-{i}"), cores // number, cores, number)
                for i in range(number)
            ]
        return self._lanes[device]

    def close(self) -> None:
        """Let the lanes end after the work that they do now."""
        self._is_closed = True
        for lanes in self._lanes.values():
            for lane in lanes:
                lane.thread.shutdown(wait=False, cancel_futures=True)


class Worker:
    """One model in one lane.

    Attributes:
        backbone: the model.
        budget: samples that one pass may hold.
        audio_seconds_per_second: audio that goes through in a second of wall time, while there is work, and with the
            device shared as it is; None before anything was measured.
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
        """Run a function in the lane, after what was submitted before."""
        return self._lane.thread.submit(work)

    def forward(self, clips: Sequence[Clip], *, is_alone: bool = True) -> Iterator[Tensor | NonFiniteStates]:
        """Compute states as `Forward` does; to be called in the lane. `is_alone`: no other lane computes now."""
        torch.set_num_threads(self._lane.all_cores if is_alone else self._lane.cores)
        return self._forward(clips)

    def note(self, audio_seconds: float, wall_seconds: float) -> None:
        """Note how long a batch of so much audio took, from when it could have begun."""
        self._audio_seconds = MEMORY * self._audio_seconds + audio_seconds
        self._wall_seconds = MEMORY * self._wall_seconds + wall_seconds

    def try_out(self) -> None:
        """Run noise through, so that the first caller finds everything in place and the speed known."""
        generator = np.random.default_rng(0)
        for seconds in TRIAL_SECONDS:
            noise = generator.standard_normal(round(seconds * self.backbone.sampling_rate), dtype=np.float32)
            start = time.perf_counter()
            for states in self.forward([Clip(noise, ("last",))]):
                if isinstance(states, NonFiniteStates):
                    logger.error("a model fails on noise, and may fail on recordings: %s", states)
        self.note(seconds, time.perf_counter() - start)
