"""Audio or text, operations, waiting time and memory of a training, since the last report."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import torch

from sonant.training.prefetch import Batch
from sonant.training.ranks import gathered, world


class Throughput:
    """Counts of this process between two reports, which are of all processes. Nothing here synchronizes with a GPU.

    Args:
        sampling_rate: of the audio; None: the batches are text, and their samples tokens.
        num_samples: audio of all processes before the first batch, in samples; None if that is not known.
        flops: operations of a batch forward and backward; None if they are not counted.
        limit: operations a second of the device; None if that is not known.
    """

    def __init__(
        self,
        sampling_rate: int | None,
        device: torch.device,
        *,
        num_samples: int | None = 0,
        flops: Callable[[Batch], float] | None = None,
        limit: float | None = None,
    ) -> None:
        self._sampling_rate, self._device, self._before = sampling_rate, device, num_samples
        self._count_flops, self._limit = flops, limit
        self.restart()

    def restart(self) -> None:
        """Forget what was counted since the last report."""
        self._samples, self._flops, self._waited, self._began = 0, 0.0, 0.0, time.monotonic()

    def count(self, batch: Batch) -> None:
        """Add a batch."""
        self._samples += batch.num_samples
        if self._count_flops is not None and self._limit is not None:
            self._flops += self._count_flops(batch)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time in which the loop waits for data."""
        start = time.monotonic()
        yield
        self._waited += time.monotonic() - start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time that does not count, such as that of an evaluation."""
        start = time.monotonic()
        yield
        self._began += time.monotonic() - start

    def num_samples(self) -> int | None:
        """Audio of all processes from the first step on, in samples; None if that is not known."""
        return None if self._before is None else self._before + sum(gathered(self._samples))

    def report(self) -> dict[str, float]:
        """Return the metrics since the last report, and start counting for the next."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        samples, flops, waited, memory = zip(
            *gathered((self._samples, self._flops, self._waited, memory_peak(self._device))), strict=True
        )
        rate = self._sampling_rate
        speed, unit = ("tokens_per_second", 1) if rate is None else ("audio_seconds_per_second", rate)
        metrics = {speed: sum(samples) / unit / seconds, "data_wait": sum(waited) / world() / seconds}
        if self._before is not None:
            self._before += sum(samples)
            amount, unit = ("million_tokens", 10**6) if rate is None else ("audio_hours", rate * 3600)
            metrics[amount] = self._before / unit
        if self._limit is not None and sum(flops):
            metrics["arithmetic_share"] = sum(flops) / world() / seconds / self._limit
        if any(memory):
            metrics["memory_gb"] = max(memory) / 1e9
        self.restart()
        return metrics

    def described(self, metrics: Mapping[str, float]) -> str:
        """Say the speed of a report."""
        if self._sampling_rate is None:
            return f"{metrics['tokens_per_second']:.3g} tokens a second"
        return f"{metrics['audio_seconds_per_second']:.3g} x real time"


def memory_peak(device: torch.device) -> int:
    """Return the most bytes that tensors of this process took on a GPU, or the process on a CPU; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(ImportError):  # on Windows
        from resource import RUSAGE_SELF, getrusage

        return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 0
