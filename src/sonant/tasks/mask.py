"""The head of speech enhancement and separation: masks on the spectrum of a mixture."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from sonant.errors import CheckpointMismatch, ConfigurationError
from sonant.layers.clip_norm import ClipGroupNorm
from sonant.layers.frame_grid import FrameGrid
from sonant.layers.loaded_tensors import load_tensors
from sonant.layers.lstm import PackedLSTM
from sonant.layers.packed import Packed
from sonant.layers.stft import STFT
from sonant.tasks.layer_mix import LayerMix

LOG_FLOOR = 1e-5  # added to magnitudes before the logarithm; the quantization of 16 bits has a spectrum of this order


@dataclass(frozen=True, kw_only=True)
class MaskNetwork:
    """Sizes of a mask network.

    Attributes:
        num_sources: masks, one a source.
        stft: of the mixture.
        inputs: what the network reads: the model's "states", the log-magnitudes of the "spectrum", or "both".
        hidden_dim: width of each direction of the LSTM.
        num_layers: of the LSTM.
        bidirectional: the LSTM reads in both directions.
        dropout: rate between layers.
    """

    num_sources: int
    stft: STFT = STFT()
    inputs: Literal["states", "spectrum", "both"] = "both"
    hidden_dim: int = 256
    num_layers: int = 2
    bidirectional: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if min(self.num_sources, self.hidden_dim, self.num_layers) < 1 or not 0 <= self.dropout < 1:
            raise ConfigurationError(
                f"num_sources={self.num_sources}, hidden_dim={self.hidden_dim}, num_layers={self.num_layers} and "
                f"dropout={self.dropout} were given; expected numbers of at least 1, and a rate from 0 to below 1."
            )


@dataclass(frozen=True, eq=False)
class MaskedMixture:
    """The spectrum of a mixture, and a mask for each of its sources.

    Attributes:
        spectrum: complex (total_frames, bins).
        masks: at least 0 (total_frames, sources, bins).
        lengths: of the mixtures in samples, int64 (batch,).
        stft: of the spectrum.
    """

    spectrum: Packed
    masks: Packed
    lengths: Tensor
    stft: STFT

    @property
    def mixture(self) -> Packed:
        """The mixture (total_samples, 1)."""
        return self.stft.inverse(self.spectrum.with_values(self.spectrum.values[:, None]), self.lengths)

    @property
    def waveforms(self) -> Packed:
        """The estimates of the sources (total_samples, sources)."""
        masked = self.masks.values * self.spectrum.values[:, None]
        return self.stft.inverse(self.masks.with_values(masked), self.lengths)


class MaskHead(nn.Module):
    """A weighted sum of states at the frames of the mixture's spectrum, an LSTM, a linear layer, and ReLU: masks.

    Args:
        dim: width of the states.
        network: sizes.
        mix: weighted sum of states.

    Sources: SUPERB-SG (Tsai et al. 2022, arXiv 2203.06849), enhancement and separation; log-magnitudes beside states as
    in section 5.4 of WavLM (arXiv 2110.13900).
    """

    def __init__(self, dim: int, network: MaskNetwork, mix: LayerMix) -> None:
        super().__init__()
        self.network, self.mix, self.dim = network, mix, dim
        bins = network.stft.num_bins
        self.norm = None if network.inputs == "states" else ClipGroupNorm(bins, groups=bins)
        self.lstm = PackedLSTM(
            (dim if network.inputs != "spectrum" else 0) + (bins if network.inputs != "states" else 0),
            network.hidden_dim,
            num_layers=network.num_layers,
            bidirectional=network.bidirectional,
            dropout=network.dropout,
        )
        self.output = nn.Linear(self.lstm.dim, network.num_sources * bins)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Make the head from its tensors, and the sizes of its network in `metadata`. Raises CheckpointMismatch."""
        try:
            sizes = dict(metadata["network"])
            network = MaskNetwork(**sizes | {"stft": STFT(**sizes["stft"])})
            head = cls(int(metadata["dim"]), network, LayerMix.from_tensors(tensors))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointMismatch(
                f"The settings of a mask network cannot be read: {error!r}. Fetch the model again."
            ) from error
        load_tensors(head.tensors(), tensors, what="A mask network", cure="Fetch the model again.")
        return head

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        parameters = {name: tensor for name, tensor in self.named_parameters() if not name.startswith("mix.")}
        return parameters | self.mix.tensors()

    @property
    def settings(self) -> dict[str, Any]:
        """The metadata that `from_tensors` takes."""
        return {"network": asdict(self.network), "dim": self.dim}

    def forward(self, states: Packed, speech: Packed, grid: FrameGrid) -> MaskedMixture:
        """Compute masks from states (total_frames, states, dim) of mixtures (total_samples,); `grid`: of the states."""
        stft = self.network.stft
        spectrum = stft(speech)
        inputs = []
        if self.network.inputs != "spectrum":
            inputs.append(grid.interpolated(self.mix(states), stft.hop, spectrum.lengths).values)
        if self.norm is not None:
            inputs.append(self.norm(spectrum.with_values((spectrum.values.abs() + LOG_FLOOR).log())))
        hidden = self.lstm(spectrum.with_values(torch.cat(inputs, dim=1)))
        masks = self.output(hidden.values).relu().float()
        shaped = masks.unflatten(1, (self.network.num_sources, stft.num_bins))
        return MaskedMixture(spectrum, spectrum.with_values(shaped), speech.lengths, stft)
