"""Span masks for masked prediction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class SpanMasking:
    """Spans of masked frames; the defaults are HuBERT's and WavLM's.

    Attributes:
        fraction: number of spans times their length over the number of frames, before overlap (0.8 masks a little more
            than half of the frames). Papers give the probability that a frame starts a span: fraction / length.
        length: frames a span.
        min_spans: the fewest spans of a clip.
    """

    fraction: float = 0.8
    length: int = 10
    min_spans: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1 or self.length < 1:
            raise ConfigurationError(
                f"SpanMasking needs 0 < fraction <= 1 and length >= 1; got {self.fraction} and {self.length}."
            )

    def draw(self, num_frames: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw the mask of a clip, bool (num_frames,). Starts are distinct, spans may overlap; the last frame is kept.

        The number of spans depends on the clip only, not on the batch.
        Source: fairseq `compute_mask_indices`, static spans, without its equalizing over the batch.
        """
        mask = np.zeros(num_frames, dtype=bool)
        fewest = min(self.min_spans, (num_frames - 1) // 2)
        count = max(fewest, int(self.fraction * num_frames / self.length + rng.random()))
        count = min(count, num_frames - 2)
        length = min(self.length, num_frames - count - 1)
        if count > 0:
            starts = rng.choice(num_frames - length, count, replace=False)
            mask[(starts[:, None] + np.arange(length)).ravel()] = True
        return mask
