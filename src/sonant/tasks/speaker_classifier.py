"""Classification of the speakers of a training set by their embeddings."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonant.layers.packed import Packed
from sonant.tasks.ecapa import ECAPAHead
from sonant.tasks.linear import tensors_of
from sonant.tasks.xvector import XVectorHead


class SpeakerOutputs(NamedTuple):
    """Speaker embeddings (batch, dim), and the score of each speaker of the training set (batch, speakers)."""

    vectors: Tensor
    scores: Tensor


class SpeakerClassifier(nn.Module):
    """Head with speaker embeddings, and the vectors of the speakers that it is trained to tell apart.

    Args:
        embedder: computes the embeddings.
        hidden: a layer between the embedding and the vectors of speakers, which is used in training alone; None: none.
        num_speakers: of the training set.
        cosines: scores are cosines; False: dot products.

    Source: transformers `WavLMForXVector`, with the hidden layer.
    """

    def __init__(
        self, embedder: XVectorHead | ECAPAHead, hidden: nn.Linear | None, num_speakers: int, *, cosines: bool
    ) -> None:
        super().__init__()
        self.embedder, self.hidden, self.cosines = embedder, hidden, cosines
        width = embedder.dim if hidden is None else hidden.out_features
        self.speakers = nn.Parameter(nn.init.xavier_normal_(torch.empty(width, num_speakers)))

    def forward(self, states: Packed) -> SpeakerOutputs:
        """Compute both outputs of states (total_frames, states, dim)."""
        vectors = self.embedder(states)
        with torch.autocast(vectors.device.type, enabled=False):
            inputs = vectors.float() if self.hidden is None else self.hidden(vectors.float())
            if self.cosines:
                return SpeakerOutputs(vectors, F.normalize(inputs, dim=1) @ F.normalize(self.speakers, dim=0))
            return SpeakerOutputs(vectors, inputs @ self.speakers)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the embedder, and those that are used in training alone."""
        hidden = {} if self.hidden is None else tensors_of(self.hidden, "classifier.")
        return self.embedder.tensors() | hidden | {"objective": self.speakers}

    @property
    def settings(self) -> dict[str, Any]:
        """The metadata of the embedder."""
        return self.embedder.settings
