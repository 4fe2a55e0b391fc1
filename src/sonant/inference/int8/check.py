"""The check of an int8 model: its hidden states against those in float32."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.models import Encoded

FRAME_COSINE = 0.995  # lowest cosine of a frame with the same frame in float32, in any layer; raw and equalized
CLIP_COSINE = 0.999  # the same for the mean over the frames of a clip


def near(given: Encoded, expected: Encoded, *, share: float = 1.0) -> bool:
    """Return whether all frames and all clip means have a high cosine with those expected, in every state.

    Frames are compared raw and with equalized channels: in raw frames, a few large channels hide errors of all others.

    Args:
        share: factor on the allowed distance, 1 - cosine.
    """
    frame, clip = (1 - share * (1 - cosine) for cosine in (FRAME_COSINE, CLIP_COSINE))
    return all(
        lowest_cosine(state, reference) >= frame
        and lowest_cosine(*equalized(state, reference)) >= frame
        and lowest_cosine(_means(state, expected), _means(reference, expected)) >= clip
        for state, reference in zip(_states(given), _states(expected), strict=True)
    )


def equalized(given: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Divide both (frames, dim) by the root mean square of each channel of the expected frames.

    The mean is not subtracted: frames that hardly differ from it, as with random weights, would be compared by rounding
    errors.
    """
    size = expected.double().square().mean(0).sqrt()
    size = torch.where(size > 0, size, 1.0)
    return given.double() / size, expected.double() / size


def lowest_cosine(given: Tensor, expected: Tensor) -> float:
    """Return the lowest cosine of all rows; NaN if any is NaN."""
    return float(F.cosine_similarity(given.double(), expected.double(), dim=1).min())


def _states(encoded: Encoded) -> list[Tensor]:
    last = [] if encoded.last is None else [encoded.last]
    return [*encoded.hidden_states.values(), *last]


def _means(state: Tensor, encoded: Encoded) -> Tensor:
    """(total, dim) to (clips, dim)."""
    return torch.stack([frames.float().mean(0) for frames in state.split(encoded.lengths.tolist())])
