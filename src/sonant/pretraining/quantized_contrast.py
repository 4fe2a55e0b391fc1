"""Contrast against quantized frames, the part shared by the objectives of wav2vec 2.0 and w2v-BERT."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.gumbel_quantizer import GumbelQuantizer, Temperature, code_perplexity, diversity, perplexity
from sonant.layers.kernels.device import to_device
from sonant.layers.loaded_tensors import load_tensors
from sonant.layers.negatives import draw_negatives
from sonant.layers.packed import Packed
from sonant.loss import Objective
from sonant.pretraining.batches import SpeechBatch


@dataclass(frozen=True, kw_only=True)
class ContrastSettings:
    """Settings of a contrast, a part of those of an objective. In brackets: fairseq's name.

    Attributes:
        num_codebooks, codebook_size: of the quantizer (latent_groups, latent_vars).
        quantized_dim: width of quantized frames (latent_dim).
        projection_dim: width in which cosines are computed (final_dim).
        temperature: of the quantizer's Gumbel softmax (latent_temp).
        num_negatives: distractors of each masked frame.
        logit_temperature: divides the cosines (logit_temp).
    """

    num_codebooks: int = 2
    codebook_size: int = 320
    quantized_dim: int = 256
    projection_dim: int = 256
    temperature: Temperature = Temperature()
    num_negatives: int = 100
    logit_temperature: float = 0.1


@dataclass(frozen=True, eq=False)
class Contrasted:
    """Result of a contrast.

    Attributes:
        loss: cross-entropy, summed over the rows.
        diversity: diversity loss, not weighted.
        likeliest: int64 (rows, num_codebooks), codes of largest probability, without Gumbel noise.
        metrics: for the log.
    """

    loss: Tensor
    diversity: Tensor
    likeliest: Tensor
    metrics: dict[str, tuple[Tensor | float, int]]


class QuantizedContrast(nn.Module):
    """Choice of the quantized frame of a context row among those of other rows of its clip.

    Source: wav2vec 2.0 (arXiv 2006.11477, section 3); fairseq `models/wav2vec/wav2vec2.py`.
    """

    def __init__(self, input_dim: int, context_dim: int, settings: ContrastSettings) -> None:
        super().__init__()
        self.settings = settings
        self.quantizer = GumbelQuantizer(
            input_dim,
            settings.quantized_dim,
            num_codebooks=settings.num_codebooks,
            codebook_size=settings.codebook_size,
            temperature=settings.temperature.start,
        )
        # fairseq draws them from [0, 1), so that all targets start close together, which slows a short run down.
        nn.init.normal_(self.quantizer.codebook)
        self.target_projection = nn.Linear(settings.quantized_dim, settings.projection_dim)
        self.projection = nn.Linear(context_dim, settings.projection_dim)

    def anneal(self, step: int) -> None:
        """Set the quantizer's temperature for an update."""
        self.quantizer.temperature = self.settings.temperature.at(step)

    def forward(
        self,
        context: Tensor,
        frames: Tensor,
        lengths: Tensor,
        *,
        noise: Tensor | None = None,
        negatives: Tensor | None = None,
    ) -> Contrasted:
        """Contrast rows of packed clips.

        Args:
            context: (rows, context_dim).
            frames: (rows, input_dim), to be quantized.
            lengths: int64 (clips,) on the CPU; rows of each clip, not 1.
            noise: Gumbel samples of the quantizer, (rows * num_codebooks, codebook_size); None draws them.
            negatives: int64 (rows, num_negatives), indices of rows; None draws them.
        """
        quantized = self.quantizer(frames, noise=noise)
        if negatives is None:
            negatives = draw_negatives(lengths, self.settings.num_negatives, device=context.device)
        logits = contrastive_logits(
            self.projection(context),
            self.target_projection(quantized.values),
            negatives,
            codes=quantized.codes,
            temperature=self.settings.logit_temperature,
        )
        count = len(logits)
        loss = F.cross_entropy(logits, negatives.new_zeros(count), reduction="sum")
        unused = diversity(quantized.probabilities)
        likeliest = quantized.probabilities.argmax(-1)
        with torch.no_grad():
            correct = (logits[:, 0] > logits[:, 1:].amax(1)).sum()
            in_use = code_perplexity(
                likeliest, self.settings.codebook_size
            ).sum()  # of drawn codes it would hide a collapse
        return Contrasted(
            loss,
            unused,
            likeliest,
            {
                "contrastive_loss": (loss, count),
                "contrastive_accuracy": (correct, count),
                "code_perplexity": (in_use, 1),
                "probability_perplexity": (perplexity(quantized.probabilities).sum(), 1),
                "diversity": (unused, 1),
                "temperature": (self.quantizer.temperature, 1),
            },
        )

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """Return a warning if the codebooks have collapsed or the contrast is trivial; None otherwise."""
        num_codebooks, codebook_size = self.settings.num_codebooks, self.settings.codebook_size
        accuracy = metrics["contrastive_accuracy"]
        in_use = f"{metrics['code_perplexity']:.1f} of {num_codebooks * codebook_size} codes are in use"
        cure = (
            "Distractors that equal the target are left out, so the loss falls while nothing is learned. Start again "
            "with a lower lr or larger batches (grad_accumulation), a larger diversity_weight, or a lower "
            "extractor_gradient."
        )
        if accuracy > 0.99 and metrics["contrastive_loss"] < 0.1:
            return f"The contrast has become trivial: accuracy {accuracy:.3f}, and {in_use}. {cure}"
        if metrics["code_perplexity"] < max(2 * num_codebooks, 0.02 * num_codebooks * codebook_size):
            return f"The codebook collapses: {in_use}. {cure}"
        return None

    def head_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the quantizer and the projections."""
        return dict(self.state_dict())

    def load_head(self, tensors: Mapping[str, Tensor]) -> None:
        """Load a trained quantizer and projections, as returned by `head_tensors`."""
        load_tensors(
            self.head_tensors(),
            tensors,
            what="The head of the objective",
            cure="Set num_codebooks, codebook_size, quantized_dim and projection_dim to those it was trained with.",
        )


class ContrastObjective(Objective):
    """Objective with a contrast, whose temperature falls, whose collapse is watched for, and which is saved."""

    contrast: QuantizedContrast

    def anneal(self, step: int) -> None:
        """Set the quantizer's temperature for an update."""
        self.contrast.anneal(step)

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """Return a warning if the contrast has collapsed; None otherwise."""
        return self.contrast.warning(metrics)

    def head_notes(self) -> dict[str, Any]:
        """Return the number of codebooks, which the shapes of the quantizer's tensors do not determine."""
        return {"num_codebooks": self.contrast.settings.num_codebooks}

    def head_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the quantizer and the projections."""
        return self.contrast.head_tensors()


def contrastive_logits(
    context: Tensor, targets: Tensor, negatives: Tensor, *, codes: Tensor, temperature: float = 0.1
) -> Tensor:
    """Cosines of each context row with its target and its negatives, divided by the temperature.

    One product of all rows costs less than gathering a hundred negatives for each.

    Args:
        context, targets: (rows, dim).
        negatives: int64 (rows, negatives), indices of rows.
        codes: int64 (rows, num_codebooks), of the targets; a negative with the codes of the target has logit -inf.

    Returns:
        float32 (rows, 1 + negatives), the target's first.
    """
    with torch.autocast(context.device.type, enabled=False):
        directions = [
            F.normalize(side.to(torch.promote_types(side.dtype, torch.float32))) for side in (context, targets)
        ]
        logits = directions[0] @ directions[1].T / temperature  # (rows, rows)
    equal = (codes[negatives] == codes[:, None]).all(-1)
    others = logits.gather(1, negatives).masked_fill(equal, -torch.inf)
    return torch.cat([logits.diagonal()[:, None], others], dim=1)


def scored_frames(batch: SpeechBatch, frames: Packed) -> tuple[Tensor, Tensor]:
    """Select the masked frames of clips that have at least two, given the frames of the batch for their lengths.

    Returns:
        Frame indices, int64 (rows,), on the device of the batch; their number in each clip, int64 (clips,), on the CPU.
    """
    masked = torch.from_numpy(batch.masked_on_cpu)
    clip = torch.bucketize(masked, frames.offsets[1:], right=True)
    lengths = torch.bincount(clip, minlength=len(frames))
    if not bool((lengths > 1).any()):
        raise ConfigurationError(
            f"None of {len(frames)} clips has two masked frames to contrast. Raise min_seconds, or masking.fraction."
        )
    alone = lengths == 1
    if not bool(alone.any()):
        return batch.masked, lengths
    return to_device(masked[~alone[clip]], batch.masked.device), lengths.masked_fill(alone, 0)
