"""The voice of a recording: the speaker embedding of its speech, and signs that it is fit for enrollment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sonant.decoding.speaker_clustering import cluster
from sonant.decoding.voice_calibration import VoiceCalibration, comparable
from sonant.errors import NoSpeech, SeveralVoices, TooLittleSpeech
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import HeadPipeline
from sonant.extraction.speech_sums import SpeechSums, embeddings_of
from sonant.models import Backbone

LEAST_ENROLLED_SECONDS = 2.0  # of speech
LEAST_PART_SECONDS = 1.0  # of speech, in each of two parts


@dataclass(frozen=True, eq=False)
class VoiceSample:
    """The voice of a recording.

    Attributes:
        vector: speaker embedding of the speech, float32 (dim,).
        speech_seconds: duration of what is loud enough to be speech.
        parts: vectors of the two most different parts, (2, dim); None if there are no two parts of a second.
    """

    vector: NDArray[np.float32]
    speech_seconds: float
    parts: NDArray[np.float32] | None

    def unity(self, calibration: VoiceCalibration | None) -> float | None:
        """Return the cosine of the two most different parts; None without parts."""
        if self.parts is None:
            return None
        one, other = comparable(self.parts, calibration)
        return float(one @ other)

    def check_enrollment(self, calibration: VoiceCalibration | None) -> None:
        """Check that the recording is fit for enrollment.

        Several voices are noticed if the calibration has a `least_unity`.

        Raises:
            TooLittleSpeech: less than two seconds of speech.
            SeveralVoices: its parts are of different voices.
        """
        if self.speech_seconds < LEAST_ENROLLED_SECONDS:
            raise TooLittleSpeech(
                f"The recording has {self.speech_seconds:.1f} s of speech; enrollment takes "
                f"{LEAST_ENROLLED_SECONDS:g} s, better 10 s. Record more."
            )
        unity, least = self.unity(calibration), None if calibration is None else calibration.least_unity
        if unity is not None and least is not None and unity < least:
            raise SeveralVoices(
                f"Parts of the recording differ as two voices do (cosine {unity:.2f}; of one voice at least "
                f"{least:.2f}). Cut out the speech of one person; sonant diarize finds the turns."
            )


class VoiceSampleSink:
    """A sink that computes the voice sample of a recording."""

    def __init__(self, sums: SpeechSums) -> None:
        self._sums = sums

    def append(self, frames: Tensor) -> None:
        self._sums.append(frames)

    def finish(self) -> VoiceSample:
        counts = np.array(self._sums.counts)
        if not counts.any():
            raise NoSpeech(
                f"{self._sums.name}: nothing in the recording is loud enough to be speech for a tenth of a second: it "
                "is silent, too short, or has clicks alone. Record it again."
            )
        vector = self._sums.embeddings(np.ones((1, len(counts)), dtype=np.bool_))[0]
        seconds = float(counts.sum() / self._sums.frame_rate)
        return VoiceSample(vector.astype(np.float32), seconds, self._parts(counts))

    def _parts(self, counts: NDArray[np.int64]) -> NDArray[np.float32] | None:
        centers, vectors = self._sums.windows()
        speakers = cluster(vectors, num_speakers=2)
        halfway = (centers[1:] + centers[:-1]) / 2
        belongs = speakers[np.searchsorted(halfway, np.arange(len(counts)))]  # (hops,)
        groups = belongs == np.arange(2)[:, None]  # (2, hops)
        if min(groups @ counts) < LEAST_PART_SECONDS * self._sums.frame_rate:
            return None
        return self._sums.embeddings(groups).astype(np.float32)

    def abandon(self) -> None:
        self._sums.clear()


def voice_sampling(model: Backbone, heads: Heads, *, name: str) -> HeadPipeline[VoiceSample]:
    """Return the pipeline of voice samples."""
    layers, make_kind, least = embeddings_of(model, heads, name)
    return HeadPipeline(
        layers,
        lambda source: VoiceSampleSink(
            SpeechSums(make_kind(), source, stride=model.stride, sampling_rate=model.sampling_rate)
        ),
        least,
        reads_source=True,
    )
