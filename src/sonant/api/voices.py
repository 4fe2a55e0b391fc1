"""Enrollment of people by their voices, and identification of voices among them."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Unpack

from sonant.api.audio_inputs import AudioInput, AudioInputs
from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import encoder_of
from sonant.api.options import InferenceOptions, PlainOptions
from sonant.decoding.known_voices import Enrollment, Identification, KnownVoices, Person, exported
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.errors import ConfigurationError
from sonant.extraction.sources import is_many
from sonant.extraction.voice_file import VoiceFile
from sonant.extraction.voice_samples import VoiceSample


class Voices:
    """The enrolled people of one model, in a file.

        voices = sonant.Voices("people.voices", "sonant/wavlm-tiny")
        voices.enroll("Ada", ["ada1.wav", "ada2.wav"])
        voices.identify("unknown.wav").name        # "Ada", or None: an unknown voice

    The file holds speaker embeddings and no audio. They belong to one model and its weights; the file refuses any
    other. An enrollment that has returned survives a crash of the process or of the machine, and several processes may
    use a file at once.

    Args:
        file: made by the first enrollment or calibration, if there is none.
        model: a loaded model, or an argument of `sonant.load`; None: the one by whose name the file was made.

    Attributes:
        encoder: the loaded model.

    Raises:
        ConfigurationError: no such file (without a model), no file of voices, or one of another model.
    """

    def __init__(self, file: str | PathLike[str], model: str | PathLike[str] | SpeechEncoder | None = None) -> None:
        self.encoder = encoder_of(VoiceFile(file).model_name if model is None else model)
        self._file = VoiceFile(file, self.encoder.voice_fingerprint, name=self.encoder.name)

    @property
    def people(self) -> list[Person]:
        """The enrolled people, in the order of enrollment."""
        return self._file.people()

    @property
    def calibration(self) -> VoiceCalibration | None:
        """The calibration of the scores: that of `calibrate`, else `voice_calibration` of the encoder."""
        return self._file.calibration or self.encoder.voice_calibration

    @property
    def known(self) -> KnownVoices:
        """The enrolled people as they are now, for comparisons of vectors."""
        return KnownVoices(self.people, self.calibration)

    def known_to(self, model: str) -> KnownVoices:
        """Return `known` for the model of a fingerprint. Raises ConfigurationError: the voices are of another one."""
        if model != self._file.model:
            raise ConfigurationError(
                f"The voices were enrolled with {self._file.model_name} ({self._file.model}) and were given to another "
                f"model ({model}). Give them to `voices.encoder`."
            )
        return self.known

    def enroll(self, name: str, audio: AudioInput | AudioInputs, **options: Unpack[PlainOptions]) -> Enrollment:
        """Enroll one or several recordings of a person, who is added if there is none of this name.

        All recordings are checked before any is stored. One that is enrolled already as this person is not stored
        again; `Enrollment` says which.

        Args:
            name: of the person.
            audio: recordings of this person alone; 10 s of speech each are better than the least 2 s.
            **options: see `InferenceOptions`.

        Raises:
            TooLittleSpeech, NoSpeech: less than 2 s of speech, or silence.
            SeveralVoices: parts of a recording are of different voices; noticed with a calibrated model.
            RecordingEnrolled: a recording is enrolled as another person.
            NonFiniteAudio: NaN or infinite samples.
            ConfigurationError: an invalid name.
        """
        samples = self._samples(audio, options)
        calibration = self.calibration
        for sample in samples:
            sample.check_enrollment(calibration)
        return self._file.add(name, samples)

    def identify(
        self,
        audio: AudioInput | AudioInputs,
        *,
        threshold: float | None = None,
        top: int | None = 5,
        **options: Unpack[PlainOptions],
    ) -> Identification | list[Identification]:
        """Say whose voice a recording is, or each of a list of them: that of an enrolled person, or an unknown one.

        Args:
            audio: as in `SpeechEncoder.encode`.
            threshold: least accepted cosine; None: that of the calibration, for as many people as are enrolled.
            top: number of matches to return; None: all.
            **options: see `InferenceOptions`.
        """
        known = self.known
        found = [
            known.identify(sample.vector, threshold=threshold, top=top) for sample in self._samples(audio, options)
        ]
        return found if is_many(audio) else found[0]

    def _samples(self, audio: Any, options: PlainOptions) -> list[VoiceSample]:
        items: list[AudioInput] = list(audio) if is_many(audio) else [audio]
        return self.encoder.voice_samples(items, **options)

    def rename(self, name: str, new: str) -> None:
        """Rename a person. Raises UnknownName: there is none; ConfigurationError: the new name is taken."""
        self._file.rename(name, new)

    def merge(self, name: str, into: str) -> None:
        """Move the recordings of one person to another, and remove the first. Raises UnknownName."""
        self._file.merge(name, into)

    def forget(self, name: str, recording: str | None = None) -> None:
        """Delete a person with all recordings, or one recording, by its id; a person without any is deleted.

        Raises UnknownName: there is no such person, or no such recording of this person.
        """
        self._file.forget(name, recording)

    def export(self) -> dict[str, Any]:
        """Return all that is stored about the people, as plain data for JSON."""
        return exported(self.people, model=self._file.model)

    def calibrate(
        self,
        audio: AudioInputs,
        speakers: Sequence[str],
        *,
        false_accept: float = 0.01,
        data: str = "",
        **options: Unpack[InferenceOptions],
    ) -> VoiceCalibration:
        """Calibrate the scores on recordings of known speakers, and keep the calibration in the file.

        Args:
            audio: recordings with one speaker each; better none of the people to be enrolled.
            speakers: of each recording.
            false_accept: share of the pairs of two speakers that reach the threshold.
            data: name of the data, for `VoiceCalibration.basis`.
            **options: see `InferenceOptions`; with on_error="skip" unusable recordings are left out.

        Raises:
            MeasurementError: too few recordings or speakers, or vectors that do not tell speakers apart.
        """
        calibration = self.encoder.calibrate_voices(audio, speakers, false_accept=false_accept, data=data, **options)
        self._file.calibration = calibration
        return calibration
