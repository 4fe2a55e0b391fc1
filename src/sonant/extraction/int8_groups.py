"""Search for the linear layers of a model that keep their accuracy in int8, measured on recordings."""

from collections.abc import Sequence

import torch

from sonant.extraction.sources import Source
from sonant.inference.int8.groups import passing_groups
from sonant.models.backbone import Backbone, LinearGroup

RECORDINGS = 8  # evenly spaced in the given ones, to have several speakers
SECONDS = 8.0  # of each


def find_int8_groups(backbone: Backbone, recordings: Sequence[Source]) -> tuple[LinearGroup, ...]:
    """Test groups of linear layers in int8 on the beginnings of some recordings; see `sonant.inference.int8`.

    Raises:
        AudioError: one of them cannot be used.
    """
    clips = []
    for number in sorted({i * len(recordings) // RECORDINGS for i in range(RECORDINGS)}):
        samples = recordings[number].read()[: round(SECONDS * backbone.sampling_rate)]
        clips.append(torch.from_numpy(samples))
    return passing_groups(backbone, clips)
