"""Which linear layers of a model may be multiplied in integers of eight bits: measured on speech, not assumed."""

from collections.abc import Iterable
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.inference.cpu import prepare_cpu
from sonant.inference.modules import shared_copy
from sonant.layers.packed import Packed
from sonant.models import Backbone, Encoded
from sonant.models.backbone import LinearGroup

GROUPS: tuple[LinearGroup, ...] = get_args(LinearGroup)  # in the order in which they are tried: most gain first

FRAME_COSINE = 0.995  # of a frame of any layer with the same frame in float32, at least
CLIP_COSINE = 0.999  # the same of the mean of a clip's frames


@torch.no_grad()
def passing(backbone: Backbone, clips: Iterable[Tensor]) -> tuple[LinearGroup, ...]:
    """The groups of linear layers that bear integers; each is tried with those that did before it.

    Args:
        clips: waveforms (samples,) of speech as the model will hear, normalised where it wants them so. A minute of
            several speakers shows most of what can go wrong.
    """
    speech = Packed.pack(clips)
    expected = shared_copy(backbone, torch.float32, torch.device("cpu"))(speech)
    groups: tuple[LinearGroup, ...] = ()
    for group in GROUPS:
        trial = shared_copy(backbone)
        trial.int8_groups = (*groups, group)
        if near(prepare_cpu(trial, "int8")(speech), expected):
            groups = (*groups, group)
    return groups


def near(given: Encoded, expected: Encoded) -> bool:
    """Whether every frame of every state, and every mean of a clip, points where it should."""
    return all(
        _lowest_cosine(state, reference) >= FRAME_COSINE
        and _lowest_cosine(_means(state, expected), _means(reference, expected)) >= CLIP_COSINE
        for state, reference in zip(_states(given), _states(expected), strict=True)
    )


def _states(encoded: Encoded) -> list[Tensor]:
    last = [] if encoded.last is None else [encoded.last]
    return [*encoded.hidden_states.values(), *last]


def _means(state: Tensor, encoded: Encoded) -> Tensor:
    """(total, dim) to (clips, dim)."""
    return torch.stack([frames.float().mean(0) for frames in state.split(encoded.lengths.tolist())])


def _lowest_cosine(given: Tensor, expected: Tensor) -> float:
    """NaN, which is not near anything, if there is one."""
    return float(F.cosine_similarity(given.float(), expected.float(), dim=1).min())
