"""The head of sequence to sequence models: a Transformer decoder that writes text from the states of a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch import Tensor, nn

from sonant.errors import CheckpointMismatch
from sonant.layers.conv_adapter import ConvAdapter, GatedConvLayer
from sonant.layers.loaded_tensors import load_tensors
from sonant.layers.packed import Packed
from sonant.models.token_decoder import TokenDecoder, TokenDecoderConfig
from sonant.renamed_settings import present_settings
from sonant.tasks.layer_mix import LayerMix

KERNEL, STRIDE = 3, 2  # of the convolutions before the decoder


@dataclass(frozen=True, eq=False)
class EncodedSpeech:
    """Encoded recordings, and the decoder that writes their texts.

    Attributes:
        decoder: predicts the next token of each text.
        memory: frames that the decoder reads, (total_memory, dim).
        ctc_logits: (total_frames, tokens), where the head has a CTC layer.
        lengths: int64 (batch,), frames of each recording.
    """

    decoder: TokenDecoder
    memory: Packed
    ctc_logits: Packed | None
    lengths: Tensor

    @property
    def max_lengths(self) -> list[int]:
        """The largest number of tokens of each text: its frames, which CTC could not exceed either, and ten more."""
        return (self.lengths + 10).tolist()


class Seq2SeqHead(nn.Module):
    """A weighted sum of states, convolutions that shorten it, and a decoder.

    Args:
        dim: width of the states.
        config: of the decoder.
        mix: weighted sum of states.
        num_convs: gated convolutions of stride 2 before the decoder, each of which halves the frames; with none, and
            the width of the decoder, it reads the states themselves.
        ctc: a linear layer over the frames to the same tokens, for the joint CTC loss.

    Source: Li et al. 2020 (arXiv 2010.12829), the decoder over a wav2vec 2.0 with a length adaptor of such
    convolutions; Watanabe et al. 2017, the joint CTC loss.
    """

    def __init__(self, dim: int, config: TokenDecoderConfig, mix: LayerMix, *, num_convs: int, ctc: bool) -> None:
        super().__init__()
        self.config, self.mix = config, mix
        convs = [GatedConvLayer(config.dim, kernel=KERNEL, stride=STRIDE) for _ in range(num_convs)]
        self.adapter = ConvAdapter(dim, config.dim, convs)
        self.writer = TokenDecoder(config)
        self.ctc = nn.Linear(dim, config.vocabulary_size) if ctc else None

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Make the head from its tensors, and the settings of its decoder in `metadata`. Raises CheckpointMismatch."""
        try:
            known = present_settings(metadata["decoder"], TokenDecoderConfig.__name__)
            config = TokenDecoderConfig(**known)
            dim, num_convs = int(metadata["dim"]), int(metadata["num_convs"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointMismatch(
                f"The settings of a sequence to sequence head cannot be read: {error!r}. Fetch the model again."
            ) from error
        head = cls(dim, config, LayerMix.from_tensors(tensors), num_convs=num_convs, ctc="ctc.weight" in tensors)
        load_tensors(head.tensors(), tensors, what="A sequence to sequence head", cure="Fetch the model again.")
        return head

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes; an output layer that is shared with the embeddings once."""
        parameters = {name: tensor for name, tensor in self.named_parameters() if not name.startswith("mix.")}
        return parameters | self.mix.tensors()

    @property
    def settings(self) -> dict[str, Any]:
        """The metadata that `from_tensors` takes."""
        projection = self.adapter.projection
        dim = self.config.dim if projection is None else projection.in_features
        return {"decoder": asdict(self.config), "dim": dim, "num_convs": len(self.adapter.layers)}

    def forward(self, states: Packed) -> EncodedSpeech:
        """Encode states (total_frames, states, dim)."""
        return self.encode(self.mix(states))

    def encode(self, frames: Packed) -> EncodedSpeech:
        """Encode frames (total_frames, dim) of mixed states."""
        logits = None if self.ctc is None else frames.with_values(self.ctc(frames.values))
        return EncodedSpeech(self.writer, self.adapter(frames), logits, frames.lengths)
