"""Where models compute: one thread for each device, for all models in turn, so that they do not fight for its cores.

Each thread that runs torch on several cores has helpers of its own. As soon as there are more of all these than cores,
OpenMP lets helpers sleep between two operations, and waking them costs a quarter of the speed. So the thread that
computes on the CPU is the only one with helpers.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from sonant.extraction.forward import Clip, Forward
from sonant.models.backbone import Backbone

T = TypeVar("T")
MEMORY = 0.9  # of what was measured, that a batch leaves; of about the last ten batches
TRIAL_SECONDS = (1.0, 10.0)  # of audio, before a model is offered: the first finds its kernels, the second is timed


def thread_beside(name: str) -> ThreadPoolExecutor:
    """One thread that may use torch while others compute."""
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=torch.set_num_threads, initargs=(1,))


class ComputeThreads:
    """The threads of the devices that models were put on."""

    def __init__(self) -> None:
        self._cores = torch.get_num_threads()
        self._threads: dict[torch.device, ThreadPoolExecutor] = {}
        self._is_closed = False

    def of(self, device: torch.device) -> ThreadPoolExecutor:
        """The one thread of a device: what is submitted there runs in that order."""
        if self._is_closed:
            raise RuntimeError(f"the server is stopping, and computes nothing more on {device}")
        if device not in self._threads:
            cores = self._cores if device.type == "cpu" else 1
            self._threads[device] = ThreadPoolExecutor(
                1,
                thread_name_prefix=f"sonant-compute-{device}",
                initializer=torch.set_num_threads,
                initargs=(cores,),
            )
        return self._threads[device]

    def close(self) -> None:
        """Let them end after what they do now."""
        self._is_closed = True
        for thread in self._threads.values():
            thread.shutdown(wait=False, cancel_futures=True)


class Worker:
    """One model on one device.

    Attributes:
        forward: its passes.
        audio_seconds_per_second: audio that goes through in a second of wall time, while there is work, and with the
            device shared as it is; None before anything was measured.
    """

    def __init__(self, backbone: Backbone, batch_seconds: float | None, thread: ThreadPoolExecutor) -> None:
        self.forward = Forward(backbone, batch_seconds)
        self._thread = thread
        self._audio_seconds = self._wall_seconds = 0.0

    @property
    def audio_seconds_per_second(self) -> float | None:
        return self._audio_seconds / self._wall_seconds if self._wall_seconds else None

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Have something done on the device, after what was submitted before."""
        return self._thread.submit(work)

    def note(self, audio_seconds: float, wall_seconds: float) -> None:
        """A batch of so much audio took so long, from when it could have begun."""
        self._audio_seconds = MEMORY * self._audio_seconds + audio_seconds
        self._wall_seconds = MEMORY * self._wall_seconds + wall_seconds

    def try_out(self) -> None:
        """Run noise through, so that the first caller finds everything in place and the speed known."""
        backbone = self.forward.backbone
        generator = np.random.default_rng(0)
        for seconds in TRIAL_SECONDS:
            noise = generator.standard_normal(round(seconds * backbone.sampling_rate), dtype=np.float32)
            start = time.perf_counter()
            list(self.forward([Clip(noise, ("last",))]))
        self.note(seconds, time.perf_counter() - start)
