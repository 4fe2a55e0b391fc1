"""Which linear layers of a model may be multiplied in integers of eight bits: measured on speech, not assumed."""

from collections.abc import Collection, Iterable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.attention import PreparedSelfAttention
from sonant.inference.linear import PreparedFeedForward, has_bfloat16
from sonant.inference.preparation import prepare
from sonant.inference.shared_copy import shared_copy
from sonant.layers.attention import SelfAttention
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward
from sonant.models import Backbone, Encoded

Group = Literal["feed_forward", "attention"]
GROUPS: tuple[Group, ...] = get_args(Group)  # in the order in which they are tried: what gains most comes first

FRAME_COSINE = 0.995  # of a frame of any layer with the same frame in float32, at least
CLIP_COSINE = 0.999  # the same of the mean of a clip's frames


@torch.no_grad()
def passing(backbone: Backbone, clips: Iterable[Tensor]) -> tuple[Group, ...]:
    """The groups of linear layers that bear integers; each is tried with those that did before it.

    Args:
        clips: waveforms (samples,) of speech as the model will hear, normalised where it wants them so. A minute of
            several speakers shows most of what can go wrong.
    """
    speech = Packed.pack(clips)
    expected = shared_copy(backbone, torch.float32, torch.device("cpu"))(speech)
    groups: tuple[Group, ...] = ()
    for group in GROUPS:
        trial = prepare(with_integers(backbone, (*groups, group)), "bfloat16" if has_bfloat16() else "float32")
        if near(trial(speech), expected):
            groups = (*groups, group)
    return groups


@torch.no_grad()
def with_integers(backbone: Backbone, groups: Collection[Group]) -> Backbone:
    """A copy, for a CPU, whose layers of these groups are multiplied in integers; `prepare` readies what is left."""

    def replace(module: nn.Module) -> None:
        for name, child in module.named_children():
            match child:
                case FeedForward() if "feed_forward" in groups:
                    setattr(module, name, PreparedFeedForward(child, precision="int8"))
                case SelfAttention() if "attention" in groups:
                    setattr(module, name, PreparedSelfAttention(child, "int8"))
                case _:
                    replace(child)

    copy = shared_copy(backbone, torch.float32, torch.device("cpu"))
    replace(copy)
    return copy


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
