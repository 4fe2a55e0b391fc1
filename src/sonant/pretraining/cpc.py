"""Contrastive predictive coding (CPC): the objective of wav2vec and vq-wav2vec."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.layers.gumbel_quantizer import GumbelQuantizer, Quantized, Temperature, code_perplexity, perplexity
from sonant.layers.kernels.device import to_device
from sonant.layers.kmeans_quantizer import Clustered, KMeansQuantizer
from sonant.layers.loaded_tensors import load_tensors
from sonant.layers.masking import SpanMasking
from sonant.layers.negatives import draw_negatives
from sonant.layers.packed import Packed, steps_at
from sonant.loss import Loss, Objective
from sonant.models import VQWav2Vec, WaveformConvNet
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.step_heads import StepHeads, future_logits


@dataclass(frozen=True, kw_only=True)
class CPCConfig:
    """Settings; the defaults are the published ones. In brackets: fairseq's name.

    Attributes:
        steps: number of steps ahead that are predicted (prediction_steps).
        offset: frames from the context to the first predicted frame; None for receptive field / stride, rounded up, so
            that the two receptive fields do not overlap.
        num_negatives: negatives of each frame, other frames of its clip.
        contrast: "binary" classifies each pair as true or negative; "infonce" is a softmax over them (infonce).
        balanced: divide the negatives' part of the binary loss by num_negatives (balanced_classes).
        temperature: of the Gumbel quantizer (vq_temp).
        diversity_weight: of the Gumbel quantizer's number of codes minus the perplexity of its probabilities; 0 in the
            published run (loss_weights).
        commitment: weight of the k-means quantizer's commitment loss (vq_gamma).
        quantized: predict quantized frames, for vq-wav2vec. False is ours, for the first stage of a short run: fresh
            frames quantize into a few codes, and the codebook collapses.
        codes_from_frames: initialize the k-means codebook with frames of the first batch. Ours.
    """

    masking: ClassVar[SpanMasking | None] = None  # CPC masks nothing
    steps: int = 12
    offset: int | None = None
    num_negatives: int = 10
    contrast: Literal["binary", "infonce"] = "binary"
    balanced: bool = False
    temperature: Temperature = Temperature()
    diversity_weight: float = 0.0
    commitment: float = 0.25
    quantized: bool = True
    codes_from_frames: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or self.num_negatives < 1 or (self.offset is not None and self.offset < 1):
            raise ConfigurationError(
                f"steps={self.steps}, num_negatives={self.num_negatives} and offset={self.offset} must be at least 1."
            )


class CPC(Objective):
    """Distinguish the frame at time t + offset + k from negatives of its clip, given the context c at time t.

    With scores s_0 = z . h_k(c) of the true frame z and s_1 ... s_n of the negatives, h_k a linear layer, the loss is::

        binary:   -log sigmoid(s_0) - sum_i log sigmoid(-s_i)
        infonce:  -log(exp(s_0) / sum_i exp(s_i))

    All steps k that predict a frame share its negatives. For vq-wav2vec frames and negatives are quantized, and the
    quantizer's losses are added: codebook and commitment loss of k-means, weighted diversity of the Gumbel softmax.

    fairseq mixes up axes when it excludes a frame from its own negatives, so with m frames in a clip one negative in m
    is the true frame; here none is.

    Source: wav2vec (arXiv 1904.05862, section 3.2), vq-wav2vec (arXiv 1910.05453); fairseq
    `models/wav2vec/wav2vec.py` (`Wav2VecPredictionsModel`), `criterions/wav2vec_criterion.py`.
    """

    def __init__(self, backbone: WaveformConvNet, config: CPCConfig) -> None:
        super().__init__()
        self.backbone, self.config = backbone, config
        if isinstance(backbone, VQWav2Vec):
            backbone.quantizer.requires_grad_(config.quantized)
        self.offset = -(-backbone.receptive_field // backbone.stride) if config.offset is None else config.offset
        self.heads = StepHeads(backbone.dim, config.steps)
        self.anneal(0)

    def anneal(self, step: int) -> None:
        """Set the temperature of a Gumbel quantizer for an update."""
        if (quantizer := self._gumbel()) is not None:
            quantizer.temperature = self.config.temperature.at(step)

    @torch.no_grad()
    def start(self, batch: SpeechBatch) -> None:
        """Initialize the k-means codebook with frames of a batch, where the settings say so."""
        quantizer = self.backbone.quantizer if isinstance(self.backbone, VQWav2Vec) else None
        if self.config.codes_from_frames and isinstance(quantizer, KMeansQuantizer):
            quantizer.start_from(self.backbone.features(batch.speech))

    def _gumbel(self) -> GumbelQuantizer | None:
        quantizer = self.backbone.quantizer if isinstance(self.backbone, VQWav2Vec) else None
        return quantizer if isinstance(quantizer, GumbelQuantizer) else None

    def forward(self, batch: SpeechBatch, *, noise: Tensor | None = None, negatives: Tensor | None = None) -> Loss:
        """Return the loss, summed over the pairs of time and step whose frame lies in the clip.

        Args:
            noise: Gumbel samples (total_frames * num_codebooks, codebook_size); None draws them.
            negatives: int64 (total_frames, num_negatives), indices of frames; None draws them.
        """
        features = self.backbone.features(batch.speech)
        quantized: Quantized | Clustered | None = None
        latents = features
        if isinstance(self.backbone, VQWav2Vec) and self.config.quantized:
            quantized = self.backbone.quantize(features, noise=noise)
            latents = features.with_values(quantized.values)
        context = self.backbone.encode(latents, layers=["last"]).last
        assert context is not None
        if negatives is None:
            negatives = self._draw(latents.lengths, context.device)

        logits = future_logits(
            self.heads(context), latents.values, negatives, offset=self.offset
        )  # (total, steps, 1 + negatives)
        valid, count = self._valid(latents, context.device)
        total = torch.where(valid, self._contrast(logits), 0.0).sum()
        with torch.no_grad():
            # As in fairseq, a negative equal to the true vector does not make a prediction wrong, unless all are equal.
            own, others = logits[..., 0], logits[..., 1:]
            correct = (valid & (own >= others.amax(-1)) & (own > others.amin(-1))).sum()
        metrics: dict[str, tuple[Tensor | float, float]] = {
            "contrast_loss": (total, count),
            "accuracy": (correct, count),
        }
        if quantized is not None:
            extra, more = self._quantizer_terms(quantized)
            total = total + count * extra
            metrics |= more
        return Loss(total, count, metrics)

    def _draw(self, lengths: Tensor, device: torch.device) -> Tensor:
        """Draw negatives; the frame of a clip of one frame, which no step predicts, is its own."""
        drawn = draw_negatives(torch.where(lengths > 1, lengths, 0), self.config.num_negatives, device=device)
        if int(lengths.min()) > 1:
            return drawn
        company = to_device((lengths > 1).repeat_interleave(lengths).nonzero().flatten(), device)
        everything = torch.arange(int(lengths.sum()), device=device)[:, None].repeat(1, self.config.num_negatives)
        return everything.index_copy(0, company, company[drawn])

    def _valid(self, frames: Packed, device: torch.device) -> tuple[Tensor, int]:
        """Return bool (total, steps), True where the time that predicts a frame lies in its clip, and their number."""
        ahead = self.offset + torch.arange(self.config.steps)
        count = int((frames.lengths[:, None] - ahead).clamp(min=0).sum())
        position = steps_at(torch.zeros_like(frames.lengths), frames.lengths)
        return to_device(position, device)[:, None] >= to_device(ahead, device), count

    def _contrast(self, logits: Tensor) -> Tensor:
        """Logits (total, steps, 1 + negatives) to losses (total, steps)."""
        if self.config.contrast == "infonce":
            return logits.logsumexp(-1) - logits[..., 0]
        negative = F.softplus(logits[..., 1:]).sum(-1)
        return F.softplus(-logits[..., 0]) + (
            negative / self.config.num_negatives if self.config.balanced else negative
        )

    def _quantizer_terms(
        self, quantized: Quantized | Clustered
    ) -> tuple[Tensor, dict[str, tuple[Tensor | float, float]]]:
        """Return the quantizer's loss, to be added to that of each prediction, and its metrics."""
        assert isinstance(self.backbone, VQWav2Vec)
        codebook_size = self.backbone.config.codebook_size
        if isinstance(quantized, Clustered):
            extra = quantized.codebook_loss + self.config.commitment * quantized.commitment_loss
            return extra, {
                "code_perplexity": (code_perplexity(quantized.codes, codebook_size).sum(), 1),
                "kmeans_loss": (extra, 1),
            }
        gumbel = self._gumbel()
        assert gumbel is not None
        likeliest = quantized.probabilities.argmax(-1)  # drawn codes stay diverse in a collapse
        in_use = perplexity(quantized.probabilities).sum()
        extra = self.config.diversity_weight * (gumbel.num_codebooks * codebook_size - in_use)
        return extra, {
            "code_perplexity": (code_perplexity(likeliest, codebook_size).sum(), 1),
            "probability_perplexity": (in_use, 1),
            "temperature": (gumbel.temperature, 1),
        }

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """Return a warning if the mean perplexity of the codebooks is below 2; None otherwise."""
        if not isinstance(self.backbone, VQWav2Vec) or "code_perplexity" not in metrics:
            return None
        config = self.backbone.config
        if metrics["code_perplexity"] >= 2 * config.num_codebooks:
            return None
        return (
            f"The codebook collapses: {metrics['code_perplexity']:.1f} of "
            f"{config.num_codebooks * config.codebook_size} codes are in use. Lower the learning rate or lengthen the "
            "warm-up; for the Gumbel quantizer, let the temperature fall more slowly, or give diversity_weight a value."
        )

    def head_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the step heads."""
        return {
            "steps.weight": self.heads.weight.detach(),
            "steps.bias": self.heads.bias.detach(),
        }

    def load_head(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Load the step heads of a trained model, as returned by `head_tensors`."""
        if tensors:
            load_tensors(
                self.head_tensors(),
                tensors,
                what="The head of the objective",
                cure="Set objective.steps to the number it was trained with.",
            )
