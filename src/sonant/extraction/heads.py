"""The heads of a fine-tuned model at work: the states that each reads, and the receiver that makes its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from sonant.checkpoints import Head
from sonant.decoding.alphabet import Alphabet
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.request import Layer
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.extraction.speaker_activity import SpeakerActivitySink
from sonant.extraction.speaker_vectors import SpeakerVectorSink
from sonant.extraction.transcripts import TranscriptSink
from sonant.models import Backbone
from sonant.models.abilities import ABILITIES, HEAD_FOR, Ability
from sonant.models.catalog import CATALOG
from sonant.tasks import CTCHead, FrameClassificationHead, LayerMix, SequenceClassificationHead, XVectorHead

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class HeadTask:
    """What to ask of the model for a recording, and who takes it in.

    Attributes:
        layers: the states to hand to the sink, in this order.
        make_sink: the receiver for one recording; its `finish` gives a `Transcript`, a vector (dim,) or `SpeakerTurn`s.
        min_samples: that the recording must have.
    """

    layers: tuple[Layer, ...]
    make_sink: Callable[[Source], Sink]
    min_samples: int


class Heads:
    """The heads that came with a model, in float32: made when first needed, on the devices where they are needed."""

    def __init__(self, stored: Mapping[str, Head]) -> None:
        self.stored = dict(stored)
        self._made: dict[tuple[str, torch.device], nn.Module] = {}

    @property
    def abilities(self) -> tuple[Ability, ...]:
        """What a model with these heads can be asked for."""
        return tuple(ability for ability in ABILITIES if HEAD_FOR.get(ability, "") in {"", *self.stored})

    def on(self, device: torch.device, kind: str) -> nn.Module:
        """One of the heads on a device."""
        module = self._made.get((kind, device))
        if module is None:
            module = self._made[kind, device] = build_head(kind, self.stored[kind]).to(device)
        return module

    def placing(self, kind: str, _type: type[Module]) -> Callable[[torch.device], Module]:
        """`on` for one kind, whose type the caller knows."""

        def on(device: torch.device) -> Module:
            module = self.on(device, kind)
            assert isinstance(module, _type)
            return module

        return on


def build_head(kind: str, head: Head) -> nn.Module:
    """The module of a checkpoint's head, in evaluation mode; frames in, float32 out."""
    module: nn.Module
    match kind:
        case "ctc":
            module = CTCHead.from_tensors(head.tensors)
        case "xvector":
            module = XVectorHead.from_tensors(head.tensors, head.metadata)
        case "frame_classification":
            module = FrameClassificationHead.from_tensors(head.tensors)
        case "sequence_classification":
            module = SequenceClassificationHead.from_tensors(head.tensors)
        case _:
            raise UnknownName(
                "head to run", kind, ["ctc", "xvector", "frame_classification", "sequence_classification"]
            )
    return module.eval().requires_grad_(requires_grad=False)


def head_task(
    ability: Ability, model: Backbone, heads: Heads, *, name: str, num_speakers: int | None = None
) -> HeadTask:
    """How a model answers what it was fine-tuned for.

    Args:
        ability: "transcription", "verification" (the answer is the vector of the speaker) or "diarization".
        name: of the model, for messages.
        num_speakers: for diarization; None: as many as are found.

    Raises:
        ConfigurationError: the model has no such head, or its head lacks something.
    """
    if ability not in HEAD_FOR:
        raise UnknownName("ability of a head", ability, HEAD_FOR)
    require(ability, heads, name)
    kind = HEAD_FOR[ability]
    frame_rate, receptive_field, stride = model.frame_rate, model.receptive_field, model.stride
    cpu = torch.device("cpu")
    match ability:
        case "transcription":
            alphabet = _alphabet(heads.stored[kind], name)
            ctc = heads.placing(kind, CTCHead)
            return HeadTask(
                _layers(ctc(cpu).mix, model, name),
                lambda source: TranscriptSink(ctc, alphabet, frame_rate=frame_rate, seconds=source.seconds),
                receptive_field,
            )
        case "verification":
            xvector = heads.placing(kind, XVectorHead)
            shortest = receptive_field + (xvector(cpu).min_frames - 1) * stride
            return HeadTask(_layers(xvector(cpu).mix, model, name), lambda _: SpeakerVectorSink(xvector), shortest)
        case _:
            frames = heads.placing(kind, FrameClassificationHead)
            if num_speakers is not None and not 1 <= num_speakers <= frames(cpu).num_labels:
                raise ConfigurationError(
                    f"num_speakers={num_speakers} was given; the head of {name} tells up to {frames(cpu).num_labels} "
                    "speakers apart."
                )
            return HeadTask(
                _layers(frames(cpu).mix, model, name),
                lambda _: SpeakerActivitySink(frames, stride=stride, frame_rate=frame_rate, num_speakers=num_speakers),
                receptive_field,
            )


def require(ability: Ability, heads: Heads, name: str) -> None:
    """Raise ConfigurationError, with the models that can, unless these heads serve an ability."""
    if ability in heads.abilities:
        return
    able = [card.name for card in CATALOG.values() if ability in card.abilities]
    raise ConfigurationError(
        f"{name} cannot be asked for {ability}: its checkpoint has no head for it ({HEAD_FOR[ability]}). It can give "
        f"{', '.join(heads.abilities)}. Models with such a head: {_some(able)}."
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more (sonant models lists them)" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _alphabet(head: Head, name: str) -> Alphabet:
    vocabulary = head.metadata.get("vocabulary")
    if not vocabulary:
        raise ConfigurationError(
            f"{name} has a CTC head of {len(head.tensors['weight'])} tokens, but nothing says what they are. Put the "
            "vocab.json of the model beside its config.json; a file of torchaudio or fairseq without one is to be "
            "converted first (sonant convert), and vocab.json put into that folder."
        )
    return Alphabet.of(vocabulary, blank=head.metadata.get("blank", 0), tokenizer=head.metadata.get("tokenizer"))


def _layers(mix: LayerMix, model: Backbone, name: str) -> tuple[Layer, ...]:
    """The states that a head mixes: all, the last one after the final norm where there is one; or that one alone."""
    if mix.num_states == 1:
        return ("last",)
    if mix.num_states != model.num_layers + 1:
        raise ConfigurationError(
            f"A head of {name} mixes {mix.num_states} states; a model of {model.num_layers} layers has "
            f"{model.num_layers + 1}. The head belongs to another model."
        )
    return (*range(model.num_layers), "last")
