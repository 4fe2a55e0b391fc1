"""Masked contrast: wav2vec 2.0 tells the quantised frame behind a mask from others of the same clip."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import CheckpointMismatch, ConfigurationError
from sonant.layers.gumbel_quantizer import GumbelQuantizer, Temperature, code_perplexity, diversity, perplexity
from sonant.layers.masking import SpanMasking
from sonant.layers.negatives import draw_negatives
from sonant.layers.packed import Packed
from sonant.layers.scale_gradient import scale_gradient
from sonant.loss import Loss
from sonant.models import WaveformTransformer
from sonant.pretraining.batches import SpeechBatch

# Names of the tensors that a checkpoint keeps of the head, and where they live here.
HEAD = {
    "quantizer.codevectors": "quantizer.codebook",
    "quantizer.weight_proj.weight": "quantizer.projections.0.weight",
    "quantizer.weight_proj.bias": "quantizer.projections.0.bias",
    "project_q.weight": "target_projection.weight",
    "project_q.bias": "target_projection.bias",
    "final_proj.weight": "projection.weight",
    "final_proj.bias": "projection.bias",
}


@dataclass(frozen=True, kw_only=True)
class MaskedContrastConfig:
    """Settings; the defaults are those of the published base model. In brackets: fairseq's name.

    Attributes:
        masking: which frames are hidden.
        groups, codes: codebooks of the quantiser, and code vectors in each (latent_groups, latent_vars).
        quantized_dim: width of the quantised frame (latent_dim).
        projection_dim: width in which frames are compared (final_dim).
        temperature: of the quantiser's Gumbel softmax (latent_temp).
        num_negatives: distractors a masked frame.
        logit_temperature: divides the cosines (logit_temp).
        diversity_weight: of the share of idle codes.
        feature_penalty: weight of the mean square of the extractor's output.
        extractor_gradient: factor on the gradient that reaches the extractor (feature_grad_mult).
        feature_dropout: of the frames that are quantised (dropout_features).
    """

    masking: SpanMasking = SpanMasking(fraction=0.65)
    groups: int = 2
    codes: int = 320
    quantized_dim: int = 256
    projection_dim: int = 256
    temperature: Temperature = Temperature()
    num_negatives: int = 100
    logit_temperature: float = 0.1
    diversity_weight: float = 0.1
    feature_penalty: float = 10.0
    extractor_gradient: float = 0.1
    feature_dropout: float = 0.1


class MaskedContrast(nn.Module):
    """Find the quantised frame behind each mask among distractors from other masked frames of its clip.

    A clip with a single masked frame has no distractors and is not scored.

    Source: wav2vec 2.0 (arXiv 2006.11477, section 3); fairseq `models/wav2vec/wav2vec2.py`,
    `criterions/wav2vec_criterion.py`.
    """

    def __init__(self, backbone: WaveformTransformer, config: MaskedContrastConfig) -> None:
        super().__init__()
        self.backbone, self.config = backbone, config
        self.feature_dropout = nn.Dropout(config.feature_dropout)
        self.quantizer = GumbelQuantizer(
            backbone.config.conv_channels[-1],
            config.quantized_dim,
            groups=config.groups,
            codes=config.codes,
            temperature=config.temperature.start,
        )
        # fairseq draws the code vectors from [0, 1): all targets start close together, which a short run cannot afford.
        nn.init.normal_(self.quantizer.codebook)
        self.target_projection = nn.Linear(config.quantized_dim, config.projection_dim)
        self.projection = nn.Linear(backbone.dim, config.projection_dim)

    def anneal(self, step: int) -> None:
        """Set the quantiser's temperature for an update."""
        self.quantizer.temperature = self.config.temperature.at(step)

    def loss(self, batch: SpeechBatch, *, noise: Tensor | None = None, negatives: Tensor | None = None) -> Loss:
        """Summed over the masked frames.

        Args:
            noise: Gumbel samples of the quantiser, (masked * groups, codes); None draws them.
            negatives: int64 (masked, num_negatives), numbers of masked frames; None draws them.
        """
        config = self.config
        features = self.backbone.extractor(batch.speech)
        features = features.with_values(scale_gradient(features.values, config.extractor_gradient))
        normed = features.with_values(self.backbone.projection.norm(features.values))
        output = self.backbone.encode_normed(normed, mask=batch.mask, layers=["last"]).last
        assert output is not None
        scored, lengths = scored_frames(batch.mask, features)
        count = int(lengths.sum())

        quantized = self.quantizer(self.feature_dropout(normed.values[scored]), noise=noise)
        if negatives is None:
            negatives = draw_negatives(lengths, config.num_negatives).to(output.device)
        logits = contrastive_logits(
            self.projection(output[scored]),
            self.target_projection(quantized.values),
            negatives,
            codes=quantized.codes,
            temperature=config.logit_temperature,
        )
        contrast = F.cross_entropy(logits, negatives.new_zeros(count), reduction="sum")
        idle = diversity(quantized.probabilities)
        penalty = features.values.float().square().mean()
        total = contrast + count * (config.diversity_weight * idle + config.feature_penalty * penalty)
        with torch.no_grad():
            correct = (logits[:, 0] > logits[:, 1:].amax(1)).sum()
            likeliest = quantized.probabilities.argmax(-1)  # as in fairseq: noise would hide that few codes are left
            in_use = code_perplexity(likeliest, config.codes).sum()
        return Loss(
            total,
            count,
            {
                "contrastive_loss": (contrast.item(), count),
                "accuracy": (correct.item(), count),
                "code_perplexity": (in_use.item(), 1),
                "probability_perplexity": (perplexity(quantized.probabilities).sum().item(), 1),
                "diversity": (idle.item(), 1),
                "feature_penalty": (penalty.item(), 1),
                "temperature": (self.quantizer.temperature, 1),
            },
        )

    def warning(self, metrics: dict[str, float]) -> str | None:
        """Whether the quantiser collapses: few codes, and a contrast that has become trivial."""
        config = self.config
        return collapse(
            metrics["contrastive_loss"],
            metrics["accuracy"],
            metrics["code_perplexity"],
            groups=config.groups,
            codes=config.codes,
        )

    def head(self) -> dict[str, Tensor]:
        """The tensors of quantiser and projections, under the names that checkpoints have for them."""
        state = self.state_dict()
        return {theirs: state[ours] for theirs, ours in HEAD.items()}

    def load_head(self, tensors: Mapping[str, Tensor]) -> None:
        """Start from a trained quantiser and projections, as `head` gives them."""
        state = self.head()
        wrong = [name for name in state if name not in tensors or tensors[name].shape != state[name].shape]
        if wrong or len(tensors) != len(state):
            given, expected = ({name: tuple(t.shape) for name, t in side.items()} for side in (tensors, state))
            raise CheckpointMismatch(
                f"The head does not fit the objective: given {given}, expected {expected}. Set groups, codes, "
                "quantized_dim and projection_dim to those it was trained with."
            )
        with torch.no_grad():
            for name, tensor in state.items():
                tensor.copy_(tensors[name])


