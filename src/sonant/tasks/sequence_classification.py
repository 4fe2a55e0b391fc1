"""The head of sequence classification: a label for a recording, such as language, keyword or emotion."""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.tasks.attentive_pooling import AttentivePooling
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of
from sonant.tasks.pooled import PooledHead


class SequenceClassificationHead(PooledHead):
    """A projection of each frame, their mean or a mean with learned weights, and a linear layer.

    Args:
        projector: dim to the pooled width.
        classifier: pooled width to labels.
        mix: weighted sum of states.
        attention: weights of the mean; None: all frames alike.

    Source: transformers `Wav2Vec2ForSequenceClassification`, which has no attention.
    """

    def __init__(
        self, projector: nn.Linear, classifier: nn.Linear, mix: LayerMix, attention: AttentivePooling | None = None
    ) -> None:
        super().__init__(mix, attention=attention)
        self.projector = projector
        self.classifier = classifier

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make the head from `projector.*`, `classifier.*`, and, if there are, `layer_weights` and `attention.*`."""
        return cls(
            linear_of(tensors, "projector."),
            linear_of(tensors, "classifier."),
            LayerMix.from_tensors(tensors),
            AttentivePooling.from_tensors(tensors),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        linears = tensors_of(self.projector, "projector.") | tensors_of(self.classifier, "classifier.")
        return linears | self.mix.tensors() | ({} if self.attention is None else self.attention.tensors())

    def project(self, states: Packed) -> Packed:
        frames = self.mix(states)
        return frames.with_values(self.projector(frames.values))

    def read(self, pooled: Tensor) -> Tensor:
        logits: Tensor = self.classifier(pooled)
        return logits
