"""Methods that use the heads for text of a model: transcripts, emissions, and decoders of these."""

from __future__ import annotations

from typing import Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray

from sonant.api.audio_inputs import Answers, AudioInput, AudioInputs, ManyAnswers, OneAnswer
from sonant.api.option_values import without_decoding
from sonant.api.options import (
    AnyTranscription,
    InferenceOptions,
    PlainOptions,
    PlainTranscription,
    SkippingOptions,
    SkippingTranscription,
)
from sonant.api.voice_comparison import VoiceComparison
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import Transcript
from sonant.extraction.decoder_options import DecoderOptions
from sonant.extraction.decoders import TranscriptDecoder, loaded
from sonant.extraction.heads import require_ctc
from sonant.extraction.transcripts import emission_pipeline
from sonant.extraction.vocabularies import vocabulary_of
from sonant.extraction.written_transcripts import is_written, text_decoder, text_pipeline

Given = AudioInput | AudioInputs
Emission = NDArray[np.float32]


class SpeechToText(VoiceComparison):
    """A loaded model with methods that use its heads for text."""

    @overload
    def transcribe(self, audio: AudioInput, **options: Unpack[PlainTranscription]) -> Transcript: ...
    @overload
    def transcribe(self, audio: AudioInputs, **options: Unpack[PlainTranscription]) -> list[Transcript]: ...
    @overload
    def transcribe(self, audio: AudioInputs, **options: Unpack[SkippingTranscription]) -> list[Transcript | None]: ...
    @overload
    def transcribe(self, audio: AudioInput, **options: Unpack[AnyTranscription]) -> OneAnswer[Transcript]: ...
    @overload
    def transcribe(self, audio: AudioInputs, **options: Unpack[AnyTranscription]) -> ManyAnswers[Transcript]: ...
    def transcribe(self, audio: Given, **options: Unpack[AnyTranscription]) -> Answers[Transcript]:
        """Transcribe one recording, or each of a list of them in the same order.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`, and `DecoderOptions` for a beam search with a language model, a lexicon
                or hot words.

        Returns:
            `Transcript`, with times and a confidence for each word, or without words where a decoder writes the text
            (sequence to sequence); with channel="all" a list with one per channel.

        Raises:
            ConfigurationError: the model has no head for text, see `abilities`; or language model or lexicon are no
                files of such, or do not fit its vocabulary.
            CheckpointError: the vocabulary of the head is unknown.
        """
        decoder, others = without_decoding(options)
        pipeline = text_pipeline(self.model, self._heads, name=self.name, decoder=decoder)
        return self._by_head(self.transcribe, pipeline, audio, cast("InferenceOptions", others))

    @overload
    def emissions(self, audio: AudioInput, **options: Unpack[PlainOptions]) -> Emission: ...
    @overload
    def emissions(self, audio: AudioInputs, **options: Unpack[PlainOptions]) -> list[Emission]: ...
    @overload
    def emissions(self, audio: AudioInputs, **options: Unpack[SkippingOptions]) -> list[Emission | None]: ...
    @overload
    def emissions(self, audio: AudioInput, **options: Unpack[InferenceOptions]) -> OneAnswer[Emission]: ...
    @overload
    def emissions(self, audio: AudioInputs, **options: Unpack[InferenceOptions]) -> ManyAnswers[Emission]: ...
    def emissions(self, audio: Given, **options: Unpack[InferenceOptions]) -> Answers[Emission]:
        """Return the emission of one recording, or of each in a list, by the model's CTC head.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`.

        Returns:
            float32 (frames, tokens): natural logarithms of the probability of each token of `ctc_vocabulary`.

        Raises:
            ConfigurationError: the model has no CTC head; see `abilities`.
        """
        return self._by_head(self.emissions, emission_pipeline(self.model, self._heads, name=self.name), audio, options)

    @property
    def has_word_times(self) -> bool:
        """True if transcripts have times of words, as those of a CTC head do."""
        return not is_written(self._heads)

    @property
    def translates(self) -> bool:
        """True if `transcribe` writes another language than is spoken: the model was trained on translations."""
        return is_written(self._heads) and bool(self._heads.stored["seq2seq"].metadata.get("translates"))

    @property
    def ctc_vocabulary(self) -> CTCVocabulary:
        """The vocabulary of the CTC head. Raises ConfigurationError without one, CheckpointError if it is unknown."""
        require_ctc(self._heads, self.name)
        return vocabulary_of(self._heads.stored["ctc"], self.name)

    def loaded_decoder(self, options: DecoderOptions) -> DecoderOptions:
        """Return the options with all files read, so that calls that share them do not read them again.

        Raises ConfigurationError: a file that cannot be read, or that does not fit the vocabulary of the CTC head.
        """
        return loaded(options, self.ctc_vocabulary, self.name)

    def transcript_decoder(self, options: DecoderOptions) -> TranscriptDecoder:
        """Return a function to transcripts, from emissions, as `emissions` returns them, or from a decoder's input.

        Raises ConfigurationError: the options do not fit the head for text, or each other.
        """
        return text_decoder(self.model, self._heads, name=self.name, decoder=options)
