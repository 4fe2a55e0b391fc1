"""The heads of a fine-tuned model in use: the states that each reads, and the sink that makes its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from sonant.checkpoints import Head
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.speaker_clustering import check_clustering
from sonant.errors import CheckpointError, ConfigurationError, UnknownName
from sonant.extraction.adapted import AdaptedSink
from sonant.extraction.placed import Placed
from sonant.extraction.request import Layer
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.extraction.speaker_activity import SpeakerActivitySink
from sonant.extraction.speaker_clusters import HeadVoices, SpeakerClusterSink, StateVoices, Voices
from sonant.extraction.speaker_vectors import SpeakerVectorSink
from sonant.extraction.transcripts import TranscriptSink
from sonant.layers.conv_adapter import ConvAdapter
from sonant.models import Backbone
from sonant.models.abilities import ABILITIES, HEADS_FOR, Ability
from sonant.models.catalog import CATALOG
from sonant.models.families import presets
from sonant.models.identity import digest_of
from sonant.tasks import (
    CTCHead,
    FrameClassificationHead,
    LayerMix,
    SequenceClassificationHead,
    SpeechClassificationHead,
    XVectorHead,
)

CPU = torch.device("cpu")
Module = TypeVar("Module", bound=nn.Module)
RunnableHead = CTCHead | XVectorHead | FrameClassificationHead | SequenceClassificationHead | SpeechClassificationHead
KINDS = tuple(kind for kinds in HEADS_FOR.values() for kind in kinds)


@dataclass(frozen=True)
class HeadTask:
    """The states that an ability of a head needs of a recording, and the sink that makes the answer of them.

    Attributes:
        layers: the states to give to the sink, in this order.
        make_sink: makes the sink of one recording; its `finish` returns a `Transcript`, a vector (dim,) or a list of
            `SpeakerTurn`.
        min_samples: the least samples that a recording must have.
        reads_source: whether the sink also reads the recording itself, while it receives frames of it.
    """

    layers: tuple[Layer, ...]
    make_sink: Callable[[Source], Sink]
    min_samples: int
    reads_source: bool = False


class Heads:
    """The heads that were loaded with a model, in float32; the module of each is made once, when it is first needed.

    That module is the one to train or to change. Other devices have copies, made anew when its weights have changed.

    Attributes:
        stored: the heads as they were loaded.
    """

    def __init__(self, stored: Mapping[str, Head]) -> None:
        self.stored = dict(stored)
        self._made: dict[str, Placed[RunnableHead]] = {}

    @property
    def abilities(self) -> tuple[Ability, ...]:
        """The abilities of a model with these heads; transcription only if the CTC head's vocabulary is known."""
        usable = {kind for kind, head in self.stored.items() if kind != "ctc" or _lack(head) is None}
        return tuple(
            ability for ability in ABILITIES if ability == "embeddings" or not usable.isdisjoint(HEADS_FOR[ability])
        )

    @property
    def runnable(self) -> tuple[str, ...]:
        """The kinds of heads that can be run, without tensors that are only kept to be saved again."""
        return tuple(kind for kind in self.stored if kind in KINDS)

    @property
    def language(self) -> str | None:
        """The language of the CTC head, if its files have vocabularies of several; else None."""
        head = self.stored.get("ctc")
        return None if head is None else head.metadata.get("language")

    def replace(self, kind: str, head: Head) -> None:
        """Replace the head of this kind, or add one."""
        self.stored[kind] = head
        self._made.pop(kind, None)

    def made(self, kind: str, device: torch.device | None = None) -> RunnableHead:
        """Return the module of a head, moved to a device if one is given."""
        if kind not in self._made:
            self._made[kind] = Placed(build_head(kind, self.stored[kind]))
        module = self._made[kind].module
        return module if device is None else module.to(device)

    def on(self, device: torch.device, kind: str) -> nn.Module:
        """Return a head on a device: the module itself or a copy."""
        if kind not in self._made:
            self.made(kind, device)
        return self._made[kind].on(device)

    def current(self) -> dict[str, Head]:
        """Return the heads as they are now, to be saved; unchanged tensors have their loaded types and bits."""
        return {
            kind: Head(_merged(head.tensors, self._made[kind].module.tensors()), head.metadata)
            if kind in self._made
            else head
            for kind, head in self.stored.items()
        }

    def fingerprint(self) -> str:
        """Return a short hash of the heads that can be run, as they are now: equal ones give equal answers."""
        heads = {kind: head for kind, head in self.current().items() if kind in KINDS}
        facts = [f"{kind} {sorted(head.metadata.items())!r}" for kind, head in sorted(heads.items())]
        return digest_of(
            facts, {f"{kind}.{name}": tensor for kind, head in heads.items() for name, tensor in head.tensors.items()}
        )

    def placing(self, kind: str, _type: type[Module]) -> Callable[[torch.device], Module]:
        """Return `on` for a kind of known type; it raises ConfigurationError once the head has been replaced."""
        stored = self.stored[kind]

        def on(device: torch.device) -> Module:
            if self.stored[kind] is not stored:
                raise ConfigurationError(
                    "The model was switched to another language while it was asked in the one before. Switch between "
                    "calls, or load the model twice."
                )
            module = self.on(device, kind)
            assert isinstance(module, _type)
            return module

        return on


