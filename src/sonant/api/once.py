"""Functions for single calls: each loads a model and releases it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from sonant.api.alignment import Texts
from sonant.api.audio_inputs import Answers, AudioInput, AudioInputs
from sonant.api.bulk import Source
from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import encoder_of, load
from sonant.api.options import (
    AnyAlignment,
    AnySpeaker,
    AnyTranscription,
    AnyUnit,
    Clusters,
    InferenceOptions,
    PlainAlignment,
    PlainOptions,
    PlainSpeaker,
    PlainTranscription,
    PlainUnit,
)
from sonant.api.spoken_search import SpokenMatch
from sonant.api.voices import Voices
from sonant.decoding.alignment.aligned_text import Alignment
from sonant.decoding.results import SpeakerTurn, Transcript, Verification
from sonant.extraction.request import Layer
from sonant.extraction.units import Units

Model: TypeAlias = str | PathLike[str] | SpeechEncoder
Given: TypeAlias = AudioInput | AudioInputs
Codes: TypeAlias = NDArray[np.int64]
Turns: TypeAlias = list[SpeakerTurn]
Waveform: TypeAlias = NDArray[np.float32]
Classes: TypeAlias = dict[str, float]
No: TypeAlias = Literal[False]


@overload
def units(audio: AudioInput, *, model: Model, deduplicate: No = ..., **how: Unpack[PlainUnit]) -> Codes: ...
@overload
def units(audio: AudioInputs, *, model: Model, deduplicate: No = ..., **how: Unpack[PlainUnit]) -> list[Codes]: ...
@overload
def units(audio: Given, *, model: Model, deduplicate: bool = ..., **how: Unpack[AnyUnit]) -> Answers[Codes | Units]: ...
def units(
    audio: Given,
    *,
    model: Model,
    kmeans: Clusters | None = None,
    layer: Layer | None = None,
    deduplicate: bool = False,
    **options: Unpack[InferenceOptions],
) -> Answers[Codes | Units]:
    """Return discrete units of one recording or several; see `SpeechEncoder.units`.

    Args:
        audio: path, bytes, file object, array, tensor or `{"array", "sampling_rate"}`; or several of these.
        model: a loaded model, or an argument of `load`; for many calls load it once.
        kmeans, layer, deduplicate: as in `SpeechEncoder.units`.
        **options: see `InferenceOptions`.
    """
    encoder: Any = encoder_of(model)
    return encoder.units(audio, kmeans=kmeans, layer=layer, deduplicate=deduplicate, **options)


@overload
def transcribe(
    audio: AudioInput, *, model: Model, language: str | None = ..., **how: Unpack[PlainTranscription]
) -> Transcript: ...
@overload
def transcribe(
    audio: AudioInputs, *, model: Model, language: str | None = ..., **how: Unpack[PlainTranscription]
) -> list[Transcript]: ...
@overload
def transcribe(
    audio: Given, *, model: Model, language: str | None = ..., **how: Unpack[AnyTranscription]
) -> Answers[Transcript]: ...
def transcribe(
    audio: Given, *, model: Model, language: str | None = None, **options: Unpack[AnyTranscription]
) -> Answers[Transcript]:
    """Transcribe one recording or several; see `SpeechEncoder.transcribe`.

    Args:
        audio: as in `units`.
        model: a loaded model, or an argument of `load`, with a CTC head: "facebook/wav2vec2-base-960h".
        language: of a model with adapters by language (MMS), such as "fra" or "fr"; a loaded model is switched to it.
            None: that of the loaded model, or of the weights.
        **options: see `InferenceOptions` and `DecoderOptions`.
    """
    if isinstance(model, SpeechEncoder):
        if language is not None:
            model.set_language(language)
        return model.transcribe(audio, **options)
    return load(model, language=language).transcribe(audio, **options)


@overload
def align(audio: AudioInput, text: str, *, model: Model, **how: Unpack[PlainAlignment]) -> Alignment: ...
@overload
def align(audio: AudioInputs, text: Texts, *, model: Model, **how: Unpack[PlainAlignment]) -> list[Alignment]: ...
@overload
def align(audio: Given, text: str | Texts, *, model: Model, **how: Unpack[AnyAlignment]) -> Answers[Alignment]: ...
def align(audio: Given, text: str | Texts, *, model: Model, **options: Unpack[AnyAlignment]) -> Answers[Alignment]:
    """Find when each line, word and character of a text is said; see `SpeechEncoder.align`.

    Args:
        audio: as in `units`.
        text: what is said; a list for a list of recordings.
        model: a loaded model, or an argument of `load`, with a CTC head: "facebook/wav2vec2-base-960h".
        **options: see `AlignmentOptions` and `InferenceOptions`.
    """
    encoder: Any = encoder_of(model)
    return encoder.align(audio, text, **options)


@overload
def verify(
    a: AudioInput, b: AudioInput, *, model: Model, threshold: float | None = ..., **how: Unpack[PlainOptions]
) -> Verification: ...
@overload
def verify(
    a: AudioInputs, b: AudioInputs, *, model: Model, threshold: float | None = ..., **how: Unpack[PlainOptions]
) -> list[Verification]: ...
@overload
def verify(
    a: Given, b: Given, *, model: Model, threshold: float | None = ..., **how: Unpack[InferenceOptions]
) -> Verification | Sequence[Verification | None] | None: ...
def verify(
    a: Given, b: Given, *, model: Model, threshold: float | None = None, **options: Unpack[InferenceOptions]
) -> Verification | Sequence[Verification | None] | None:
    """Return whether two recordings are of the same speaker; see `SpeechEncoder.verify`.

    Args:
        a, b: two recordings, or lists of the same length.
        model: a loaded model, or an argument of `load`, with an x-vector head: "microsoft/wavlm-base-plus-sv".
        threshold: as in `SpeechEncoder.verify`.
        **options: see `InferenceOptions`.
    """
    encoder: Any = encoder_of(model)
    return encoder.verify(a, b, threshold=threshold, **options)


@overload
def classify(audio: AudioInput, *, model: Model, **options: Unpack[PlainOptions]) -> Classes: ...
@overload
def classify(audio: AudioInputs, *, model: Model, **options: Unpack[PlainOptions]) -> list[Classes]: ...
@overload
def classify(audio: Given, *, model: Model, **options: Unpack[InferenceOptions]) -> Answers[Classes]: ...
def classify(audio: Given, *, model: Model, **options: Unpack[InferenceOptions]) -> Answers[Classes]:
    """Classify one whole recording or several: a score for each label; see `SpeechEncoder.classify`.

    Args:
        audio: as in `units`.
        model: a loaded model, or an argument of `load`, with a head for whole recordings:
            "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim".
        **options: see `InferenceOptions`.
    """
    encoder: Any = encoder_of(model)
    return encoder.classify(audio, **options)


@overload
def diarize(audio: AudioInput, *, model: Model, **how: Unpack[PlainSpeaker]) -> Turns: ...
@overload
def diarize(audio: AudioInputs, *, model: Model, **how: Unpack[PlainSpeaker]) -> list[Turns]: ...
@overload
def diarize(audio: Given, *, model: Model, **how: Unpack[AnySpeaker]) -> Answers[Turns]: ...
def diarize(
    audio: Given,
    *,
    model: Model,
    num_speakers: int | None = None,
    threshold: float | None = None,
    voices: Voices | None = None,
    **options: Unpack[InferenceOptions],
) -> Answers[Turns]:
    """Return the speaker turns of one recording or several; see `SpeechEncoder.diarize`.

    Args:
        audio: as in `units`.
        model: a loaded model, or an argument of `load`: "microsoft/wavlm-base-plus-sd".
        num_speakers, threshold, voices: as in `SpeechEncoder.diarize`.
        **options: see `InferenceOptions`.
    """
    encoder: Any = encoder_of(model)
    return encoder.diarize(audio, num_speakers=num_speakers, threshold=threshold, voices=voices, **options)


@overload
def enhance(audio: AudioInput, *, model: Model, **options: Unpack[PlainOptions]) -> Waveform: ...
@overload
def enhance(audio: AudioInputs, *, model: Model, **options: Unpack[PlainOptions]) -> list[Waveform]: ...
@overload
def enhance(audio: Given, *, model: Model, **options: Unpack[InferenceOptions]) -> Answers[Waveform]: ...
def enhance(audio: Given, *, model: Model, **options: Unpack[InferenceOptions]) -> Answers[Waveform]:
    """Take noise away from the speech of one recording or several; see `SpeechEncoder.enhance`.

    Args:
        audio: as in `units`.
        model: a loaded model, or an argument of `load`, of `sonant train enhancement`.
        **options: see `InferenceOptions`.
    """
    encoder: Any = encoder_of(model)
    return encoder.enhance(audio, **options)


@overload
def separate(audio: AudioInput, *, model: Model, **options: Unpack[PlainOptions]) -> Waveform: ...
@overload
def separate(audio: AudioInputs, *, model: Model, **options: Unpack[PlainOptions]) -> list[Waveform]: ...
@overload
def separate(audio: Given, *, model: Model, **options: Unpack[InferenceOptions]) -> Answers[Waveform]: ...
def separate(audio: Given, *, model: Model, **options: Unpack[InferenceOptions]) -> Answers[Waveform]:
    """Separate the speakers of one recording or several; see `SpeechEncoder.separate`.

    Args:
        audio: as in `units`.
        model: a loaded model, or an argument of `load`, of `sonant train separation`.
        **options: see `InferenceOptions`.
    """
    encoder: Any = encoder_of(model)
    return encoder.separate(audio, **options)


@overload
def search(queries: AudioInput, source: Source, *, model: Model, **how: Any) -> list[SpokenMatch]: ...
@overload
def search(queries: AudioInputs, source: Source, *, model: Model, **how: Any) -> list[list[SpokenMatch]]: ...
def search(
    queries: Given, source: Source, *, model: Model, **options: Any
) -> list[SpokenMatch] | list[list[SpokenMatch]]:
    """Find the places of recordings that sound like a recorded query, or like each in a list.

    Args:
        queries, source: as in `SpeechEncoder.search`.
        model: a loaded model, or an argument of `load`: "microsoft/wavlm-base-plus".
        **options: those of `SpeechEncoder.search`.
    """
    encoder: Any = encoder_of(model)
    found: list[SpokenMatch] | list[list[SpokenMatch]] = encoder.search(queries, source, **options)
    return found
