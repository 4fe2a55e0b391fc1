"""Options that the public functions on recordings share."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Required, TypedDict

from sonant.audio import Channel
from sonant.data.text_normalization import Normalization
from sonant.extraction.engine import OnError
from sonant.extraction.pooling import Pool
from sonant.extraction.request import Layer
from sonant.extraction.summary import WorkEstimate
from sonant.inference import Precision
from sonant.models.devices import Device
from sonant.models.families import Task
from sonant.pretraining.kmeans import KMeans

if TYPE_CHECKING:
    from sonant.api.voices import Voices
    from sonant.decoding.language_model import LanguageModel
    from sonant.decoding.text_scores import TextScorer

Layers = Layer | Literal["all"] | Sequence[Layer]
Clusters = str | PathLike[str] | KMeans
OnFailure = Callable[[int, Exception], None]


class ComputingOptions(TypedDict, total=False):
    """Options of the computation.

    Attributes:
        batch_seconds: audio in a forward pass, halved when memory runs out. None (the default): chosen for the device.
        window_seconds: length of the windows into which longer recordings are cut; None never cuts. The default is 60.
        overlap_seconds: overlap of neighboring windows. Every frame is taken from the window in whose middle it lies,
            and has at least half of the overlap as context. None (the default): 8 s, or a quarter of windows shorter
            than 32 s.
        precision: of the arithmetic: "float32"; "bfloat16", or "int8" (on a CPU), faster with small deviations (see
            docs/performance.md); "float16" (on a GPU). None (the default): that of `load`, else of the weights.
        progress: show a bar on stderr; None: a bar if that is a terminal, a line per minute otherwise. The default is
            False for answers in memory, and None for files.
        device: one or several devices for this call; None (the default): those of the model.
    """

    batch_seconds: float | None
    window_seconds: float | None
    overlap_seconds: float | None
    precision: Precision | None
    progress: bool | None
    device: Device | Sequence[Device] | None


class InferenceOptions(ComputingOptions, total=False):
    """Keyword arguments of all methods that return answers, in addition to `ComputingOptions`.

    Attributes:
        sampling_rate: of arrays; None (the default): the model's.
        channel: None (the default) or "mix": the mean of a recording's channels; a number: one of them, counted from 0;
            "all": the answer is a list with one for each channel. Arrays (channels, samples) need it, as they might be
            a batch.
        on_error: "raise" (the default) raises the error of an unusable recording; "skip" returns None for it, and
            warns.
        on_failure: called with the index of a skipped recording and its error, instead of the warning.
    """

    sampling_rate: int | None
    channel: Channel | None
    on_error: OnError
    on_failure: OnFailure | None


class BulkOptions(ComputingOptions, total=False):
    """Keyword arguments of all methods that write answers to files, in addition to `ComputingOptions`.

    Attributes:
        channel: as in `InferenceOptions`; "all": each channel has a file, row or line.
        on_error: "skip" (the default) lists unusable recordings and continues; "raise" raises the error.
        on_start: called with an estimate of the work before it begins.
        on_failure: called with the name of each unusable recording and its error.
        stdin: the file that the source "-" reads; None (the default): standard input.
    """

    channel: Channel | None
    on_error: OnError
    on_start: Callable[[WorkEstimate], None] | None
    on_failure: Callable[[str, Exception], None] | None
    stdin: BinaryIO | None


class PlainOptions(ComputingOptions, total=False):
    """The `InferenceOptions` for one answer per recording."""

    sampling_rate: int | None
    channel: int | Literal["mix"] | None
    on_error: Literal["raise"]
    on_failure: OnFailure | None


class SkippingOptions(ComputingOptions, total=False):
    """The `InferenceOptions` for one answer or None per recording."""

    sampling_rate: int | None
    channel: int | Literal["mix"] | None
    on_error: Required[Literal["skip"]]
    on_failure: OnFailure | None


class VectorOptions(TypedDict, total=False):
    """Options of `SpeechEncoder.encode` alone."""

    layer: Layers | None
    pool: Pool | None
    task: Task | None
    normalize: bool


class PlainVector(VectorOptions, PlainOptions, total=False):
    """Options of `SpeechEncoder.encode` for one answer per recording."""


class SkippingVector(VectorOptions, SkippingOptions, total=False):
    """Options of `SpeechEncoder.encode` for one answer or None per recording."""


class AnyVector(VectorOptions, InferenceOptions, total=False):
    """All options of `SpeechEncoder.encode`."""


class UnitOptions(TypedDict, total=False):
    """Options of `SpeechEncoder.units` alone."""

    kmeans: Clusters | None
    layer: Layer | None


class PlainUnit(UnitOptions, PlainOptions, total=False):
    """Options of `SpeechEncoder.units` for one answer per recording."""


class SkippingUnit(UnitOptions, SkippingOptions, total=False):
    """Options of `SpeechEncoder.units` for one answer or None per recording."""


class AnyUnit(UnitOptions, InferenceOptions, total=False):
    """All options of `SpeechEncoder.units`."""


class SpeakerOptions(TypedDict, total=False):
    """Options of `SpeechEncoder.diarize` alone."""

    num_speakers: int | None
    threshold: float | None
    voices: "Voices | None"


class PlainSpeaker(SpeakerOptions, PlainOptions, total=False):
    """Options of `SpeechEncoder.diarize` for one answer per recording."""


class SkippingSpeaker(SpeakerOptions, SkippingOptions, total=False):
    """Options of `SpeechEncoder.diarize` for one answer or None per recording."""


class AnySpeaker(SpeakerOptions, InferenceOptions, total=False):
    """All options of `SpeechEncoder.diarize`."""


class DecodingOptions(TypedDict, total=False):
    """Options of decoding, see `DecoderOptions`; without any of them decoding is greedy.

    Attributes:
        decoder, lexicon: as in `DecoderOptions`.
        lm: as in `DecoderOptions`, or a language model in memory, which is not read again at each call.
        hot_words, hot_word_score, beam, beam_threshold, beam_tokens: as in `DecoderOptions`.
        lm_weight, word_score, silence_weight, unknown_score, n_best: as in `DecoderOptions`.
        rescoring_lm: as in `DecoderOptions`, or a scorer in memory.
        rescoring_lm_weight, rescoring_word_score: as in `DecoderOptions`.
    """

    decoder: str | PathLike[str] | None
    lm: "str | PathLike[str] | LanguageModel[Any] | None"
    lexicon: str | PathLike[str] | None
    hot_words: Sequence[str]
    hot_word_score: float | None
    beam: int | None
    beam_threshold: float | None
    beam_tokens: int | None
    lm_weight: float | None
    word_score: float | None
    silence_weight: float | None
    unknown_score: float | None
    rescoring_lm: "str | PathLike[str] | TextScorer | None"
    rescoring_lm_weight: float | None
    rescoring_word_score: float | None
    n_best: int | None


class PlainTranscription(DecodingOptions, PlainOptions, total=False):
    """Options of `SpeechEncoder.transcribe` for one answer per recording."""


class SkippingTranscription(DecodingOptions, SkippingOptions, total=False):
    """Options of `SpeechEncoder.transcribe` for one answer or None per recording."""


class AnyTranscription(DecodingOptions, InferenceOptions, total=False):
    """All options of `SpeechEncoder.transcribe`."""


class BulkTranscription(DecodingOptions, BulkOptions, total=False):
    """All options of `SpeechEncoder.write_transcripts`."""


class EvaluationOptions(DecodingOptions, ComputingOptions, total=False):
    """Options of `evaluate_asr` for the transcription."""


class AlignmentOptions(TypedDict, total=False):
    """Options of `SpeechEncoder.align` alone.

    Attributes:
        star: also align what is said before, between and after the lines of the text, and is not in it.
        normalize: form in which the words are spelled, as in `sonant.data.text_normalization.normalize_text`; None (the
            default): that which the vocabulary of the model calls for.
        subwords: sentencepiece model of the units; None: `tokenizer.model` in the folder of the model.
        lexicon: file with a word and its phones in each line, for models of phones; None: `lexicon.txt` in the folder
            of the model, else the text is phones.
    """

    star: bool
    normalize: Normalization | None
    subwords: str | PathLike[str] | None
    lexicon: str | PathLike[str] | None


class PlainAlignment(AlignmentOptions, PlainOptions, total=False):
    """Options of `SpeechEncoder.align` for one answer per recording."""


class SkippingAlignment(AlignmentOptions, SkippingOptions, total=False):
    """Options of `SpeechEncoder.align` for one answer or None per recording."""


class AnyAlignment(AlignmentOptions, InferenceOptions, total=False):
    """All options of `SpeechEncoder.align`."""


class ComparisonOptions(ComputingOptions, total=False):
    """Options of `SpeechEncoder.similarity`."""

    sampling_rate: int | None
    channel: int | Literal["mix"] | None
    on_error: OnError
    on_failure: OnFailure | None
    layer: Layer | None
    pool: Pool | None
    task: Task