def _merged(stored: Mapping[str, Tensor], trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by name, the trained ones where they differ from the stored ones."""
    merged = dict(stored)
    for name, tensor in trained.items():
        now, before = tensor.detach().cpu(), stored.get(name)
        if before is None or not torch.equal(now, before.to(now.dtype)):
            merged[name] = now.contiguous()
    return merged


def build_head(kind: str, head: Head) -> RunnableHead:
    """Build the module of a checkpoint's head, in evaluation mode, from frames to float32."""
    module: RunnableHead
    match kind:
        case "ctc":
            module = CTCHead.from_tensors(head.tensors)
        case "xvector":
            module = XVectorHead.from_tensors(head.tensors, head.metadata)
        case "frame_classification":
            module = FrameClassificationHead.from_tensors(head.tensors)
        case "sequence_classification":
            module = SequenceClassificationHead.from_tensors(head.tensors)
        case "speech_classification" | "age_gender":
            module = SpeechClassificationHead.from_tensors(head.tensors, head.metadata)
        case _:
            raise UnknownName("head to run", kind, KINDS)
    return module.eval().requires_grad_(requires_grad=False)


def transcription(model: Backbone, heads: Heads, *, name: str) -> HeadTask:
    """Return the task of transcription by a CTC head; the answer is a `Transcript`.

    Raises:
        ConfigurationError: the model has no CTC head.
        CheckpointError: nothing says what the head's tokens are.
    """
    if "ctc" not in heads.stored:
        require("transcription", heads, name)
    head_on = heads.placing("ctc", CTCHead)
    vocabulary = _vocabulary(heads.stored["ctc"], name)
    mix = head_on(CPU).mix
    adapter = adapter_before(mix, model)
    rate = model.frame_rate if adapter is None else model.frame_rate / adapter.module.stride

    def make_sink(source: Source) -> Sink:
        sink = TranscriptSink(head_on, vocabulary, frame_rate=rate, seconds=source.seconds)
        return sink if adapter is None else AdaptedSink(adapter.on, sink)

    return HeadTask(states_of(mix, model, name, adapted=True), make_sink, _samples_for(1, adapter, model))


def voice(model: Backbone, heads: Heads, *, name: str) -> HeadTask:
    """Return the task of an x-vector head; the answer is float32 (dim,). Raises ConfigurationError without one."""
    require("verification", heads, name)
    head_on = heads.placing("xvector", XVectorHead)
    mix, needed = head_on(CPU).mix, head_on(CPU).min_frames
    adapter = adapter_before(mix, model)

    def make_sink(_source: Source) -> Sink:
        sink = SpeakerVectorSink(head_on)
        return sink if adapter is None else AdaptedSink(adapter.on, sink)

    return HeadTask(states_of(mix, model, name, adapted=True), make_sink, _samples_for(needed, adapter, model))


def diarization(
    model: Backbone, heads: Heads, *, name: str, num_speakers: int | None = None, threshold: float | None = None
) -> HeadTask:
    """Return the task of diarization; the answer is a list of `SpeakerTurn`.

    A head for the speakers of each frame is used if there is one and it is for so many speakers. Otherwise vectors of
    two seconds are clustered: those of an x-vector head, or means of the state that the preset "speaker" names, with
    the spoken content suppressed.

    Args:
        name: of the model, for messages.
        num_speakers: None: as many as a head for frames finds; clustering needs a number or a threshold.
        threshold: for clustering x-vectors, the cosine below which two groups are two speakers.

    Raises:
        ConfigurationError: neither a number of speakers nor a threshold is given, and clustering needs one.
    """
    check_clustering(num_speakers, threshold)
    if "frame_classification" in heads.stored and threshold is None:
        head_on = heads.placing("frame_classification", FrameClassificationHead)
        if num_speakers is None or num_speakers <= head_on(CPU).num_labels:
            return HeadTask(
                states_of(head_on(CPU).mix, model, name),
                lambda _: SpeakerActivitySink(
                    head_on, stride=model.stride, frame_rate=model.frame_rate, num_speakers=num_speakers
                ),
                model.receptive_field,
            )
    return _clustering(model, heads, name, num_speakers, threshold)


def _clustering(
    model: Backbone, heads: Heads, name: str, num_speakers: int | None, threshold: float | None
) -> HeadTask:
    has_head = "xvector" in heads.stored
    if num_speakers is None and (threshold is None or not has_head):
        raise ConfigurationError(
            f"{name} has no head that finds out how many speakers there are. Give num_speakers"
            + (", or threshold, the cosine below which two groups of vectors are two speakers." if has_head else ".")
            + f" Models with a head that does: {_some(_able('diarization'))}."
        )
    layers: tuple[Layer, ...] = (presets(model.config)["speaker"].layer,)
    make_voices: Callable[[], Voices] = StateVoices
    if has_head:
        head_on = heads.placing("xvector", XVectorHead)
        layers, make_voices = states_of(head_on(CPU).mix, model, name), lambda: HeadVoices(head_on)
    return HeadTask(
        layers,
        lambda source: SpeakerClusterSink(
            make_voices(),
            source,
            stride=model.stride,
            sampling_rate=model.sampling_rate,
            num_speakers=num_speakers,
            threshold=threshold,
        ),
        model.receptive_field,
        reads_source=True,
    )


def require(ability: Ability, heads: Heads, name: str) -> None:
    """Raise ConfigurationError, which names models with such heads, unless these heads serve an ability."""
    if ability in heads.abilities:
        return
    raise ConfigurationError(
        f"{name} cannot be asked for {ability}: its checkpoint has no head for it ({' or '.join(HEADS_FOR[ability])}). "
        f"It can give {', '.join(heads.abilities)}.{_models_with(ability)}"
    )


def _models_with(ability: Ability) -> str:
    able = _able(ability)
    return f" Models with such a head: {_some(able)}." if able else ""


def _able(ability: Ability) -> list[str]:
    return [card.name for card in CATALOG.values() if ability in card.abilities]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more (sonant models lists them)" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _vocabulary(head: Head, name: str) -> CTCVocabulary:
    lack = _lack(head)
    if lack is not None:
        raise CheckpointError(f"{name} has a CTC head of {len(head.tensors['weight'])} tokens, but {lack}")
    return CTCVocabulary.of(
        head.metadata["vocabulary"], blank=head.metadata.get("blank", 0), tokenizer=head.metadata.get("tokenizer")
    )


def _lack(head: Head) -> str | None:
    """Return why the tokens of a CTC head cannot be written as text; None if they can."""
    vocabulary = head.metadata.get("vocabulary")
    if not vocabulary:
        reason = head.metadata.get("unusable", "nothing says what they are")
        return (
            f"{reason}. The text of a model needs its vocab.json beside its config.json; a file of fairseq the "
            "dict.ltr.txt of its training beside it, one of fairseq2 the sentencepiece model; a file of torchaudio is "
            "to be converted first (sonant convert), and vocab.json put into that folder."
        )
    if len(vocabulary) != len(head.tensors["weight"]):
        return (
            f"its vocabulary has {len(vocabulary)}: the two belong to different models. Give the head the vocabulary "
            "that it was trained with."
        )
    return None


def adapter_before(mix: LayerMix, model: Backbone) -> Placed[ConvAdapter] | None:
    """Return the adapter whose output a head reads; None if the model has none, or the head mixes states."""
    adapter = getattr(model, "adapter", None)
    return None if adapter is None or mix.num_states > 1 else Placed(adapter)


def _samples_for(frames: int, adapter: Placed[ConvAdapter] | None, model: Backbone) -> int:
    """Return the samples of the shortest recording of which a head gets so many frames."""
    needed = frames if adapter is None else adapter.module.frames_for(frames)
    return model.receptive_field + (needed - 1) * model.stride


def states_of(mix: LayerMix, model: Backbone, name: str, *, adapted: bool = False) -> tuple[Layer, ...]:
    """Return the states that a head mixes: all or the last alone; the last is after the final norm if there is one.

    `adapted`: whether the head is given the output of the model's adapter for the last state.
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
