"""Initial training of the feature extractor by regression on log-mel energies.

From fresh weights, masked prediction needs much audio to train the convolutions through all blocks. Regression trains
them directly, which helps short runs. Ours, off by default; no published model was trained so.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.audio.mel import fbank
from sonant.layers.packed import Packed
from sonant.loss import Loss, Objective
from sonant.models import WaveformTransformer
from sonant.pretraining.batches import SpeechBatch

# Approximate standard deviation of log-mel energies of speech, in nats, by which targets are divided.
SPREAD = 2.5


class SpectrumRegression(Objective):
    """Squared error of log-mel energies by a linear layer, less their mean over the clip (removed by a group norm)."""

    def __init__(self, backbone: WaveformTransformer, *, num_bins: int = 40) -> None:
        super().__init__()
        self.extractor, self.features = backbone.extractor, backbone.features  # the only parameters that are trained
        self.head = nn.Linear(backbone.config.conv_channels[-1], num_bins)
        self.num_bins = num_bins

    def forward(self, batch: SpeechBatch) -> Loss:
        """Return the squared error, averaged over bins and summed over frames."""
        features = self.features(batch.speech)
        predicted = self.head(F.layer_norm(features.values, features.values.shape[-1:]))
        targets = self.targets(batch.speech)
        error = (predicted.float() - targets).square().mean(-1).sum()
        variance = targets.square().mean(-1).sum()
        return Loss(error, len(targets), {"error": (error, variance)})

    @torch.no_grad()
    def targets(self, speech: Packed) -> Tensor:
        """Return (total_frames, num_bins); every second mel frame covers the samples of one frame of the extractor."""
        with torch.autocast(speech.values.device.type, enabled=False):
            energies = [fbank(clip, num_bins=self.num_bins)[::2] for clip in speech]
        return torch.cat([clip - clip.mean(0) for clip in energies]) / SPREAD
