"""Pooling of frames into one vector by running sums, in constant memory."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sonant.errors import UnknownName
from sonant.running_moments import RunningMoments

Pool = Literal["mean", "max", "mean+std"]
POOLS: tuple[Pool, ...] = get_args(Pool)


def pooled_dim(dim: int, pool: Pool | None) -> int:
    """Return the width of a pooled vector."""
    return 2 * dim if pool == "mean+std" else dim


class RunningPool:
    """Pooling of frames that arrive in blocks.

    "mean" and "max" give (layers, dim), "mean+std" (layers, 2 * dim) with the population standard deviation. Sums are
    in float64 if the device has it, so that the result does not depend on the sizes of the blocks.
    """

    def __init__(self, pool: Pool) -> None:
        if pool not in POOLS:
            raise UnknownName("pooling", pool, POOLS)
        self.pool = pool
        self._moments: RunningMoments[Tensor] | None = None  # of each channel, (layers, dim)
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
        if self._moments is None:
            self._moments = RunningMoments(mean, squares, new)
        else:
            before = self._moments
            self._moments = RunningMoments(before.mean.to(mean.device), before.squares.to(mean.device), before.count)
            self._moments.add(new, mean, squares)

    def state(self) -> dict[str, Any]:
        """Return the running sums as arrays, for `restore`."""
        sums: dict[str, Any] = {"count": 0}
        if self._moments is not None:
            sums = {name: getattr(self._moments, name) for name in ("count", "mean", "squares")}
        if self._max is not None:
            sums["max"] = self._max
        return {name: value.cpu().numpy() if isinstance(value, Tensor) else value for name, value in sums.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the `state` of a pool of the same kind."""
        self._max = torch.from_numpy(state["max"]) if "max" in state else None
        if "mean" in state:
            mean, squares = (torch.from_numpy(state[name]) for name in ("mean", "squares"))
            self._moments = RunningMoments(mean, squares, int(state["count"]))

    def finish(self) -> Tensor:
        """Return the pooled vectors, float32 on the CPU."""
        if self.pool == "max" and self._max is not None:
            return self._max.float().cpu()
        if self._moments is None:
            raise ValueError("no frames were given to pool")
        mean = self._moments.mean
        if self.pool == "mean":
            return mean.float().cpu()
        return torch.cat([mean, (self._moments.squares / self._moments.count).sqrt()], dim=-1).float().cpu()


class RunningAttention:
    """Mean of frames that arrive in blocks, weighted by the softmax of their scores over all blocks."""

    def __init__(self) -> None:
        self._top = torch.tensor(-torch.inf, dtype=torch.float64)
        self._weight = torch.tensor(0.0, dtype=torch.float64)  # relative to exp(top), as is the sum
        self._sum = torch.tensor(0.0, dtype=torch.float64)

    def append(self, frames: Tensor, scores: Tensor) -> None:
        """Add frames (frames, dim) with scores (frames,)."""
        if len(frames) == 0:
            return
        frames, scores = frames.cpu().double(), scores.cpu().double()
        top = torch.maximum(self._top, scores.max())
        before, weights = (self._top - top).exp(), (scores - top).exp()
        self._sum = self._sum * before + weights @ frames
        self._weight = self._weight * before + weights.sum()
        self._top = top

    def finish(self) -> Tensor:
        """Return the mean (dim,), float32."""
        if self._sum.ndim == 0:
            raise ValueError("no frames were given to pool")
        return (self._sum / self._weight).float()


def unit_length(vectors: Tensor) -> Tensor:
    """Scale vectors (..., dim) to length one."""
    return torch.nn.functional.normalize(vectors, dim=-1)
