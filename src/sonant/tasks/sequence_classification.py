"""The head of sequence classification: a label for a recording, such as language, keyword or emotion."""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of
from sonant.tasks.pooled import PooledHead


class SequenceClassificationHead(PooledHead):
    """A projection of each frame, their mean, and a linear layer.

    Args:
        projector: dim to the pooled width.
        classifier: pooled width to labels.
        mix: weighted sum of states.

    Source: transformers `Wav2Vec2ForSequenceClassification`.
    """

    def __init__(self, projector: nn.Linear, classifier: nn.Linear, mix: LayerMix) -> None:
        super().__init__(mix)
        self.projector = projector
        self.classifier = classifier

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make the head from `projector.*`, `classifier.*`, and `layer_weights` where states are mixed."""
        return cls(linear_of(tensors, "projector."), linear_of(tensors, "classifier."), LayerMix.from_tensors(tensors))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        linears = tensors_of(self.projector, "projector.") | tensors_of(self.classifier, "classifier.")
        return linears | self.mix.tensors()

    def project(self, states: Packed) -> Packed:
        frames = self.mix(states)
        return frames.with_values(self.projector(frames.values))

    def read(self, pooled: Tensor) -> Tensor:
        logits: Tensor = self.classifier(pooled)
        return logits
