"""Methods that compare voices: speaker embeddings of speech, verification, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from os import PathLike
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np
import torch

from sonant.api.audio_inputs import Answers, AudioInput, AudioInputs, ManyAnswers, OneAnswer
from sonant.api.model_with_heads import ModelWithHeads
from sonant.api.option_values import INFERENCE, check_one_channel, completed
from sonant.api.options import InferenceOptions, PlainOptions, SkippingOptions
from sonant.api.recordings import paired
from sonant.api.running import tell
from sonant.decoding.results import Verification
from sonant.decoding.speaker_clustering import check_cosine
from sonant.decoding.voice_calibration import VoiceCalibration, compare
from sonant.errors import ConfigurationError
from sonant.evaluation.calibration import calibrate_voices
from sonant.extraction.heads import HeadPipeline
from sonant.extraction.sources import is_many
from sonant.extraction.speech_sums import voice_fingerprint
from sonant.extraction.voice_calibrations import FILE_NAME, calibration_in, known_calibration, write_calibration
from sonant.extraction.voice_samples import VoiceSample, voice_sampling

Given = AudioInput | AudioInputs


class VoiceComparison(ModelWithHeads):
    """A loaded model with methods that compare voices."""

    _calibration: VoiceCalibration | None = None

    @overload
    def voice_samples(self, audio: AudioInput, **options: Unpack[PlainOptions]) -> VoiceSample: ...
    @overload
    def voice_samples(self, audio: AudioInputs, **options: Unpack[PlainOptions]) -> list[VoiceSample]: ...
    @overload
    def voice_samples(self, audio: AudioInputs, **options: Unpack[SkippingOptions]) -> list[VoiceSample | None]: ...
    @overload
    def voice_samples(self, audio: AudioInput, **options: Unpack[InferenceOptions]) -> OneAnswer[VoiceSample]: ...
    @overload
    def voice_samples(self, audio: AudioInputs, **options: Unpack[InferenceOptions]) -> ManyAnswers[VoiceSample]: ...
    def voice_samples(self, audio: Given, **options: Unpack[InferenceOptions]) -> Answers[VoiceSample]:
        """Return the voice of one recording, or of each in a list: the speaker embedding of its speech, and its amount.

        The embedding is that of the x-vector head, or, without one, the mean of the state of the preset "speaker"; in
        both cases over the frames that are loud enough to be speech.

        Args:
            audio: as in `SpeechEncoder.encode`.
            **options: see `InferenceOptions`.

        Raises:
            NoSpeech: a recording is silent.
        """
        return self._by_head(self.voice_samples, self.voice_pipeline(), audio, options)

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
        """Compare the voices of two recordings: say whether they are of the same speaker.

        The speaker embeddings are those of `voice_samples`, so that any model can be asked; one with an x-vector head
        was trained for it.

        Args:
            a, b: two recordings, or lists of the same length, compared in pairs.
            threshold: the least cosine of the same speaker; None: that of `voice_calibration`.
            **options: see `InferenceOptions`, without channel="all". With on_error="skip" the answer for a pair with an
                unusable recording is None, and `on_failure` is called with the index of the pair.

        Returns:
            `Verification`, or a list of them; without a threshold or a calibration a cosine without a verdict.

        Raises:
            NoSpeech: a recording is silent.
        """
        options = completed(options, INFERENCE, self.verify)
        check_one_channel(options["channel"])
        if threshold is not None:
            check_cosine(threshold)
        left, right = paired(a, b)
        failures: list[tuple[int, Exception]] = []
        both: InferenceOptions = {
            **options,
            "on_failure": lambda number, error: failures.append((number % len(left), error)),
        }
        samples = self._by_head(self.verify, self.voice_pipeline(), [*left, *right], both)
        tell(sorted(failures, key=itemgetter(0)), len(left), options["on_failure"], noun="pairs of recordings")
        calibration = self.voice_calibration
        answers = [
            compare(one.vector, other.vector, calibration, threshold=threshold) if one and other else None
            for one, other in zip(samples[: len(left)], samples[len(left) :], strict=True)
        ]
        return answers if is_many(a) else answers[0]

    @property
    def voice_calibration(self) -> VoiceCalibration | None:
        """The calibration by which voices are compared; None: none is known.

        The one that was assigned, or read by `read_voice_calibration`; else the one for these weights in `voices.json`
        beside the checkpoint; else the one that comes with sonant, or the threshold that the model's card names.
        """
        return self._calibration or known_calibration(self.name, lambda: self.voice_fingerprint)

    @voice_calibration.setter
    def voice_calibration(self, calibration: VoiceCalibration | None) -> None:
        self._calibration = calibration

    def read_voice_calibration(self, file: str | PathLike[str]) -> None:
        """Compare voices by a calibration that `sonant voices calibrate --output FILE` has written.

        Raises ConfigurationError: no such file, or it has none for this model and its weights.
        """
        self._calibration = calibration_in(file, self.voice_fingerprint)

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write the model with all heads in Hugging Face layout, for transformers and `sonant.load`.

        `voice_calibration` is written too, as voices.json, unless the weights are rounded: it is of these weights. So
        are measurements of the layers (`analysis`): analysis.json, and a section of README.md. A model that
        `sonant.train` made gets a README.md that says so, unless the folder has one.
        """
        super().save_pretrained(folder)
        calibration, place = self.voice_calibration, Path(folder).expanduser()
        if calibration is None or next(self.model.parameters()).dtype != torch.float32:
            return
        if self._calibration is not None or known_calibration(str(place), lambda: self.voice_fingerprint) is None:
            write_calibration(place / FILE_NAME, self.voice_fingerprint, calibration)

    def calibrate_voices(
        self,
        audio: AudioInputs,
        speakers: Sequence[str],
        *,
        false_accept: float = 0.01,
        data: str = "",
        **options: Unpack[InferenceOptions],
    ) -> VoiceCalibration:
        """Calibrate the comparison of voices on recordings of known speakers; it is returned, and not yet used.

        To use it, assign it to `voice_calibration`; `Voices.calibrate` keeps it in a file of voices.

        Args:
            audio: recordings with one speaker each, of speakers who are not to be recognized later.
            speakers: of each recording.
            false_accept: share of the pairs of two speakers that reach the threshold.
            data: name of the data, for `VoiceCalibration.basis`.
            **options: see `InferenceOptions`; with on_error="skip" unusable recordings are left out.

        Raises:
            MeasurementError: too few recordings or speakers, or vectors that do not tell speakers apart.
        """
        recordings = list(audio)
        if len(recordings) != len(speakers):
            raise ConfigurationError(
                f"{len(recordings)} recordings were given with {len(speakers)} speakers; expected one for each."
            )
        check_one_channel(options.get("channel"))
        samples: Any = self.voice_samples(recordings, **options)
        used = [(sample, speaker) for sample, speaker in zip(samples, speakers, strict=True) if sample is not None]
        return calibrate_voices(
            np.array([sample.vector for sample, _ in used]),
            [speaker for _, speaker in used],
            parts=[sample.parts for sample, _ in used],
            false_accept=false_accept,
            data=data,
        )

    def voice_pipeline(self) -> HeadPipeline[VoiceSample]:
        """Return the pipeline of voice samples, for callers that do their own batching."""
        return voice_sampling(self.model, self._heads, name=self.name)

    @property
    def voice_fingerprint(self) -> str:
        """A fingerprint of all that speaker embeddings depend on; equal for models whose embeddings may be compared."""
        return voice_fingerprint(self.model, self._heads, weights=self._copies.fingerprint(self.model))
