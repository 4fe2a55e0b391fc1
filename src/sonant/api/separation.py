"""Enhancement of speech and separation of speakers."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Unpack, overload

import numpy as np
from numpy.typing import NDArray

from sonant.api.audio_inputs import Answers, AudioInput, AudioInputs, ManyAnswers, OneAnswer
from sonant.api.bulk import BulkWriting, Source
from sonant.api.option_values import BULK, completed, of_request
from sonant.api.options import BulkOptions, InferenceOptions, PlainOptions, SkippingOptions
from sonant.extraction.audio_files import AudioWriter
from sonant.extraction.destination import ENHANCED, SEPARATED, OutputFormats
from sonant.extraction.heads import require
from sonant.extraction.request import EncodeRequest
from sonant.extraction.summary import Summary
from sonant.models.abilities import Ability
from sonant.models.identity import fingerprint

Given = AudioInput | AudioInputs
Waveform = NDArray[np.float32]


class SourceSeparation(BulkWriting):
    """A loaded model with methods that give recordings of the sources of recordings."""

    @overload
    def enhance(self, audio: AudioInput, **options: Unpack[PlainOptions]) -> Waveform: ...
    @overload
    def enhance(self, audio: AudioInputs, **options: Unpack[PlainOptions]) -> list[Waveform]: ...
    @overload
    def enhance(self, audio: AudioInputs, **options: Unpack[SkippingOptions]) -> list[Waveform | None]: ...
    @overload
    def enhance(self, audio: AudioInput, **options: Unpack[InferenceOptions]) -> OneAnswer[Waveform]: ...
    @overload
    def enhance(self, audio: AudioInputs, **options: Unpack[InferenceOptions]) -> ManyAnswers[Waveform]: ...
    def enhance(self, audio: Given, **options: Unpack[InferenceOptions]) -> Answers[Waveform]:
        """Take noise away from the speech of one recording, or of each in a list.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`.

        Returns:
            float32 (samples,) at the model's sampling rate, as long as the recording.

        Raises:
            ConfigurationError: the model has no head for it; see `abilities`.
        """
        return self._by_head(self.enhance, self.head_pipeline("enhancement"), audio, options)

    @overload
    def separate(self, audio: AudioInput, **options: Unpack[PlainOptions]) -> Waveform: ...
    @overload
    def separate(self, audio: AudioInputs, **options: Unpack[PlainOptions]) -> list[Waveform]: ...
    @overload
    def separate(self, audio: AudioInputs, **options: Unpack[SkippingOptions]) -> list[Waveform | None]: ...
    @overload
    def separate(self, audio: AudioInput, **options: Unpack[InferenceOptions]) -> OneAnswer[Waveform]: ...
    @overload
    def separate(self, audio: AudioInputs, **options: Unpack[InferenceOptions]) -> ManyAnswers[Waveform]: ...
    def separate(self, audio: Given, **options: Unpack[InferenceOptions]) -> Answers[Waveform]:
        """Separate the speakers of one recording, or of each in a list.

        A long recording is separated in windows; a speaker keeps his place by what neighboring windows share, and may
        lose it where he is silent for all of it.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`.

        Returns:
            float32 (speakers, samples) at the model's sampling rate, in an arbitrary order of speakers.

        Raises:
            ConfigurationError: the model has no head for it; see `abilities`.
        """
        return self._by_head(self.separate, self.head_pipeline("separation"), audio, options)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of the speakers that `separate` gives, in its order; empty if the model has no head for it."""
        head = self._heads.stored.get("separation")
        return () if head is None else tuple(map(str, head.metadata["labels"]))

    def write_enhanced(self, source: Source, output: str | PathLike[str], **options: Unpack[BulkOptions]) -> Summary:
        """Write enhanced recordings, as of `enhance`.

        Args:
            source: see `BulkWriting`.
            output: a .wav file, or a folder with one per recording.
            **options: see `BulkOptions`.
        """
        options = completed(options, BULK, self.write_enhanced)
        return self._write_sources(source, output, ENHANCED, "enhancement", [""], options)

    def write_separated(self, source: Source, output: str | PathLike[str], **options: Unpack[BulkOptions]) -> Summary:
        """Write the speakers of recordings, as of `separate`.

        Args:
            source: see `BulkWriting`.
            output: a folder, with a folder for each speaker of a recording: `speaker_1`, `speaker_2` ...
            **options: see `BulkOptions`.
        """
        options = completed(options, BULK, self.write_separated)
        require("separation", self._heads, self.name)
        return self._write_sources(source, output, SEPARATED, "separation", self.speakers, options)

    def _write_sources(
        self,
        source: Source,
        output: str | PathLike[str],
        formats: OutputFormats[str],
        ability: Ability,
        folders: Sequence[str],
        options: BulkOptions,
    ) -> Summary:
        place = formats.place(output, None, source)
        pipeline = self.head_pipeline(ability)
        request = EncodeRequest(layers=pipeline.layers, **of_request(options))
        weights = fingerprint(self.model)
        writer = AudioWriter(
            what=formats.what,
            format="wav",
            request=request,
            settings=self._settings(options, request, weights) | {"results": ability, "heads": self.heads_fingerprint},
            make_sink=pipeline.make_sink,
            folders=folders,
            sampling_rate=self.sampling_rate,
        )
        return self._write(source, place, lambda _: writer, options, weights, min_samples=pipeline.min_samples)
