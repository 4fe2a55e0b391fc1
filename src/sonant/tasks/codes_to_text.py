"""Training of text from codes: label-smoothed cross-entropy with teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sonant.data import BucketSampler
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.loss import Loss, Objective
from sonant.models.codes_to_text import CodesToText
from sonant.models.token_decoder import with_end


@dataclass(frozen=True, eq=False)
class TranscribedCodes:
    """A batch of codes and text.

    Attributes:
        codes: int64 (total_frames, num_codebooks).
        text: int64 (total_subwords,), the subwords of each clip, without "</s>".
        stride: samples of audio in a frame, for the reported throughput.
    """

    codes: Packed
    text: Packed
    stride: int = 160

    def to(self, device: torch.device | str) -> TranscribedCodes:
        return TranscribedCodes(self.codes.to(device), self.text.to(device), self.stride)

    @property
    def num_samples(self) -> int:
        return len(self.codes.values) * self.stride


class TranscribedCodesBatches:
    """Batches of clips of similar length, by the number of the step: a function of seed and step alone.

    Args:
        codes: of each clip, (frames, num_codebooks).
        texts: the subwords of each clip, (subwords,).
        batch_frames: approximate number of frames in a batch.
    """

    def __init__(
        self,
        codes: Sequence[NDArray[np.integer]],
        texts: Sequence[Sequence[int]],
        *,
        batch_frames: int,
        seed: int = 0,
        stride: int = 160,
    ) -> None:
        if len(codes) != len(texts):
            raise ConfigurationError(f"There are codes of {len(codes)} clips and texts of {len(texts)}; give one each.")
        lengths = [len(clip) for clip in codes]
        self.codes, self.texts, self.stride = codes, texts, stride
        self.sampler = BucketSampler(lengths, budget=batch_frames, max_length=max(lengths), min_length=1, seed=seed)

    def __getitem__(self, step: int) -> TranscribedCodes:
        members = [member for member, _ in self.sampler[step]]
        return TranscribedCodes(
            Packed.pack(torch.from_numpy(np.asarray(self.codes[i], dtype=np.int64)) for i in members),
            Packed.pack(torch.tensor(self.texts[i], dtype=torch.int64) for i in members),
            self.stride,
        )


class WriteText(Objective):
    """Label-smoothed cross-entropy of the next subword.

    Args:
        model: the network.
        smoothing: weight that is distributed uniformly over all subwords.

    Source: fairseq `criterions/label_smoothed_cross_entropy.py`.
    """

    def __init__(self, model: CodesToText, *, smoothing: float = 0.1) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ConfigurationError(f"smoothing={smoothing} is a share of the weight, at least 0 and below 1.")
        self.model, self.smoothing = model, smoothing

    def forward(self, batch: TranscribedCodes) -> Loss:
        """Return the loss, summed over subwords and ends."""
        targets = with_end(batch.text).values
        return next_token_loss(self.model(batch.codes, batch.text), targets, smoothing=self.smoothing)


def next_token_loss(logits: Tensor, targets: Tensor, *, smoothing: float) -> Loss:
    """Compute label-smoothed cross-entropy from logits (total, vocabulary) and int64 (total,), and token accuracy."""
    logits = logits.float()
    plain = F.cross_entropy(logits.detach(), targets, reduction="sum")
    total = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)
    correct, count = (logits.argmax(-1) == targets).sum(), len(targets)
    return Loss(total, count, {"text_loss": (plain, count), "text_accuracy": (correct, count)})
