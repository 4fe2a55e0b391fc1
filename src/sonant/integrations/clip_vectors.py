"""Vectors of clips as benchmarks hand them over: any rate, any channels, any length, even none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import encoder_of
from sonant.audio import read
from sonant.data.files import atomic
from sonant.errors import ConfigurationError, EmptyAudio, ManifestError, UnknownName
from sonant.evaluation import Standardizer
from sonant.extraction.pooling import POOLS, Pool, pooled_dim
from sonant.integrations.state_choice import chosen_states

Vectors = NDArray[np.float32]


class ClipVectors:
    """A model, the states and the pooling that make one vector of a clip.

    A vector is a function of its clip alone: nothing is cut off, and nothing depends on other clips. Clips of less than
    a frame, and empty ones, are lengthened by silence to one frame, since a benchmark wants a vector for each.

    Args:
        model: a loaded model, or an argument of `sonant.load`.
        layer: see `chosen_states`.
        pool: "mean", "max" or "mean+std".
        standardizer: mean and scale of each dimension, as `fit_standardizer` made them, or the file that it wrote.
        window_seconds: of long recordings, as in `ComputingOptions`.
    """

    def __init__(
        self,
        model: str | PathLike[str] | SpeechEncoder,
        *,
        layer: int | str = "last",
        pool: Pool = "mean",
        standardizer: Standardizer | str | PathLike[str] | None = None,
        window_seconds: float | None = 60.0,
    ) -> None:
        self.encoder = encoder_of(model)
        self.states = chosen_states(layer, self.encoder.model)
        if pool not in POOLS:
            raise UnknownName("pooling", pool, POOLS)
        self._pool: Pool = pool
        self._window_seconds = window_seconds
        self._standardizer = (
            standardizer if isinstance(standardizer, Standardizer | None) else read_standardizer(standardizer)
        )
        if self._standardizer is not None and self._standardizer.mean.shape != (self.dim,):
            raise ConfigurationError(
                f"The standardizer is for vectors of width {self._standardizer.mean.size}, and layer={layer!r} and "
                f"pool={pool!r} make {self.dim} numbers of {self.encoder.name}. Fit it with the same model, layer and "
                "pooling."
            )

    @property
    def dim(self) -> int:
        """The width of a vector."""
        return pooled_dim(self.states.width(self.encoder.dim), self._pool)

    def samples(self, clip: Any) -> Vectors:
        """Return a clip at the model's rate, the mean of its channels (samples,), with silence up to one frame."""
        return clip_samples(clip, self.encoder.sampling_rate, self.encoder.model.receptive_field)

    def __call__(self, clips: Sequence[Any]) -> Vectors:
        """Return the vectors (clips, dim) of clips in any form that `sonant.audio.read` takes.

        Raises AudioError for one that cannot be read.
        """
        if not len(clips):
            return np.zeros((0, self.dim), np.float32)
        found = self.encoder.encode(
            [self.samples(clip) for clip in clips],
            layer=list(self.states.layers),
            pool=self._pool,
            window_seconds=self._window_seconds,
        )
        vectors = np.stack([self.states.combined(each) for each in found]).astype(np.float32)
        return vectors if self._standardizer is None else self._standardizer(vectors).astype(np.float32)

    def frames(self, clips: Sequence[Any]) -> list[Vectors]:
        """Return the frames (frames, width) of each clip, which are neither pooled nor standardized."""
        found = self.encoder.encode(
            [self.samples(clip) for clip in clips],
            layer=list(self.states.layers),
            window_seconds=self._window_seconds,
        )
        return [self.states.combined(each).astype(np.float32) for each in found]


def clip_samples(clip: Any, sampling_rate: int, min_samples: int) -> Vectors:
    """Return a clip as float32 (samples,), the mean of its channels, with silence up to `min_samples`."""
    values = clip.get("array") if isinstance(clip, Mapping) else clip[0] if isinstance(clip, tuple) else clip
    if getattr(values, "size", None) == 0 or (isinstance(values, list) and not values):
        return np.zeros(min_samples, np.float32)
    try:
        samples = read(clip, sampling_rate=sampling_rate, min_samples=0)
    except EmptyAudio:
        samples = np.zeros(0, np.float32)
    return np.pad(samples, (0, max(0, min_samples - len(samples))))


def fit_standardizer(vectors: ClipVectors, recordings: Sequence[Any]) -> Standardizer:
    """Fit mean and deviation of each dimension to the vectors of recordings that are no part of a benchmark.

    A benchmark of fixed vectors permits it: the result is a function of one clip, as before.
    """
    if not len(recordings):
        raise ManifestError("No recordings were given to fit mean and deviation to; a few hundred are enough.")
    return Standardizer.fit(vectors(recordings))


def write_standardizer(standardizer: Standardizer, path: str | PathLike[str]) -> Path:
    """Write a standardizer to a file (.npz), for `ClipVectors`; return its path."""
    with atomic(Path(path)) as draft, draft.open("wb") as file:
        np.savez(file, mean=standardizer.mean, scale=standardizer.scale)
    return Path(path)


def read_standardizer(path: str | PathLike[str]) -> Standardizer:
    """Read a file of `write_standardizer`. Raises ConfigurationError if it is none."""
    try:
        with np.load(path) as arrays:
            return Standardizer(mean=arrays["mean"], scale=arrays["scale"])
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(
            f"{path} is no file of a standardizer ({error}); `write_standardizer` makes one, with mean and scale."
        ) from error
