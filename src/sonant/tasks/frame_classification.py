"""Head of frame classification: speakers who talk, or other classes, in each frame."""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn

from sonant.layers.lstm import PackedLSTM
from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of
from sonant.tasks.recurrent import lstm_of, lstm_tensors


class FrameClassificationHead(nn.Module):
    """A linear layer over a weighted sum of states, or over an LSTM on it.

    Args:
        classifier: dim, or width of the LSTM, to outputs.
        mix: weighted sum of states.
        lstm: over the frames of a clip; None: frames are classified by themselves.

    Source: transformers `WavLMForAudioFrameClassification`, which has no LSTM; SUPERB (arXiv 2105.01051) for the LSTM.
    """

    def __init__(self, classifier: nn.Linear, mix: LayerMix, lstm: PackedLSTM | None = None) -> None:
        super().__init__()
        self.mix = mix
        self.classifier = classifier
        self.lstm = lstm

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make the head from `classifier.{weight,bias}`, and, if there are, `layer_weights` and `lstm.*`."""
        return cls(linear_of(tensors, "classifier."), LayerMix.from_tensors(tensors), lstm_of(tensors))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        return tensors_of(self.classifier, "classifier.") | self.mix.tensors() | lstm_tensors(self.lstm)

    @property
    def num_labels(self) -> int:
        """The number of outputs."""
        return self.classifier.out_features

    def forward(self, states: Packed) -> Packed:
        """Compute logits (total_frames, labels) of states (total_frames, states, dim)."""
        frames = self.mix(states)
        if self.lstm is not None:
            frames = self.lstm(frames)
        return frames.with_values(self.classifier(frames.values))