def collapse(loss: float, accuracy: float, code_perplexity: float, *, groups: int, codes: int) -> str | None:
    """What to tell of a contrast whose targets have collapsed; None where they have not."""
    in_use = f"{code_perplexity:.1f} of {groups * codes} codes are in use"
    cure = (
        "Distractors that equal the target are left out, so the loss falls while nothing is learned. Start again "
        "with a lower peak_rate or larger batches (accumulate), a larger diversity_weight, or a lower "
        "extractor_gradient."
    )
    if accuracy > 0.99 and loss < 0.1:
        return f"The contrast has become trivial: accuracy {accuracy:.3f}, and {in_use}. {cure}"
    if code_perplexity < max(2 * groups, 0.02 * groups * codes):
        return f"The codebook collapses: {in_use}. {cure}"
    return None


def contrastive_logits(
    context: Tensor, targets: Tensor, negatives: Tensor, *, codes: Tensor, temperature: float = 0.1
) -> Tensor:
    """Cosines of each row of the context with its target and with other targets, over the temperature.

    All cosines of the batch are one product, which costs less than to gather the vectors of a hundred negatives a row.

    Args:
        context, targets: (rows, dim).
        negatives: int64 (rows, negatives), numbers of rows.
        codes: int64 (rows, groups), what the targets are made from; a negative that equals the target has logit -inf.

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


def scored_frames(mask: Tensor, frames: Packed) -> tuple[Tensor, Tensor]:
    """The masked frames that have company in their clip, bool (total,), and how many each clip has, on the CPU."""
    lengths = torch.bincount(frames.clip_of_step[mask], minlength=len(frames))
    if not bool((lengths > 1).any()):
        raise ConfigurationError(
            f"None of {len(frames)} clips has two masked frames to contrast. Raise min_seconds, or masking.fraction."
        )
    alone = lengths == 1
    return mask & ~alone[frames.clip_of_step], lengths.masked_fill(alone, 0).cpu()
