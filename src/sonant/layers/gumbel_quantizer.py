"""Product quantization by Gumbel softmax: vq-wav2vec and wav2vec 2.0."""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.kernels.activations import Activation, activation

TINY = 1e-7  # the original's, inside the logarithm of an entropy


@dataclass(frozen=True, eq=False)
class Quantized:
    """The result of quantizing frames.

    Attributes:
        values: (total, dim), one code vector of each group, joined.
        codes: int64 (total, num_codebooks); the codes that `values` shows, in training the drawn ones.
        probabilities: (total, num_codebooks, codebook_size), softmax of the logits alone, without noise or temperature.
    """

    values: Tensor
    codes: Tensor
    probabilities: Tensor


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """The temperature of the Gumbel softmax: `start * decay**step`, not below `end`.

    The defaults are those of vq-wav2vec and wav2vec 2.0 Base.
    """

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
        """The temperature before update `step`, counted from 0."""
        return max(self.start * self.decay**step, self.end)


class GumbelQuantizer(nn.Module):
    """Choose one code a group for each frame; the gradient passes as if the choice had been soft.

    Args:
        input_dim: width of the frames.
        dim: width of the result; each codebook gives `dim / num_codebooks` of it.
        num_codebooks, codebook_size: how many codebooks, and code vectors in each.
        shared_codebook: one set of code vectors for all codebooks (`combine_groups`).
        projection_depth: linear layers from the frames to the logits, the activation between them.
        projection_factor: width of the inner ones over `input_dim`.

    Attributes:
        temperature: of the softmax in training.
        codebook: (1, codebook_size, dim / num_codebooks) where shared, else (1, num_codebooks * codebook_size,
            dim / num_codebooks).
        projections: the linear layers.

    Source: vq-wav2vec (arXiv 1910.05453, section 3.1); fairseq `modules/gumbel_vector_quantizer.py`. As there, the
    codebook starts uniform in [0, 1), a single projection with weights N(0, 1), a deeper one as linear layers do.
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
        """(total, input_dim) to (total, num_codebooks, codebook_size), float32 at least."""
        first, *others = self.projections
        scores = first(features)
        for projection in others:
            scores = projection(activation(self.activation)(scores))
        wide = torch.promote_types(scores.dtype, torch.float32)
        return scores.to(wide).unflatten(-1, (self.num_codebooks, self.codebook_size))

    def forward(self, features: Tensor, *, noise: Tensor | None = None) -> Quantized:
        """Quantize frames (total, input_dim).

        In training the codes are drawn, and the choice is a straight-through Gumbel softmax; otherwise the likeliest
        are taken.

        Args:
            noise: Gumbel samples (total * num_codebooks, codebook_size) to draw with in training; None takes fresh
                ones.
        """
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
        """The code vectors of codes (total, num_codebooks), joined: (total, dim)."""
        rows = (
            codes
            if self.shared_codebook
            else codes + self.codebook_size * torch.arange(self.num_codebooks, device=codes.device)
        )
        return F.embedding(rows, self.codebook[0]).flatten(1)

    def _codebooks(self) -> Tensor:
        """(num_codebooks, codebook_size, dim / num_codebooks), a view."""
        if self.shared_codebook:
            return self.codebook.expand(self.num_codebooks, -1, -1)
        return self.codebook.view(self.num_codebooks, self.codebook_size, -1)


def gumbel_noise(like: Tensor) -> Tensor:
    """Samples of the standard Gumbel distribution, in the shape of a tensor."""
    return -torch.empty_like(like, memory_format=torch.contiguous_format).exponential_().log()


def perplexity(probabilities: Tensor) -> Tensor:
    """Return the number of codes in use, (num_codebooks,): the exponential of the entropy of their mean probabilities.

    Args:
        probabilities: (total, num_codebooks, codebook_size).
    """
    return _exp_entropy(probabilities.mean(0))


def code_perplexity(codes: Tensor, codebook_size: int) -> Tensor:
    """Return `perplexity` of codes (total, num_codebooks): float32 (num_codebooks,), from 1 to `codebook_size`."""
    num_codebooks = codes.shape[1]
    rows = codes + codebook_size * torch.arange(num_codebooks, device=codes.device)
    counts = torch.bincount(rows.flatten(), minlength=num_codebooks * codebook_size)
    return _exp_entropy(counts.view(num_codebooks, codebook_size).float() / max(len(codes), 1))


def diversity(probabilities: Tensor) -> Tensor:
    """The share of the codes that are not in use, 0 where all are used alike: `(GV - sum of perplexities) / GV`.

    Source: the diversity loss of wav2vec 2.0 (arXiv 2006.11477, equation 4) as fairseq computes it.
    """
    _, num_codebooks, codebook_size = probabilities.shape
    return 1 - perplexity(probabilities).sum() / (num_codebooks * codebook_size)


def _exp_entropy(shares: Tensor) -> Tensor:
    return torch.exp(-(shares * torch.log(shares + TINY)).sum(-1))
