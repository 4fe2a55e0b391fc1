"""Contrast of utterances by frames of an inner layer, which keeps speakers apart: UniSpeech-SAT."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.pretraining.cluster_head import Scored, cosine_logits


@dataclass(frozen=True, kw_only=True)
class UtteranceContrastConfig:
    """Settings of the contrast, a part of those of masked prediction.

    Attributes:
        weight: of the loss beside that of masked prediction; 0 leaves the contrast out.
        layer: hidden state that is contrasted; 6 of 12 in the original code.
        projection_dim: width in which cosines are computed.
        temperature: divides the cosines.
    """

    weight: float = 0.0
    layer: int = 6
    projection_dim: int = 256
    temperature: float = 0.1


class UtteranceContrast(nn.Module):
    """Tell pairs of frames of one utterance from pairs of two, by the cosine of their projections.

    For frames i and j of a batch, s(i, j) is the cosine of their projections over the temperature. The loss of frame i
    is the mean of two means::

        mean of -log(sigmoid(s(i, j)))   over the other frames j of its utterance
        mean of -log(sigmoid(-s(i, j)))  over the frames j of other utterances

    so that the number of utterances in a batch does not change the weight of either. A batch of one utterance has no
    contrast, and no loss. Utterances of one speaker count as different, as nothing says that they are not.

    Source: UniSpeech-SAT (arXiv 2110.05752) as its code computes it (github.com/microsoft/UniSpeech,
    `models/unispeech_sat`), which draws 100 frames j from the batch for each i and takes one mean over them.
    """

    def __init__(self, dim: int, config: UtteranceContrastConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, config.projection_dim)

    def forward(self, frames: Tensor, clips: Tensor) -> Scored:
        """Contrast frames (rows, dim) of the clips with these numbers, int64 (rows,); the loss is summed over rows.

        Metrics: `utterance_loss`, and `utterance_accuracy`, the mean share of pairs of either kind whose cosine has the
        right sign.
        """
        projected = self.projection(self.norm(frames.to(self.norm.weight.dtype)))
        similarities = cosine_logits(projected, projected, self.temperature)  # (rows, rows)
        same = clips[:, None] == clips
        apart = ~same
        same = same ^ torch.eye(len(clips), dtype=torch.bool, device=same.device)
        means = [_mean_of(F.softplus(sign * similarities), pairs) for sign, pairs in ((-1, same), (1, apart))]
        contrasted = apart.any(1) & same.any(1)
        loss = torch.where(contrasted, (means[0] + means[1]) / 2, 0.0).sum()
        with torch.no_grad():
            right = _mean_of((similarities > 0).float(), same) + _mean_of((similarities <= 0).float(), apart)
            accuracy = torch.where(contrasted, right / 2, 0.0).sum()
        count = contrasted.sum()
        return loss, {"utterance_loss": (loss, count), "utterance_accuracy": (accuracy, count)}


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen values of each row, (rows,); 0 for a row of which none is."""
    return (values * chosen).sum(1) / chosen.sum(1).clamp(min=1)
