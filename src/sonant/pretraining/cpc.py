"""Contrastive predictive coding (CPC): wav2vec tells the frames that come next from others of its clip."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.gumbel_quantizer import GumbelQuantizer, Quantized, Temperature, code_perplexity, perplexity
from sonant.layers.kernels.device import to_device
from sonant.layers.kmeans_quantizer import Clustered, KMeansQuantizer
from sonant.layers.masking import SpanMasking
from sonant.layers.negatives import draw_negatives
from sonant.layers.packed import Packed, steps_at
from sonant.loss import Loss, Objective
from sonant.models import VQWav2Vec, WaveformConvNet
from sonant.pretraining.batches import SpeechBatch


@dataclass(frozen=True, kw_only=True)
class CPCConfig:
    """Settings; the defaults are the published ones. In brackets: fairseq's name.

    Attributes:
        steps: number of frames ahead that are predicted (prediction_steps).
        offset: how far ahead the first of them lies; None is the receptive field over the stride, rounded up, so that
            it does not overlap what the present frame has seen.
        num_negatives: other frames of the clip that each is told from.
        contrast: "binary" scores every pair by itself, "infonce" the true one against its negatives (infonce).
        balanced: each negative of the binary contrast counts 1 / num_negatives (balanced_classes).
        temperature: of the Gumbel quantizer (vq_temp).
        diversity_weight: of the diversity loss of the Gumbel quantizer, codes less the perplexity of the probabilities;
            0 in the published run (loss_weights).
        commitment: weight of the loss that holds frames to the code vectors of the k-means quantizer (vq_gamma).
        quantized: whether a vq-wav2vec's frames go through its quantizer. Ours: a short run begins without, so that
            there is something to quantize; codes that mean nothing yet teach nothing, and collapse.
        codes_from_frames: whether the k-means codebook starts from frames of the first batch. Ours, as well.
    """

    masking: ClassVar[SpanMasking | None] = None  # no frame is hidden
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


class StepHeads(nn.Module):
    """An affine map of the context for each step ahead; the steps share a bias.

    Attributes:
        weight: (dim in, dim out, 1, steps), the layout of the original's transposed convolution.
        bias: (dim out).
    """

    def __init__(self, dim: int, steps: int) -> None:
        super().__init__()
        bound = 1 / sqrt(dim * steps)  # as torch initializes a transposed convolution of this shape
        self.weight = nn.Parameter(torch.empty(dim, dim, 1, steps).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(dim).uniform_(-bound, bound))

    def forward(self, context: Tensor) -> Tensor:
        """(total, dim) to (total, steps, dim)."""
        dim, _, _, steps = self.weight.shape
        maps = self.weight[:, :, 0].permute(2, 1, 0).flatten(0, 1)  # (steps * dim out, dim in)
        return F.linear(context, maps, self.bias.repeat(steps)).unflatten(1, (steps, dim))


class CPC(Objective):
    """Score each frame that comes next, and others of its clip, by their inner products with a map of the context.

    Step k of time t belongs to the frame at t + offset + k, where the clip is that long. Each frame has negatives of
    its own, which all steps that predict it share. For vq-wav2vec, frames and negatives are the quantized ones, and
    k-means adds its two losses, the Gumbel softmax its diversity where that has a weight.

    The original draws the negatives of a frame to avoid the time of another, by a slip of layout, so that one in as
    many as the clip has frames is the frame itself; here none is.

    Source: wav2vec (arXiv 1904.05862, section 3.2), vq-wav2vec (arXiv 1910.05453); fairseq
    `models/wav2vec/wav2vec.py` (`Wav2VecPredictionsModel`), `criterions/wav2vec_criterion.py`.
    """

    def __init__(self, backbone: WaveformConvNet, config: CPCConfig) -> None:
        super().__init__()
        self.backbone, self.config = backbone, config
        self.offset = -(-backbone.receptive_field // backbone.stride) if config.offset is None else config.offset
        self.heads = StepHeads(backbone.dim, config.steps)
        self.anneal(0)

    def anneal(self, step: int) -> None:
        """Set the quantizer's temperature for an update, where it has one."""
        if (quantizer := self._gumbel()) is not None:
            quantizer.temperature = self.config.temperature.at(step)

    @torch.no_grad()
    def start(self, batch: SpeechBatch) -> None:
        """Set the k-means codebook to frames of a batch before the first update, where the settings say so."""
        quantizer = self.backbone.quantizer if isinstance(self.backbone, VQWav2Vec) else None
        if self.config.codes_from_frames and isinstance(quantizer, KMeansQuantizer):
            quantizer.start_from(self.backbone.features(batch.speech))

    def _gumbel(self) -> GumbelQuantizer | None:
        quantizer = self.backbone.quantizer if isinstance(self.backbone, VQWav2Vec) else None
        return quantizer if isinstance(quantizer, GumbelQuantizer) else None

    def forward(self, batch: SpeechBatch, *, noise: Tensor | None = None, negatives: Tensor | None = None) -> Loss:
        """Return the loss, summed over the predictions: the pairs of a time and a step that end within the clip.

        Args:
            noise: Gumbel samples (total_frames * num_codebooks, codebook_size); None draws them.
            negatives: int64 (total_frames, num_negatives), numbers of frames; None draws them.
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
            # As in fairseq, a negative that is the same vector does no harm, unless all of them are.
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
        """Negatives of every frame; the only frame of a clip, which no step predicts, has itself."""
        drawn = draw_negatives(torch.where(lengths > 1, lengths, 0), self.config.num_negatives, device=device)
        if int(lengths.min()) > 1:
            return drawn
        company = to_device((lengths > 1).repeat_interleave(lengths).nonzero().flatten(), device)
        everything = torch.arange(int(lengths.sum()), device=device)[:, None].repeat(1, self.config.num_negatives)
        return everything.index_copy(0, company, company[drawn])

    def _valid(self, frames: Packed, device: torch.device) -> tuple[Tensor, int]:
        """Return which times that predict a frame at a step lie in the clip, bool (total, steps), and how many do."""
        ahead = self.offset + torch.arange(self.config.steps)
        count = int((frames.lengths[:, None] - ahead).clamp(min=0).sum())
        position = steps_at(torch.zeros_like(frames.lengths), frames.lengths)
        return to_device(position, device)[:, None] >= to_device(ahead, device), count

    def _contrast(self, logits: Tensor) -> Tensor:
        """(total, steps, 1 + negatives) to the loss of each prediction (total, steps)."""
        if self.config.contrast == "infonce":
            return logits.logsumexp(-1) - logits[..., 0]
        negative = F.softplus(logits[..., 1:]).sum(-1)
        return F.softplus(-logits[..., 0]) + (
            negative / self.config.num_negatives if self.config.balanced else negative
        )

    def _quantizer_terms(
        self, quantized: Quantized | Clustered
    ) -> tuple[Tensor, dict[str, tuple[Tensor | float, float]]]:
        """Return the quantizer's term in the loss of each prediction, and its metrics."""
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
        likeliest = quantized.probabilities.argmax(-1)  # the drawn codes stay diverse in a collapse
        in_use = perplexity(quantized.probabilities).sum()
        extra = self.config.diversity_weight * (gumbel.num_codebooks * codebook_size - in_use)
        return extra, {
            "code_perplexity": (code_perplexity(likeliest, codebook_size).sum(), 1),
            "probability_perplexity": (in_use, 1),
            "temperature": (gumbel.temperature, 1),
        }

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """Return a warning if the quantizer collapses to hardly more than one code in each group; None otherwise."""
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
        """Return the tensors of the heads, one for each step."""
        return {
            "steps.weight": self.heads.weight.detach(),
            "steps.bias": self.heads.bias.detach(),
        }


def future_logits(predictions: Tensor, latents: Tensor, negatives: Tensor, *, offset: int) -> Tensor:
    """Inner products of every frame and its negatives with what was predicted for it, `offset` + step frames before.

    Where those frames would lie before the clip's first, the number means nothing.

    Args:
        predictions: (total, steps, dim), by the time that predicts.
        latents: (total, dim).
        negatives: int64 (total, negatives), numbers of frames.

    Returns:
        float32 (total, steps, 1 + negatives), by the frame that is predicted, its own first.
    """
    wide = torch.promote_types(latents.dtype, torch.float32)
    total, steps, _ = predictions.shape
    aligned = torch.stack(
        [
            F.pad(predictions[: max(0, total - shift), step], (0, 0, min(shift, total), 0))
            for step, shift in enumerate(range(offset, offset + steps))
        ],
        dim=1,
    )
    own = torch.arange(total, device=negatives.device)[:, None]
    candidates = F.embedding(torch.cat([own, negatives], dim=1), latents.to(wide))  # (total, 1 + negatives, dim)
    with torch.autocast(latents.device.type, enabled=False):
        return aligned.to(wide) @ candidates.transpose(1, 2)
