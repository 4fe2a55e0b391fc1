"""Methods that use the heads of a model: speaker vectors, diarization, classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from sonant.api.audio_inputs import Answers, AudioInput, AudioInputs, ManyAnswers, OneAnswer
from sonant.api.options import (
    AnySpeaker,
    InferenceOptions,
    PlainOptions,
    PlainSpeaker,
    SkippingOptions,
    SkippingSpeaker,
)
from sonant.api.speech_to_text import SpeechToText
from sonant.decoding.class_scores import ClassLabels
from sonant.decoding.known_voices import KnownVoices
from sonant.decoding.results import SpeakerTurn, Transcript
from sonant.decoding.speaker_turns import on_channel
from sonant.errors import UnknownName
from sonant.extraction.classification import classification, labels_of
from sonant.extraction.decoder_options import GREEDY, DecoderOptions
from sonant.extraction.decoders import TranscriptDecoder
from sonant.extraction.diarization import diarization
from sonant.extraction.heads import HeadPipeline
from sonant.extraction.source_separation import mask_pipeline
from sonant.extraction.sources import is_many
from sonant.extraction.speaker_vectors import verification
from sonant.extraction.written_transcripts import text_pipeline
from sonant.models.abilities import HEADS_FOR, Ability

if TYPE_CHECKING:
    from sonant.api.voices import Voices

Given = AudioInput | AudioInputs
Vector = NDArray[np.float32]
Turns = list[SpeakerTurn]
Classes = dict[str, float]


class Recognition(SpeechToText):
    """A loaded model with methods that use its heads."""

    @overload
    def speaker_vectors(self, audio: AudioInput, **options: Unpack[PlainOptions]) -> Vector: ...
    @overload
    def speaker_vectors(self, audio: AudioInputs, **options: Unpack[PlainOptions]) -> list[Vector]: ...
    @overload
    def speaker_vectors(self, audio: AudioInputs, **options: Unpack[SkippingOptions]) -> list[Vector | None]: ...
    @overload
    def speaker_vectors(self, audio: AudioInput, **options: Unpack[InferenceOptions]) -> OneAnswer[Vector]: ...
    @overload
    def speaker_vectors(self, audio: AudioInputs, **options: Unpack[InferenceOptions]) -> ManyAnswers[Vector]: ...
    def speaker_vectors(self, audio: Given, **options: Unpack[InferenceOptions]) -> Answers[Vector]:
        """Return the speaker embedding of one recording, or of each in a list, by the model's x-vector head.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`.

        Returns:
            float32 (dim,), the width of the head; embeddings of one speaker have a high cosine.
        """
        return self._by_head(self.speaker_vectors, self.head_pipeline("verification"), audio, options)

    @overload
    def diarize(self, audio: AudioInput, **options: Unpack[PlainSpeaker]) -> Turns: ...
    @overload
    def diarize(self, audio: AudioInputs, **options: Unpack[PlainSpeaker]) -> list[Turns]: ...
    @overload
    def diarize(self, audio: AudioInputs, **options: Unpack[SkippingSpeaker]) -> list[Turns | None]: ...
    @overload
    def diarize(self, audio: AudioInput, **options: Unpack[AnySpeaker]) -> OneAnswer[Turns]: ...
    @overload
    def diarize(self, audio: AudioInputs, **options: Unpack[AnySpeaker]) -> ManyAnswers[Turns]: ...
    def diarize(
        self,
        audio: Given,
        *,
        num_speakers: int | None = None,
        threshold: float | None = None,
        voices: Voices | None = None,
        **options: Unpack[InferenceOptions],
    ) -> Answers[Turns]:
        """Return the speaker turns of one recording, or of each in a list, in the same order.

        A model with a frame classification head (wavlm-base-plus-sd) finds as many speakers as the head distinguishes,
        two for the published ones, overlapping speech included. For any other model, embeddings of two seconds are
        clustered, x-vectors if it has such a head; they do not find overlapping speech.

        Args:
            audio: as in `SpeechEncoder.encode`.
            num_speakers: number of speakers; None: determined by the head or by `threshold`.
            threshold: for clustering x-vectors: the cosine below which two clusters are two speakers.
            voices: enrolled people of this model, whose names the speakers get; embeddings are then clustered, whatever
                heads there are.
            **options: see `InferenceOptions`.

        Returns:
            A list of `SpeakerTurn` in the order of their beginnings; with channel="all" a list with one per channel,
            and unknown speakers named "channel_0_speaker_0" ...

        Raises:
            ConfigurationError: clustering needs `num_speakers` or `threshold`; `voices` are of another model, or no
                threshold is known for them.
        """
        known = None if voices is None else voices.known_to(self.voice_fingerprint)
        pipeline = self.head_pipeline("diarization", num_speakers=num_speakers, threshold=threshold, known=known)
        answer = self._by_head(self.diarize, pipeline, audio, options)
        if options.get("channel") != "all":
            return answer
        return [_named_by_channel(channels) for channels in answer] if is_many(audio) else _named_by_channel(answer)

    @overload
    def classify(self, audio: AudioInput, **options: Unpack[PlainOptions]) -> Classes: ...
    @overload
    def classify(self, audio: AudioInputs, **options: Unpack[PlainOptions]) -> list[Classes]: ...
    @overload
    def classify(self, audio: AudioInputs, **options: Unpack[SkippingOptions]) -> list[Classes | None]: ...
    @overload
    def classify(self, audio: AudioInput, **options: Unpack[InferenceOptions]) -> OneAnswer[Classes]: ...
    @overload
    def classify(self, audio: AudioInputs, **options: Unpack[InferenceOptions]) -> ManyAnswers[Classes]: ...
    def classify(self, audio: Given, **options: Unpack[InferenceOptions]) -> Answers[Classes]:
        """Classify one whole recording, or each in a list, by the model's head: a score for each label.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`.

        Returns:
            A dict of floats by label, in the order of the head's outputs: probabilities of a classifier; values of a
            regression ("arousal", "dominance", "valence"); for a head of age and gender, "age_years" and a probability
            for each gender. With channel="all" a list with one per channel.

        Raises:
            ConfigurationError: the model has no such head; see `abilities`.
            CheckpointError: the labels in its config.json do not fit the head.
        """
        return self._by_head(self.classify, self.head_pipeline("classification"), audio, options)

    @property
    def labels(self) -> ClassLabels | None:
        """Labels of the head for whole recordings; None if the model has none."""
        return labels_of(self._heads, name=self.name) if "classification" in self.abilities else None

    @overload
    def head_pipeline(
        self, ability: Literal["transcription"], *, decoder: DecoderOptions | TranscriptDecoder = GREEDY
    ) -> HeadPipeline[Transcript]: ...
    @overload
    def head_pipeline(self, ability: Literal["verification"]) -> HeadPipeline[Vector]: ...
    @overload
    def head_pipeline(self, ability: Literal["classification"]) -> HeadPipeline[Classes]: ...
    @overload
    def head_pipeline(self, ability: Literal["enhancement", "separation"]) -> HeadPipeline[NDArray[np.float32]]: ...
    @overload
    def head_pipeline(
        self,
        ability: Literal["diarization"],
        *,
        num_speakers: int | None = None,
        threshold: float | None = None,
        known: KnownVoices | None = None,
    ) -> HeadPipeline[Turns]: ...
    @overload
    def head_pipeline(
        self,
        ability: Ability,
        *,
        num_speakers: int | None = None,
        threshold: float | None = None,
        known: KnownVoices | None = None,
        decoder: DecoderOptions | TranscriptDecoder = GREEDY,
    ) -> HeadPipeline[Any]: ...
    def head_pipeline(
        self,
        ability: Ability,
        *,
        num_speakers: int | None = None,
        threshold: float | None = None,
        known: KnownVoices | None = None,
        decoder: DecoderOptions | TranscriptDecoder = GREEDY,
    ) -> HeadPipeline[Any]:
        """Return the pipeline of a head, for callers that do their own batching.

        Raises:
            ConfigurationError: the model has no head for this ability.
        """
        match ability:
            case "transcription":
                return text_pipeline(self.model, self._heads, name=self.name, decoder=decoder)
            case "verification":
                return verification(self.model, self._heads, name=self.name)
            case "diarization":
                return diarization(
                    self.model,
                    self._heads,
                    name=self.name,
                    num_speakers=num_speakers,
                    threshold=threshold,
                    known=known,
                )
            case "classification":
                return classification(self.model, self._heads, name=self.name)
            case "enhancement" | "separation":
                return mask_pipeline(self.model, self._heads, ability, name=self.name)
        raise UnknownName("ability of a head", ability, HEADS_FOR)


def _named_by_channel(channels: list[Turns | None] | None) -> list[Turns | None] | None:
    if channels is None:
        return None
    return [None if turns is None else on_channel(turns, channel) for channel, turns in enumerate(channels)]
