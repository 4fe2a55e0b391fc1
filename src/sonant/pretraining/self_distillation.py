"""Self-distillation with online codebooks: the objective of DinoSR."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.layers.packed import Packed
from sonant.loss import Loss, Objective
from sonant.models import MaskableBackbone
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.cluster_head import count_labels, score

FAINTEST = 1e-3  # a code with fewer frames than this in its running count keeps it, lest the count reach 0


@dataclass(frozen=True, kw_only=True)
class SelfDistillationConfig:
    """Settings; the defaults are those of DinoSR Base.

    Attributes:
        top_layers: number of layers of the teacher, from the last one down, whose frames are clustered.
        codebook_size: codes of each of these layers.
        codebook_decay: share of a code's running sums that is left after a batch.
        teacher_decay: share of the teacher's weights that is left after an update, at first and after `decay_steps`,
            between which it rises linearly.
        teacher_steps: updates after which the teacher rests.
        feature_penalty: weight of the mean square of the extractor's output.
        extractor_gradient: factor on the gradient that reaches the extractor.

    Source: DinoSR (arXiv 2305.10005), as recalled.
    """

    masking: SpanMasking = SpanMasking()
    top_layers: int = 8
    codebook_size: int = 256
    codebook_decay: float = 0.9
    teacher_decay: tuple[float, float] = (0.999, 0.9999)
    decay_steps: int = 30_000
    teacher_steps: int = 200_000
    feature_penalty: float = 0.0
    extractor_gradient: float = 0.1

    def decay(self, step: int) -> float:
        """Share of the teacher's weights that is left before update `step`, counted from 0; 1 for a resting teacher."""
        first, last = self.teacher_decay
        return 1.0 if step > self.teacher_steps else first + (last - first) * min(step / self.decay_steps, 1.0)


class OnlineCodebooks(nn.Module):
    """Codebooks whose code vectors are running means of the frames nearest to them.

    For the frames Z(v) nearest to code v and the decay t, sum(v) becomes t * sum(v) + (1 - t) * sum of Z(v), and
    count(v) becomes t * count(v) + (1 - t) * |Z(v)|; the code vector is sum(v) / count(v).

    Attributes:
        sums: (num_codebooks, codebook_size, dim), a buffer that starts from a normal distribution.
        counts: (num_codebooks, codebook_size), a buffer that starts at 1.
    """

    sums: Tensor
    counts: Tensor

    def __init__(self, num_codebooks: int, codebook_size: int, dim: int, *, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("sums", torch.randn(num_codebooks, codebook_size, dim))
        self.register_buffer("counts", torch.ones(num_codebooks, codebook_size))

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Return the nearest codes of frames (num_codebooks, rows, dim): int64 (rows, num_codebooks).

        In training the codebooks move, by the frames of all processes.
        """
        vectors = self.sums / self.counts[..., None]
        distances = vectors.square().sum(-1)[:, None] - 2 * frames @ vectors.transpose(1, 2)
        codes = distances.argmin(-1)  # (num_codebooks, rows)
        if self.training:
            sums, counts = torch.zeros_like(self.sums), torch.zeros_like(self.counts)
            sums.scatter_add_(1, codes[..., None].expand_as(frames), frames)
            counts.scatter_add_(1, codes, torch.ones_like(codes, dtype=counts.dtype))
            if dist.is_available() and dist.is_initialized():
                dist.all_reduce(sums)
                dist.all_reduce(counts)
            kept = torch.where((counts > 0) | (self.counts > FAINTEST), self.decay, 1.0)
            self.sums.mul_(kept[..., None]).add_(sums, alpha=1 - self.decay)
            self.counts.mul_(kept).add_(counts, alpha=1 - self.decay)
        return codes.T


class SelfDistillation(Objective):
    """Prediction, at masked frames, of the codes that a slow copy of the encoder gives to the speech in full view.

    The teacher is the running mean of the encoder; extractor and projection are the student's. Frames of each of its
    top layers, normalized by channel over the clip, are clustered by an online codebook, and the student's output
    predicts the codes of masked frames by a linear layer a codebook. The loss is the mean over codebooks, summed over
    frames. Teacher and codebooks are part of the state of a run.

    Differences from DinoSR: layers are raw outputs of blocks (DinoSR: feed-forward outputs before the residual), and a
    code of almost no frames keeps its running count.

    Source: DinoSR (arXiv 2305.10005).
    """

    def __init__(self, backbone: MaskableBackbone, config: SelfDistillationConfig) -> None:
        super().__init__()
        if not 0 < config.top_layers <= backbone.num_layers:
            raise ConfigurationError(
                f"top_layers={config.top_layers} was given; expected 1 to {backbone.num_layers}, the model's layers."
            )
        self.backbone, self.config = backbone, config
        self.layers = range(backbone.num_layers - config.top_layers + 1, backbone.num_layers + 1)
        self.teacher = copy.deepcopy(backbone.encoder).requires_grad_(False)
        self.codebooks = OnlineCodebooks(
            len(self.layers), config.codebook_size, backbone.dim, decay=config.codebook_decay
        )
        self.head = nn.Linear(backbone.dim, len(self.layers) * config.codebook_size)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - the signature of torch
        """Set the mode of all but the teacher, which drops nothing."""
        super().train(mode)
        self.teacher.eval()
        return self

    @torch.no_grad()
    def anneal(self, step: int) -> None:
        """Move the teacher towards the encoder, which has had `step` updates."""
        if step > 0 and (decay := self.config.decay(step)) < 1:
            for mean, weights in zip(self.teacher.parameters(), self.backbone.encoder.parameters(), strict=True):
                mean.lerp_(weights, 1 - decay)

    def forward(self, batch: SpeechBatch) -> Loss:
        """Return the loss, summed over masked frames."""
        config = self.config
        encoding = self.backbone.encode_masked(
            batch.speech, batch.mask, layers=["last"], extractor_gradient=config.extractor_gradient
        )
        output = encoding.encoded.last
        assert output is not None
        codes = self.codebooks(self.targets(encoding.normed).index_select(1, batch.masked))
        loss, metrics = score(self.head(output.index_select(0, batch.masked)), codes, "masked")
        penalty = encoding.features.values.float().square().mean()
        count = len(batch.masked)
        total = loss + config.feature_penalty * count * penalty
        in_use = count_labels(codes, len(self.layers) * config.codebook_size)
        return Loss(total, count, {**metrics, "target_clusters_in_use": in_use, "feature_penalty": (penalty, 1)})

    @torch.no_grad()
    def targets(self, normed: Packed) -> Tensor:
        """Return the teacher's frames, normalized over each clip: float32 (top_layers, total_frames, dim)."""
        frames = normed.with_values(self.backbone.projection.linear(normed.values))
        states, _ = self.teacher(frames, self.layers, last=False)
        clips = torch.stack([states[layer].float() for layer in self.layers]).split(normed.sizes, dim=1)
        return torch.cat(
            [(clip - clip.mean(1, keepdim=True)) / (clip.std(1, correction=0, keepdim=True) + 1e-5) for clip in clips],
            dim=1,
        )

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """Return a warning if the codebooks have collapsed; None otherwise."""
        in_use, codes = metrics["target_clusters_in_use"], len(self.layers) * self.config.codebook_size
        if in_use >= max(2 * len(self.layers), 0.02 * codes):
            return None
        return (
            f"The codebooks collapse: {in_use:.1f} of {codes} codes are in use. Start again with a lower lr, larger "
            "batches (grad_accumulation), or a slower teacher (teacher_decay)."
        )
