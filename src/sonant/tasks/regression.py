"""Head of regression: numbers of a recording, such as an age or arousal."""

import torch
from torch import Tensor, nn

from sonant.tasks.attentive_pooling import AttentivePooling
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import tensors_of
from sonant.tasks.sequence_classification import SequenceClassificationHead


class RegressionHead(SequenceClassificationHead):
    """A head of sequence classification whose outputs are standardized numbers while it is trained.

    Its tensors are those of a head that gives the numbers themselves.

    Args:
        mean, std: of the numbers (outputs,).
        projector, classifier, mix, attention: as in `SequenceClassificationHead`.
    """

    def __init__(
        self,
        projector: nn.Linear,
        classifier: nn.Linear,
        mix: LayerMix,
        attention: AttentivePooling | None = None,
        *,
        mean: Tensor,
        std: Tensor,
    ) -> None:
        super().__init__(projector, classifier, mix, attention)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def read(self, pooled: Tensor) -> Tensor:
        return super().read(pooled) * self.std + self.mean

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        classifier = tensors_of(self.classifier, "classifier.")
        scaled = {
            "classifier.weight": classifier["classifier.weight"] * self.std[:, None],
            "classifier.bias": classifier["classifier.bias"] * self.std + self.mean,
        }
        return super().tensors() | scaled
