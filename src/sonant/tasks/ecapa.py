"""The ECAPA-TDNN head, which computes speaker embeddings by convolutions, channel gates and attentive statistics."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonant.errors import CheckpointMismatch
from sonant.layers.loaded_tensors import load_tensors
from sonant.layers.packed import Packed, lay_with_gaps, require_steps
from sonant.tasks.layer_mix import LayerMix

PREFIX = "ecapa."  # of its tensors
SETTINGS = "ecapa_tdnn"  # in the metadata
SIZES = ("dim", "channels", "pooled_dim", "embedding_dim")
SCALE = 8  # parts of the channels of a block
GATE_DIM = POOLING_DIM = 128
DILATIONS = (2, 3, 4)
LEAST_VARIANCE = 1e-6


class _Norm(nn.BatchNorm1d):
    """Batch norm over rows; a single row, which has no variance, is normalized as in evaluation."""

    def forward(self, rows: Tensor) -> Tensor:
        """(rows, channels) to the same."""
        if self.training and len(rows) == 1:
            return F.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(rows)


class _Layer(nn.Module):
    """A convolution along each clip that keeps its length, ReLU, and batch norm over all frames."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation)
        self.norm = _Norm(outputs)
        self.reach = dilation * (kernel // 2)

    def forward(self, frames: Packed) -> Tensor:
        """(total_frames, inputs) to (total_frames, outputs)."""
        if self.reach:
            stream, steps = lay_with_gaps(frames, self.reach, self.reach)
            values = self.conv(stream.T[None])[0].T.index_select(0, steps - self.reach)
        else:
            values = F.linear(frames.values, self.conv.weight[:, :, 0], self.conv.bias)
        normalized: Tensor = self.norm(values.relu())
        return normalized


class _Block(nn.Module):
    """A residual block: convolutions of parts of the channels, each on top of the one before, and a gate a channel."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        part = channels // SCALE
        self.before, self.behind = _Layer(channels, channels), _Layer(channels, channels)
        self.parts = nn.ModuleList(_Layer(part, part, kernel=3, dilation=dilation) for _ in range(SCALE - 1))
        self.squeeze, self.excite = nn.Linear(channels, GATE_DIM), nn.Linear(GATE_DIM, channels)

    def forward(self, frames: Packed) -> Packed:
        """(total_frames, channels) to the same."""
        first, *others = self.before(frames).chunk(SCALE, dim=1)
        made = [first]
        for layer, part in zip(self.parts, others, strict=True):
            made.append(layer(frames.with_values(part if len(made) == 1 else part + made[-1])))
        behind = frames.with_values(self.behind(frames.with_values(torch.cat(made, dim=1))))
        gates = self.excite(self.squeeze(_mean(behind)).relu()).sigmoid()  # (batch, channels)
        return frames.with_values(frames.values + behind.values * _spread(gates, frames))


class ECAPAHead(nn.Module):
    """The ECAPA-TDNN over mixed states, which are standardized over the frames of each clip.

    Each block reads the sum of the outputs before it. The outputs of all blocks are joined by a linear layer, whose
    weighted means and standard deviations over time, with weights by channel and frame, are mapped to the embedding
    behind a batch norm.

    Args:
        dim: width of the states.
        channels: width of the blocks, a multiple of eight.
        pooled_dim: width of the joined frames, which are pooled.
        embedding_dim: width of the speaker embedding.
        mix: weighted sum of states.

    Source: Desplanques, Thienpondt and Demuynck, Interspeech 2020 (arXiv 2005.07143), which has 512 or 1024 channels
    and embeddings of 192; the standardization of mixed states is that of WavLM's verification (arXiv 2110.13900, with
    512 channels and embeddings of 256).
    """

    def __init__(self, dim: int, channels: int, pooled_dim: int, embedding_dim: int, mix: LayerMix) -> None:
        super().__init__()
        self.mix = mix
        self.first = _Layer(dim, channels, kernel=5)
        self.blocks = nn.ModuleList(_Block(channels, dilation) for dilation in DILATIONS)
        self.join = nn.Linear(len(DILATIONS) * channels, pooled_dim)
        self.attend, self.attend_norm = nn.Linear(3 * pooled_dim, POOLING_DIM), _Norm(POOLING_DIM)
        self.weigh = nn.Linear(POOLING_DIM, pooled_dim)
        self.norm = _Norm(2 * pooled_dim)
        self.embedding = nn.Linear(2 * pooled_dim, embedding_dim)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Make the head from its tensors and `metadata`; those used only in training are ignored.

        Raises CheckpointMismatch.
        """
        try:
            sizes = metadata[SETTINGS]
            dim, channels, pooled_dim, embedding_dim = (int(sizes[name]) for name in SIZES)
            head = cls(dim, channels, pooled_dim, embedding_dim, LayerMix.from_tensors(tensors))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointMismatch(
                f"The settings of an ECAPA-TDNN head cannot be read: {error!r}. Fetch the model again."
            ) from error
        own = {PREFIX + name: tensor for name, tensor in head._own().items()}
        given = {name: tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
        load_tensors(own, given, what="An ECAPA-TDNN head", cure="Fetch the model again.")
        return head

    def _own(self) -> dict[str, Tensor]:
        """Return the tensors by their names, without the mix."""
        state = self.state_dict(keep_vars=True)
        return {
            name: tensor
            for name, tensor in state.items()
            if not name.startswith("mix.") and not name.endswith("num_batches_tracked")
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        return {PREFIX + name: tensor for name, tensor in self._own().items()} | self.mix.tensors()

    @property
    def settings(self) -> dict[str, Any]:
        """The metadata that `from_tensors` takes."""
        conv = self.first.conv
        sizes = (conv.in_channels, conv.out_channels, self.join.out_features, self.dim)
        return {SETTINGS: dict(zip(SIZES, sizes, strict=True))}

    @property
    def dim(self) -> int:
        """Width of the speaker embedding."""
        return self.embedding.out_features

    @property
    def min_frames(self) -> int:
        """Fewest frames of a recording: a standard deviation needs two."""
        return 2

    def forward(self, states: Packed) -> Tensor:
        """Compute embeddings (batch, dim) of states (total_frames, states, dim); TooShortAudio below `min_frames`."""
        return self.embed(self.mix(states))

    def embed(self, frames: Packed) -> Tensor:
        """Compute embeddings (batch, dim) of mixed states (total_frames, dim)."""
        require_steps(frames.sizes, self.min_frames, "the vector of a speaker")
        values = frames.with_values(frames.values.float())
        mean, deviation = _statistics(values)
        standardized = (values.values - _spread(mean, frames)) / _spread(deviation, frames)
        behind = frames.with_values(self.first(frames.with_values(standardized)))
        outputs: list[Tensor] = []
        for block in self.blocks:
            made = block(behind)
            outputs.append(made.values)
            behind = behind.with_values(behind.values + made.values)
        joined = frames.with_values(self.join(torch.cat(outputs, dim=1)).relu())  # (total_frames, pooled_dim)
        vector: Tensor = self.embedding(self.norm(self._pool(joined)))
        return vector

    def _pool(self, frames: Packed) -> Tensor:
        """Return the weighted mean and standard deviation of each clip (batch, 2 * width) of (total_frames, width)."""
        context = [_spread(each, frames) for each in _statistics(frames)]
        hidden = self.attend_norm(self.attend(torch.cat([frames.values, *context], dim=1)).relu()).tanh()
        scores = frames.with_values(self.weigh(hidden))
        weights = frames.with_values(torch.cat([clip.softmax(0) for clip in scores]))
        return torch.cat(_statistics(frames, weights), dim=1)


def _spread(of_clips: Tensor, frames: Packed) -> Tensor:
    """Repeat (batch, channels) for each frame: (total_frames, channels)."""
    return of_clips.index_select(0, frames.clip_of_step)


def _mean(frames: Packed, weights: Packed | None = None) -> Tensor:
    """Return the mean of each clip (batch, channels), or the sum of the weighted frames."""
    values = frames.values if weights is None else frames.values * weights.values
    lengths = frames.lengths.to(values.device)
    return torch.segment_reduce(values.float(), "mean" if weights is None else "sum", lengths=lengths)


def _statistics(frames: Packed, weights: Packed | None = None) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each clip, (batch, channels) each; variances are `LEAST_VARIANCE` or more.

    Weights (total_frames, channels) add up to 1 in each clip.
    """
    mean = _mean(frames, weights)
    centered = frames.with_values((frames.values.float() - _spread(mean, frames)).square())
    return mean, _mean(centered, weights).clamp(min=LEAST_VARIANCE).sqrt()
