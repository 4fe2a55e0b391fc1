"""The sounds of the points of a page."""

from collections.abc import Sequence

import numpy as np

from sonant.analysis.results import Analysis
from sonant.data import ManifestEntry
from sonant.pages.clips import audio_clips


def point_sounds(analysis: Analysis, entries: Sequence[ManifestEntry]) -> dict[int, str]:
    """Return data URIs of recordings that are points, by number: as many as fit into a page, from all over the data.

    Args:
        entries: the recordings of `analysis.data.clips`, in that order.
    """
    shown = sorted({clip for model in analysis.models for each in model.projections for clip in each.clips})
    order = [shown[place] for place in np.random.default_rng(0).permutation(len(shown))]
    made = zip(order, audio_clips([entries[number] for number in order]), strict=True)
    return {number: sound for number, sound in made if sound is not None}
