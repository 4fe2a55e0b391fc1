"""The head of speaker diarization: activity of each speaker in each frame."""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of


class FrameClassificationHead(nn.Module):
    """A linear layer over a weighted sum of states; outputs are independent (sigmoid), since speakers may overlap.

    Args:
        classifier: dim to labels (speakers).
        mix: weighted sum of states.

    Source: transformers `WavLMForAudioFrameClassification`.
    """

    def __init__(self, classifier: nn.Linear, mix: LayerMix) -> None:
        super().__init__()
        self.mix = mix
        self.classifier = classifier

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make the head from `classifier.{weight,bias}`, and `layer_weights` where states are mixed."""
        return cls(linear_of(tensors, "classifier."), LayerMix.from_tensors(tensors))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        return tensors_of(self.classifier, "classifier.") | self.mix.tensors()

    @property
    def num_labels(self) -> int:
        """The number of speakers that it can distinguish."""
        return self.classifier.out_features

    def forward(self, states: Packed) -> Packed:
        """Compute logits (total_frames, labels) of states (total_frames, states, dim)."""
        frames = self.mix(states)
        return frames.with_values(self.classifier(frames.values))
