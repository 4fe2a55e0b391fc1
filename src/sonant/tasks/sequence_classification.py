"""One label for a whole recording: a language, a keyword, an emotion."""

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of


class SequenceClassificationHead(nn.Module):
    """A projection of each frame, their mean, and a linear layer.

    Args:
        projector: dim to the width of what is averaged.
        classifier: that width to labels.
        mix: of states.

    Source: transformers `Wav2Vec2ForSequenceClassification`.
    """

    def __init__(self, projector: nn.Linear, classifier: nn.Linear, mix: LayerMix) -> None:
        super().__init__()
        self.mix = mix
        self.projector = projector
        self.classifier = classifier

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """From `projector.*`, `classifier.*`, and `layer_weights` where states are mixed."""
        return cls(linear_of(tensors, "projector."), linear_of(tensors, "classifier."), LayerMix.from_tensors(tensors))

    def tensors(self) -> dict[str, Tensor]:
        """Return what `from_tensors` takes."""
        linears = tensors_of(self.projector, "projector.") | tensors_of(self.classifier, "classifier.")
        return linears | self.mix.tensors()

    def forward(self, states: Packed) -> Tensor:
        """States (total_frames, states, dim) to logits (batch, labels)."""
        frames = self.mix(states)
        means = [clip.mean(0) for clip in frames.with_values(self.projector(frames.values))]
        logits: Tensor = self.classifier(torch.stack(means))  # (batch, labels)
        return logits
