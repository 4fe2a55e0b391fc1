"""The test that a model in integers of eight bits has to pass: its states against those in float32."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.models import Encoded

FRAME_COSINE = 0.995  # of a frame of any layer with the same frame in float32, at least; raw and equalized
CLIP_COSINE = 0.999  # the same of the mean of a clip's frames


def near(given: Encoded, expected: Encoded, *, share: float = 1.0) -> bool:
    """Return whether every frame of every state, and every mean of a clip, points where it should.

    Frames are compared as they are, and with all channels equally large, as whoever standardizes them has them: a few
    large channels hide in the first what all others have lost.

    Args:
        share: of the distance that is allowed, 1 less the cosine.
    """
    frame, clip = (1 - share * (1 - cosine) for cosine in (FRAME_COSINE, CLIP_COSINE))
    return all(
        lowest_cosine(state, reference) >= frame
        and lowest_cosine(*equalized(state, reference)) >= frame
        and lowest_cosine(_means(state, expected), _means(reference, expected)) >= clip
        for state, reference in zip(_states(given), _states(expected), strict=True)
    )


def equalized(given: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Both (frames, dim) over the root mean square of the expected frames, channel by channel.

    The mean stays: frames that hardly differ from it, as those of random weights, would be compared by little more than
    the rounding of any lesser precision.
    """
    size = expected.double().square().mean(0).sqrt()
    size = torch.where(size > 0, size, 1.0)
    return given.double() / size, expected.double() / size


def lowest_cosine(given: Tensor, expected: Tensor) -> float:
    """Return the lowest cosine of all rows; NaN if there is one."""
    return float(F.cosine_similarity(given.double(), expected.double(), dim=1).min())


def _states(encoded: Encoded) -> list[Tensor]:
    last = [] if encoded.last is None else [encoded.last]
    return [*encoded.hidden_states.values(), *last]


def _means(state: Tensor, encoded: Encoded) -> Tensor:
    """(total, dim) to (clips, dim)."""
    return torch.stack([frames.float().mean(0) for frames in state.split(encoded.lengths.tolist())])
