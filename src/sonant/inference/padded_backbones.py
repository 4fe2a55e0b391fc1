"""Backbones on padded batches, with the weights of the packed ones."""

from abc import abstractmethod
from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError, some_of
from sonant.inference.blocks import BLOCKS, padded_form
from sonant.inference.modules import replace_blocks, shared_copy
from sonant.inference.padded.clips import NEVER, Padded, normalized
from sonant.inference.plain import customizations
from sonant.layers.token_positions import FIRST_ROW, LearnedPositions
from sonant.models import Backbone, MaskableBackbone, VQWav2Vec, WaveformConvNet
from sonant.models.code_vocabulary import BEGIN, END, SPECIALS, group_numbers
from sonant.models.discrete_bert import DiscreteBERT
from sonant.models.families import family_of

CURE = "`sonant convert --to hf` writes a folder that other programs read."
LARGEST_TABLE = 1 << 26  # groups of codes that a vocabulary may tell apart: one entry of a table each

Encoding = tuple[dict[int, Tensor], Tensor | None, dict[str, Tensor]]  # hidden states by number, output, others


class PaddedBackbone(nn.Module):
    """A backbone on padded batches, which can be traced into a graph.

    Args:
        backbone: in evaluation mode, its blocks replaced by padded forms; its modules are not copied.
        layers: the states to return: numbers 0 to num_layers, or "last"; None: all.
        normalize: whether to normalize waveforms here, if the model requires it.
    """

    def __init__(self, backbone: Backbone, layers: Collection[int | str] | None, *, normalize: bool) -> None:
        super().__init__()
        self.normalize, self.normalize_epsilon = normalize and backbone.normalize, backbone.normalize_epsilon
        keep, self.last = backbone.wanted(layers)
        self.keep = sorted(keep)
        self.receptive_field, self.stride = backbone.receptive_field, backbone.stride

    has_codes = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs of `forward`, in order."""
        states = [f"hidden_states.{number}" for number in self.keep]
        return (*["last"] * self.last, *states, "frames", *["codes"] * self.has_codes)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Encode clips.

        Args:
            waveforms: float32 (batch, samples).
            lengths: int64 (batch,), samples of each clip.

        Returns:
            The requested ones of "last", "hidden_states.0" ..., each (batch, time, dim); "frames", int64 (batch,), the
            number of frames of each clip; "codes", int64 (batch, time, num_codebooks), of models with a quantizer.
            Values after the frames of a clip are undefined, and `time` is one more than the longest clip has.
        """
        # One frame more than the longest clip has: torch specializes axes of length one.
        speech = Padded(F.pad(waveforms, (0, self.stride)), lengths)
        speech = speech.with_values(torch.where(speech.valid, speech.values, 0.0))
        states, last, others = self.encode(normalized(speech, self.normalize_epsilon) if self.normalize else speech)
        outputs = {} if last is None else {"last": last}
        outputs |= {f"hidden_states.{number}": states[number] for number in self.keep}
        return outputs | others

    @abstractmethod
    def encode(self, speech: Padded) -> Encoding:
        """Compute the hidden states of `keep`, the output if `last`, and the other outputs, such as "frames"."""


class PaddedMaskable(PaddedBackbone):
    """Extractor, projection and encoder; without adapter."""

    def __init__(self, backbone: MaskableBackbone, layers: Collection[int | str] | None, *, normalize: bool) -> None:
        super().__init__(backbone, layers, normalize=normalize)
        self.extractor, self.projection, self.encoder = backbone.extractor, backbone.projection, backbone.encoder

    def encode(self, speech: Padded) -> Encoding:
        features = self.extractor(speech)
        frames = features.with_values(self.projection(self.projection.norm(features.values)))
        return *self.encoder(frames, self.keep, last=self.last), {"frames": frames.lengths}


class PaddedConvNet(PaddedBackbone):
    """Extractor, quantizer (if any) and causal context."""

    def __init__(self, backbone: WaveformConvNet, layers: Collection[int | str] | None, *, normalize: bool) -> None:
        super().__init__(backbone, layers, normalize=normalize)
        self.extractor, self.context = backbone.extractor, backbone.context
        self.quantizer = backbone.quantizer if isinstance(backbone, VQWav2Vec) else None
        self.has_codes = self.quantizer is not None

    def encode(self, speech: Padded) -> Encoding:
        frames = self.extractor(speech)
        others = {"frames": frames.lengths}
        if self.quantizer is not None:
            values, others["codes"] = self.quantizer(frames)
            frames = frames.with_values(values)
        return *self.context(frames, self.keep, last=self.last), others


