"""The verbs that the heads of a fine-tuned model answer: transcripts, voices, speakers and classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from sonant.api.audio_inputs import Answers, AudioInput, AudioInputs, ManyAnswers, OneAnswer
from sonant.api.model_with_heads import ModelWithHeads
from sonant.api.options import (
    INFERENCE,
    AnySpeaker,
    InferenceOptions,
    PlainOptions,
    PlainSpeaker,
    SkippingOptions,
    SkippingSpeaker,
    check_one_channel,
    completed,
    of_request,
)
from sonant.api.recordings import paired
from sonant.api.running import answers_of, tell
from sonant.api.similarity import VERIFICATION_THRESHOLD, compare_voices
from sonant.decoding.results import SpeakerTurn, Transcript, Verification
from sonant.decoding.speaker_clustering import check_cosine
from sonant.decoding.speaker_turns import on_channel
from sonant.errors import UnknownName
from sonant.extraction.classification import classification
from sonant.extraction.diarization import diarization
from sonant.extraction.heads import HeadPipeline
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sources import is_many
from sonant.extraction.speaker_vectors import verification
from sonant.extraction.transcripts import transcription
from sonant.models.abilities import HEADS_FOR, Ability

Given = AudioInput | AudioInputs
Vector = NDArray[np.float32]
Turns = list[SpeakerTurn]
Classes = dict[str, float]
Verb = Callable[..., Any]


class Recognition(ModelWithHeads):
    """A loaded model and what its heads say of recordings."""

    @overload
    def transcribe(self, audio: AudioInput, **options: Unpack[PlainOptions]) -> Transcript: ...
    @overload
    def transcribe(self, audio: AudioInputs, **options: Unpack[PlainOptions]) -> list[Transcript]: ...
    @overload
    def transcribe(self, audio: AudioInputs, **options: Unpack[SkippingOptions]) -> list[Transcript | None]: ...
    @overload
    def transcribe(self, audio: AudioInput, **options: Unpack[InferenceOptions]) -> OneAnswer[Transcript]: ...
    @overload
    def transcribe(self, audio: AudioInputs, **options: Unpack[InferenceOptions]) -> ManyAnswers[Transcript]: ...
    def transcribe(self, audio: Given, **options: Unpack[InferenceOptions]) -> Answers[Transcript]:
        """Transcribe one recording, or each of a list of them in the same order.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`.

        Returns:
            `Transcript`, with times and a confidence for each word; with channel="all" a list of one for each channel.

        Raises:
            ConfigurationError: the model has no CTC head; see `abilities`.
            CheckpointError: nothing says what the tokens of the head are.
        """
        return self._by_head(self.transcribe, self.head_pipeline("transcription"), audio, options)

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
        """Return the vector of the speaker in one recording, or in each of a list, by the model's x-vector head.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`.

        Returns:
            float32 (dim,), the width of the head; vectors of one voice have a high cosine.
        """
        return self._by_head(self.speaker_vectors, self.head_pipeline("verification"), audio, options)

    @overload
    def verify(
        self, a: AudioInput, b: AudioInput, *, threshold: float | None = None, **options: Unpack[PlainOptions]
    ) -> Verification: ...
    @overload
    def verify(
        self, a: AudioInputs, b: AudioInputs, *, threshold: float | None = None, **options: Unpack[PlainOptions]
    ) -> list[Verification]: ...
    @overload
    def verify(
        self, a: AudioInput, b: AudioInput, *, threshold: float | None = None, **options: Unpack[InferenceOptions]
    ) -> Verification | None: ...
    @overload
    def verify(
        self, a: AudioInputs, b: AudioInputs, *, threshold: float | None = None, **options: Unpack[InferenceOptions]
    ) -> list[Verification | None]: ...
    def verify(
        self,
        a: Given,
        b: Given,
        *,
        threshold: float | None = None,
        **options: Unpack[InferenceOptions],
    ) -> Verification | Sequence[Verification | None] | None:
        """Return whether one voice speaks in two recordings, by the model's x-vector head.

        Args:
            a, b: a recording each, or lists of the same length, compared in pairs.
            threshold: the cosine from which on voices count as one; None: 0.86, which the authors of
                wavlm-base-plus-sv name. Where the price of an error is known, choose it on recordings like yours.
            **options: see `InferenceOptions`; no channel="all". With on_error="skip" the answer is None for a pair of
                which a recording cannot be used, and `on_failure` is given the number of the pair.

        Returns:
            `Verification`, or a list of them.
        """
        options = completed(options, INFERENCE, self.verify)
        check_one_channel(options["channel"])
        limit = VERIFICATION_THRESHOLD if threshold is None else threshold
        check_cosine(limit)
        left, right = paired(a, b)
        failures: list[tuple[int, Exception]] = []
        both: InferenceOptions = {
            **options,
            "on_failure": lambda number, error: failures.append((number % len(left), error)),
        }
        vectors = self._by_head(self.verify, self.head_pipeline("verification"), [*left, *right], both)
        tell(sorted(failures, key=itemgetter(0)), len(left), options["on_failure"], noun="pairs of recordings")
        answers = [
            None if one is None or other is None else compare_voices(one, other, threshold=limit)
            for one, other in zip(vectors[: len(left)], vectors[len(left) :], strict=True)
        ]
        return answers if is_many(a) else answers[0]

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
        **options: Unpack[InferenceOptions],
    ) -> Answers[Turns]:
        """Return who speaks when in one recording, or in each of a list of them in the same order.

        A model with a head for frames (wavlm-base-plus-sd) finds its speakers, two for the published ones, even where
        they talk at once. Any other model's vectors of two seconds are clustered, those of its x-vector head if it has
        one; then one voice at a time is found.

        Args:
            audio: as in `SpeechEncoder.encode`.
            num_speakers: None finds out, where there is a head for frames.
            threshold: to find out by clustering x-vectors: the cosine below which two groups of them are two speakers.
            **options: see `InferenceOptions`.

        Returns:
            A list of `SpeakerTurn` in the order in which they begin; with channel="all" a list of one for each channel,
            its speakers called "channel_0_speaker_0" ...

        Raises:
            ConfigurationError: the vectors are to be clustered, and nothing says when to stop.
        """
        pipeline = self.head_pipeline("diarization", num_speakers=num_speakers, threshold=threshold)
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
        """Classify one whole recording, or each in a list, by the model's head: a number for each label.

        A recording in windows is pooled over all of its frames, as one piece is.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`.

        Returns:
            A dict of floats by label, in the order of the head's outputs: probabilities of a classifier; of a
            regression the numbers as they are ("arousal", "dominance", "valence"); of a head for age and gender
            "age_years" and a probability for each gender. With channel="all" a list of one for each channel.

        Raises:
            ConfigurationError: the model has no such head; see `abilities`.
            CheckpointError: the labels in its config.json do not fit the head.
        """
        return self._by_head(self.classify, self.head_pipeline("classification"), audio, options)

    @overload
    def head_pipeline(self, ability: Literal["transcription"]) -> HeadPipeline[Transcript]: ...
    @overload
    def head_pipeline(self, ability: Literal["verification"]) -> HeadPipeline[Vector]: ...
    @overload
    def head_pipeline(self, ability: Literal["classification"]) -> HeadPipeline[Classes]: ...
    @overload
    def head_pipeline(
        self, ability: Literal["diarization"], *, num_speakers: int | None = None, threshold: float | None = None
    ) -> HeadPipeline[Turns]: ...
    @overload
    def head_pipeline(
        self, ability: Ability, *, num_speakers: int | None = None, threshold: float | None = None
    ) -> HeadPipeline[Any]: ...
    def head_pipeline(
        self, ability: Ability, *, num_speakers: int | None = None, threshold: float | None = None
    ) -> HeadPipeline[Any]:
        """Return the states and the sink that an ability of a head needs, for callers that do their own batching.

        Raises:
            ConfigurationError: it has no head for that.
        """
        match ability:
            case "transcription":
                return transcription(self.model, self._heads, name=self.name)
            case "verification":
                return verification(self.model, self._heads, name=self.name)
            case "diarization":
                return diarization(
                    self.model, self._heads, name=self.name, num_speakers=num_speakers, threshold=threshold
                )
            case "classification":
                return classification(self.model, self._heads, name=self.name)
        raise UnknownName("ability of a head", ability, HEADS_FOR)

    def _by_head(self, verb: Verb, pipeline: HeadPipeline[Any], audio: Given, options: InferenceOptions) -> Any:
        """Return what a head says of one recording or several."""
        options = completed(options, INFERENCE, verb)
        return answers_of(
            self._engine(options),
            audio,
            EncodeRequest(layers=pipeline.layers, **of_request(options)),
            options,
            min_samples=pipeline.min_samples,
            twice_at_once=pipeline.reads_source,
            make_sink=pipeline.make_sink,
        )


def _named_by_channel(channels: list[Turns | None] | None) -> list[Turns | None] | None:
    if channels is None:
        return None
    return [None if turns is None else on_channel(turns, channel) for channel, turns in enumerate(channels)]
