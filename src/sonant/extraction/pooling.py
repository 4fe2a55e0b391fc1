"""Pooling of frames into one vector by running sums: a two-hour file needs no more memory than a short one."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sonant.errors import UnknownName

Pool = Literal["mean", "max", "mean+std"]
POOLS: tuple[Pool, ...] = get_args(Pool)


def pooled_dim(dim: int, pool: Pool | None) -> int:
    """Return the width of a pooled vector for frames of width `dim`."""
    return 2 * dim if pool == "mean+std" else dim


class RunningPool:
    """A pooling of frames that come in blocks.

    "mean" and "max" give (layers, dim), "mean+std" (layers, 2 * dim) with the population standard deviation. The sums
    are kept in float64 where the device has it, and merged by Chan's rule, so that blocks of any size give one result.
    """

    def __init__(self, pool: Pool) -> None:
        if pool not in POOLS:
            raise UnknownName("pooling", pool, POOLS)
        self.pool = pool
        self._count = 0
        self._mean: Tensor | None = None  # (layers, dim)
        self._squares: Tensor | None = None  # (layers, dim): sum of squared distances from the mean
        self._max: Tensor | None = None

    def append(self, frames: Tensor) -> None:
        """Add frames (layers, frames, dim)."""
        if frames.shape[1] == 0:
            return
        if self.pool == "max":
            top = frames.amax(dim=1)
            self._max = top if self._max is None else torch.maximum(self._max.to(top.device), top)
            return
        frames = frames.to(torch.float32 if frames.device.type == "mps" else torch.float64)
        new, mean = frames.shape[1], frames.mean(dim=1)
        squares = (frames - mean[:, None]).square().sum(dim=1) if self.pool == "mean+std" else torch.zeros_like(mean)
        if self._mean is None or self._squares is None:
            self._mean, self._squares = mean, squares
        else:
            before, deviations = self._mean.to(mean.device), self._squares.to(mean.device)
            total, gap = self._count + new, mean - before
            self._mean = before + gap * (new / total)
            self._squares = deviations + squares + gap.square() * (self._count * new / total)
        self._count += new

    def state(self) -> dict[str, Any]:
        """Return the sums so far, as arrays, for `restore`."""
        sums = {"mean": self._mean, "squares": self._squares, "max": self._max}
        return {
            "count": self._count,
            **{name: value.cpu().numpy() for name, value in sums.items() if value is not None},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from the `state` of another pool of the same kind."""
        self._count = int(state["count"])
        self._mean, self._squares, self._max = (
            torch.from_numpy(state[name]) if name in state else None for name in ("mean", "squares", "max")
        )

    def finish(self) -> Tensor:
        """Return the pooled vectors, float32 on the CPU."""
        if self.pool == "max" and self._max is not None:
            return self._max.float().cpu()
        if self._mean is None or self._squares is None:
            raise ValueError("no frames were given to pool")
        if self.pool == "mean":
            return self._mean.float().cpu()
        return torch.cat([self._mean, (self._squares / self._count).sqrt()], dim=-1).float().cpu()


def unit_length(vectors: Tensor) -> Tensor:
    """Scale vectors (..., dim) to length one."""
    return torch.nn.functional.normalize(vectors, dim=-1)
