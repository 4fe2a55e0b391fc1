"""Span masks for masked prediction."""

from collections.abc import Sequence
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
        equal: give all clips of a batch as many masked frames as the one with the fewest, by unmasking frames of the
            others at random, as fairseq does (`require_same_masks`). Masked runs become shorter by it.
    """

    fraction: float = 0.8
    length: int = 10
    min_spans: int = 2
    equal: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1 or self.length < 1:
            raise ConfigurationError(
                f"SpanMasking needs 0 < fraction <= 1 and length >= 1; got {self.fraction} and {self.length}."
            )

    def draw(self, num_frames: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw the mask of a clip, bool (num_frames,). Starts are distinct, spans may overlap; the last frame is kept.

        Source: fairseq `compute_mask_indices`, static spans.
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

    def draw_batch(self, num_frames: Sequence[int], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw the masks of the clips of a batch, one behind another: bool (sum of num_frames,)."""
        masks = [self.draw(frames, rng) for frames in num_frames]
        if self.equal:
            fewest = min(int(mask.sum()) for mask in masks)
            for mask in masks:
                masked = np.flatnonzero(mask)
                mask[rng.choice(masked, len(masked) - fewest, replace=False)] = False
        return np.concatenate(masks)
