"""Product quantization by Gumbel softmax: vq-wav2vec and wav2vec 2.0."""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.kernels.activations import Activation, activation

TINY = 1e-7  # added inside the logarithm of an entropy, as in fairseq


@dataclass(frozen=True, eq=False)
class Quantized:
    """Quantized frames.

    Attributes:
        values: (total, dim), the chosen vectors of all codebooks, concatenated.
        codes: int64 (total, num_codebooks), their numbers.
        probabilities: (total, num_codebooks, codebook_size), softmax of the logits without noise or temperature.
    """

    values: Tensor
    codes: Tensor
    probabilities: Tensor


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """Temperature of the Gumbel softmax, `max(start * decay**step, end)`, as in vq-wav2vec and wav2vec 2.0 Base."""

    start: float = 2.0
    end: float = 0.5
    decay: float = 0.999995

    def __post_init__(self) -> None:
        if not (self.start >= self.end > 0 and 0 < self.decay <= 1):
            raise ConfigurationError(
                f"A temperature falls from start to end > 0 by a decay in (0, 1]; got start={self.start}, "
                f"end={self.end}, decay={self.decay}."
            )

    def at(self, step: int) -> float:
        """Temperature of update `step`, counted from 0."""
        return max(self.start * self.decay**step, self.end)


class GumbelQuantizer(nn.Module):
    """Straight-through Gumbel softmax: one vector of each codebook for each frame.

    In training, for logits l of a codebook, Gumbel noise n and stop-gradient sg::

        soft = softmax((l + n) / temperature)
        choice = onehot(argmax soft) - sg(soft) + soft

    In evaluation, choice = onehot(argmax l).

    Args:
        input_dim: width of the frames.
        dim: width of the result, of which each codebook gives `dim / num_codebooks`.
        shared_codebook: all codebooks have the same vectors (fairseq: `combine_groups`).
        projection_depth: linear layers from frames to logits, with the activation between them.
        projection_factor: width of the inner ones over `input_dim`.

    Attributes:
        codebook: (1, codebook_size, dim / num_codebooks) if shared, otherwise (1, num_codebooks * codebook_size,
            dim / num_codebooks).

    Source: vq-wav2vec (arXiv 1910.05453, section 3.1); fairseq `modules/gumbel_vector_quantizer.py`, initialization
    included: codebook uniform in [0, 1), weights of a single projection N(0, 1).
    """

    def __init__(
        self,
        input_dim: int,
        dim: int,
        *,
        num_codebooks: int,
        codebook_size: int,
        shared_codebook: bool = False,
        projection_depth: int = 1,
        projection_factor: int = 2,
        activation: Activation = "gelu",
        temperature: float = 2.0,
    ) -> None:
        super().__init__()
        if dim % num_codebooks:
            raise ConfigurationError(f"dim={dim} cannot be divided among {num_codebooks} codebooks; choose a multiple.")
        self.num_codebooks, self.codebook_size, self.shared_codebook = num_codebooks, codebook_size, shared_codebook
        self.activation, self.temperature = activation, temperature
        rows = codebook_size if shared_codebook else num_codebooks * codebook_size
        self.codebook = nn.Parameter(torch.rand(1, rows, dim // num_codebooks))
        widths = [input_dim, *[input_dim * projection_factor] * (projection_depth - 1), num_codebooks * codebook_size]
        linears = [nn.Linear(before, after) for before, after in pairwise(widths)]
        if projection_depth == 1:
            nn.init.normal_(linears[0].weight)
            nn.init.zeros_(linears[0].bias)
        self.projections = nn.ModuleList(linears)

    def logits(self, features: Tensor) -> Tensor:
        """(total, input_dim) to (total, num_codebooks, codebook_size), in float32 or wider."""
        first, *others = self.projections
        scores = first(features)
        for projection in others:
            scores = projection(activation(self.activation)(scores))
        wide = torch.promote_types(scores.dtype, torch.float32)
        return scores.to(wide).unflatten(-1, (self.num_codebooks, self.codebook_size))

    def forward(self, features: Tensor, *, noise: Tensor | None = None) -> Quantized:
        """Quantize frames (total, input_dim); `noise` (total * num_codebooks, codebook_size), drawn if None."""
        logits = self.logits(features)
        probabilities = logits.softmax(-1)
        if not self.training:
            codes = logits.argmax(-1)
            return Quantized(self.vectors(codes), codes, probabilities)
        if noise is None:
            noise = gumbel_noise(logits)
        soft = ((logits + noise.view_as(logits)) / self.temperature).softmax(-1)
        codes = soft.argmax(-1)
        hard = torch.zeros_like(soft).scatter_(-1, codes[..., None], 1.0)
        choice = hard - soft.detach() + soft  # (total, num_codebooks, codebook_size)
        with torch.autocast(features.device.type, enabled=False):
            values = torch.einsum("tgv,gvd->tgd", choice, self._codebooks().to(choice.dtype))
        return Quantized(values.flatten(1), codes, probabilities)

    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of codes (total, num_codebooks), concatenated: (total, dim)."""
        rows = (
            codes
            if self.shared_codebook
            else codes + self.codebook_size * torch.arange(self.num_codebooks, device=codes.device)
        )
        return F.embedding(rows, self.codebook[0]).flatten(1)

    def _codebooks(self) -> Tensor:
        """Return a view (num_codebooks, codebook_size, dim / num_codebooks)."""
        if self.shared_codebook:
            return self.codebook.expand(self.num_codebooks, -1, -1)
        return self.codebook.view(self.num_codebooks, self.codebook_size, -1)


def gumbel_noise(like: Tensor) -> Tensor:
    """Samples of the standard Gumbel distribution in the shape of `like`."""
    return -torch.empty_like(like, memory_format=torch.contiguous_format).exponential_().log()


def perplexity(probabilities: Tensor) -> Tensor:
    """`exp(-sum(p * log p))` of the mean p of probabilities (total, num_codebooks, codebook_size): (num_codebooks,)."""
    return _exp_entropy(probabilities.mean(0))


def code_perplexity(codes: Tensor, codebook_size: int) -> Tensor:
    """`perplexity` of chosen codes (total, num_codebooks): float32 (num_codebooks,), from 1 to `codebook_size`."""
    num_codebooks = codes.shape[1]
    rows = codes + codebook_size * torch.arange(num_codebooks, device=codes.device)
    # torch.bincount would make a GPU synchronize
    counts = torch.zeros(num_codebooks * codebook_size, device=codes.device)
    counts.index_add_(0, rows.flatten(), counts.new_ones(rows.numel()))
    return _exp_entropy(counts.view(num_codebooks, codebook_size) / max(len(codes), 1))


def diversity(probabilities: Tensor) -> Tensor:
    """Diversity loss, `1 - sum of perplexities / (num_codebooks * codebook_size)`; 0 if all codes are equally frequent.

    Source: wav2vec 2.0 (arXiv 2006.11477, equation 4) as fairseq computes it.
    """
    _, num_codebooks, codebook_size = probabilities.shape
    return 1 - perplexity(probabilities).sum() / (num_codebooks * codebook_size)


def _exp_entropy(shares: Tensor) -> Tensor:
    return torch.exp(-(shares * torch.log(shares + TINY)).sum(-1))
