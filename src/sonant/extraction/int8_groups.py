"""A search, on recordings, for the linear layers of a model that may be computed in integers of eight bits."""

from collections.abc import Sequence

import torch

from sonant.extraction.sources import Source
from sonant.inference.int8.groups import passing_groups
from sonant.models.backbone import Backbone, LinearGroup

RECORDINGS = 8  # spread over what is given, so that there are several speakers
SECONDS = 8.0  # of each


def find_int8_groups(backbone: Backbone, recordings: Sequence[Source]) -> tuple[LinearGroup, ...]:
    """Try the groups of layers on the beginnings of some recordings; see `sonant.inference.int8`.

    Raises:
        AudioError: one of them cannot be used.
    """
    clips = []
    for number in sorted({i * len(recordings) // RECORDINGS for i in range(RECORDINGS)}):
        samples = recordings[number].read()[: round(SECONDS * backbone.sampling_rate)]
        clips.append(torch.from_numpy(samples))
    return passing_groups(backbone, clips)