class PaddedDiscreteBERT(PaddedBackbone):
    """BERT on the codes of a vq-wav2vec.

    Buffers:
        token_of_group: int32 (codebook_size ** num_codebooks,), the token of each tuple of codes, as digits of
            the index.
    """

    has_codes = True
    token_of_group: Tensor

    def __init__(self, backbone: DiscreteBERT, layers: Collection[int | str] | None, *, normalize: bool) -> None:
        super().__init__(backbone, layers, normalize=normalize)
        tokenizer, vocabulary = backbone.tokenizer, backbone.vocabulary
        self.extractor, self.quantizer = tokenizer.extractor, tokenizer.quantizer
        self.embedding, self.encoder = backbone.embedding, backbone.encoder
        assert isinstance(self.encoder.positions, LearnedPositions)
        self.place_weight, self.max_positions = self.encoder.positions.weight, backbone.config.max_positions
        self.codebook_size = vocabulary.codebook_size
        num_codebooks = tokenizer.config.num_codebooks
        if self.codebook_size**num_codebooks > LARGEST_TABLE:
            raise ConfigurationError(
                f"This model's quantizer has {num_codebooks} codebooks of {self.codebook_size} codes. A graph looks "
                f"tokens up in a table of {self.codebook_size}**{num_codebooks} entries; {LARGEST_TABLE} are the most. "
                "It cannot be exported."
            )
        numbers = torch.arange(self.codebook_size**num_codebooks)
        self.register_buffer("token_of_group", vocabulary.tokens_of(numbers).int())

    def encode(self, speech: Padded) -> Encoding:
        frames = self.extractor(speech)
        _, codes = self.quantizer(frames)
        groups = group_numbers(codes.flatten(0, 1), self.codebook_size).view(codes.shape[:2])
        tokens = self.token_of_group[groups].long()  # (batch, time)
        place = torch.arange(tokens.shape[1] + 2)  # with "<s>" before and "</s>" behind a clip
        bracketed = F.pad(tokens, (1, 1), value=SPECIALS.index(BEGIN))
        bracketed = torch.where(place == frames.lengths[:, None] + 1, SPECIALS.index(END), bracketed)
        block = place // self.max_positions
        x = self.embedding(bracketed) + self.place_weight[place % self.max_positions + FIRST_ROW]
        own_block = torch.where(block == block[:, None], 0.0, NEVER)
        x = x if self.encoder.pre_norm else self.encoder.norm(x)
        mask = Padded(x, frames.lengths + 2).sizes + own_block
        states, last = self.encoder.through_layers(x, mask, None, self.keep, last=self.last)
        states = {number: state[:, 1:-1] for number, state in states.items()}
        return states, None if last is None else last[:, 1:-1], {"frames": frames.lengths, "codes": codes}


def padded(
    backbone: Backbone, *, layers: Collection[int | str] | None = ("last",), normalize: bool = True
) -> PaddedBackbone:
    """Convert a backbone to padded batches, float32, on the CPU and in evaluation mode.

    Weights are shared where possible.

    Args:
        layers: the states to give: numbers 0 to num_layers, or "last"; None gives all.
        normalize: whether waveforms are given as they are and are normalized here, if the model requires it; otherwise
            they must be given normalized to a model that requires it.

    Raises:
        ConfigurationError: a block of the model has no padded form, or the model has adapters, hooks or other parts
            that a graph would not have.
    """
    require_padded_forms(backbone)
    require_plain(backbone)
    model = shared_copy(backbone, torch.float32, torch.device("cpu"))
    replace_blocks(model, padded_form)
    match model:
        case MaskableBackbone():
            return PaddedMaskable(model, layers, normalize=normalize).eval()
        case WaveformConvNet():
            return PaddedConvNet(model, layers, normalize=normalize).eval()
        case DiscreteBERT():
            return PaddedDiscreteBERT(model, layers, normalize=normalize).eval()
    raise ConfigurationError(f"A {type(backbone).__name__} has no graph. {CURE}")


def require_padded_forms(backbone: Backbone) -> None:
    """Raise ConfigurationError, with the reason, if a model has a block that does not run on padded speech."""
    for block in backbone.modules():
        forms = BLOCKS.get(type(block))
        if forms is not None and not forms.graph:
            raise ConfigurationError(
                f"A {family_of(backbone.config).title} has no graph: its {type(block).__name__} does not run on padded "
                f"speech ({forms.padded}). {CURE}"
            )


def require_plain(backbone: Backbone) -> None:
    """Raise ConfigurationError, with their names, if a model has parts that its padded form would leave out."""
    odd = customizations(backbone)
    if odd:
        raise ConfigurationError(
            f"This model was changed, and its graph would not be: {some_of(odd, 3)}. Merge adapters into the "
            "weights and remove hooks and parametrizations before the export."
        )
