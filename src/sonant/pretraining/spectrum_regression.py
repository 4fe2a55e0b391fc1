"""A start for the extractor: learn to give log-mel energies before anything else is learned.

Masked prediction teaches the convolutions through the whole network and a hundred labels; from fresh weights that takes
very much audio. Regression on a spectrum is dense and passes through the convolutions alone, so a small run that begins
with it spends its time on context instead. This is sonant's own step, off by default: no published model was made so.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.audio.mel import fbank
from sonant.layers.packed import Packed
from sonant.loss import Loss, Objective
from sonant.models import WaveformTransformer
from sonant.pretraining.batches import SpeechBatch

# About the spread of log-mel energies of speech around their mean, in nats: it brings the targets to unit scale.
SPREAD = 2.5


class SpectrumRegression(Objective):
    """Predict the log-mel energies of each frame, less their mean over the clip, from the extractor's output.

    The mean goes because a group norm over the clip hides levels from the extractor.
    """

    def __init__(self, backbone: WaveformTransformer, *, num_bins: int = 40) -> None:
        super().__init__()
        self.extractor, self.features = backbone.extractor, backbone.features  # and nothing else of the model
        self.head = nn.Linear(backbone.config.conv_channels[-1], num_bins)
        self.num_bins = num_bins

    def forward(self, batch: SpeechBatch) -> Loss:
        """Squared error, averaged over bins and summed over frames."""
        features = self.features(batch.speech)
        predicted = self.head(F.layer_norm(features.values, features.values.shape[-1:]))
        targets = self.targets(batch.speech)
        error = (predicted.float() - targets).square().mean(-1).sum()
        variance = targets.square().mean(-1).sum()
        return Loss(error, len(targets), {"error": (error, variance)})

    @torch.no_grad()
    def targets(self, speech: Packed) -> Tensor:
        """Return (total_frames, num_bins): every second mel frame spans the samples of one frame of the extractor."""
        with torch.autocast(speech.values.device.type, enabled=False):
            energies = [fbank(clip, num_bins=self.num_bins)[::2] for clip in speech]
        return torch.cat([clip - clip.mean(0) for clip in energies]) / SPREAD
