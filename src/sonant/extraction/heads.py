"""The pipeline of a head: the hidden states that it reads, and the sink that turns them into its answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from sonant.errors import ConfigurationError, some_of
from sonant.extraction.device_copies import DeviceCopies
from sonant.extraction.head_store import Heads
from sonant.extraction.request import Layer
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.layers.conv_adapter import ConvAdapter
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.models.abilities import HEADS_FOR, Ability
from sonant.models.catalog import CATALOG
from sonant.tasks import LayerMix

CPU = torch.device("cpu")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class HeadPipeline(Generic[Answer]):
    """The hidden states that a head needs of a recording, and the sink that computes its answer.

    Attributes:
        layers: states for the sink, in this order.
        make_sink: makes the sink of a recording; its `finish` returns the answer.
        min_samples: least length of a recording.
        reads_source: whether the sink also reads the recording, at the same time as the engine.
        has_times: whether words of a transcript have times.
    """

    layers: tuple[Layer, ...]
    make_sink: Callable[[Source], Sink]
    min_samples: int
    reads_source: bool = False
    has_times: bool = True


def require(ability: Ability, heads: Heads, name: str) -> None:
    """Raise ConfigurationError unless the heads have an ability; the message names models that do."""
    if ability in heads.abilities:
        return
    raise ConfigurationError(
        f"{name} cannot be asked for {ability}: its checkpoint has no head for it ({' or '.join(HEADS_FOR[ability])}). "
        f"It can give {', '.join(heads.abilities)}.{_models_with(ability)}"
    )


def require_ctc(heads: Heads, name: str) -> None:
    """Raise ConfigurationError unless there is a CTC head."""
    if "ctc" in heads.stored:
        return
    require("transcription", heads, name)
    raise ConfigurationError(f"{name} writes text by a decoder (sequence to sequence), and has no CTC head for this.")


def _models_with(ability: Ability) -> str:
    names = able(ability)
    return f" Models with such a head: {some(names)}." if names else ""


def able(ability: Ability) -> list[str]:
    """Return the names of the catalog's models with an ability."""
    return [card.name for card in CATALOG.values() if ability in card.abilities]


def some(names: Sequence[str]) -> str:
    """Return the first five names and the number of others, as text."""
    return some_of(names, 5, rest="more (sonant models lists them)")


def adapter_before(mix: LayerMix, model: Backbone) -> DeviceCopies[ConvAdapter] | None:
    """Return the adapter before a head; None if the model has none, or the head mixes several states."""
    adapter = getattr(model, "adapter", None)
    return None if adapter is None or mix.num_states > 1 else DeviceCopies(adapter)


def samples_for(frames: int, adapter: DeviceCopies[ConvAdapter] | None, model: Backbone) -> int:
    """Return the least samples that give a head this many frames."""
    needed = frames if adapter is None else adapter.module.frames_for(frames)
    return model.receptive_field + (needed - 1) * model.stride


def states_of(mix: LayerMix, model: Backbone, name: str, *, adapted: bool = False) -> tuple[Layer, ...]:
    """Return the states that a head reads: all of them, or "last" alone.

    `adapted`: whether the pipeline can apply the model's adapter to the last state.
    """
    if not adapted and adapter_before(mix, model) is not None:
        raise ConfigurationError(
            f"This head of {name} reads what its adapter makes of the last state, at a lower frame rate; sonant runs "
            "heads for transcripts and voices there, others over the states alone. Take a model without an adapter "
            "(adapter_layers=0)."
        )
    if mix.num_states == 1:
        return ("last",)
    if mix.num_states != model.num_layers + 1:
        raise ConfigurationError(
            f"A head of {name} mixes {mix.num_states} states; a model of {model.num_layers} layers has "
            f"{model.num_layers + 1}. The head belongs to another model."
        )
    return (*range(model.num_layers), "last")


def one_clip(frames: Tensor) -> Packed:
    """Return states (layers, frames, dim) as the input of a head: one clip (frames, layers, dim)."""
    return Packed(frames.transpose(0, 1), torch.tensor([frames.shape[1]]))
