"""Interface of a served model."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from sonant.api.encoder import SpeechEncoder
from sonant.api.options import Layers
from sonant.decoding.alignment.aligned_text import Alignment
from sonant.decoding.known_voices import KnownVoices
from sonant.decoding.results import SpeakerTurn, Transcript, Word
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.extraction.pooling import Pool
from sonant.extraction.request import EncodeRequest
from sonant.extraction.voice_samples import VoiceSample
from sonant.models.abilities import Ability
from sonant.models.families import Task
from sonant.server.errors import ApiError
from sonant.server.hosting.batcher import QueueStats
from sonant.server.settings import Queue

State = Literal["live", "loading", "error", "unloaded", "coming_soon"]


class ServedModel(ABC):
    """A model in this process or in others, as used by routes.

    Attributes:
        id: its name in requests.
        created: time of loading, unix seconds.
        card: measurements of its layers; None if it was not analyzed.
        language: of the loaded adapter, for models with language adapters; otherwise None.
        dim, num_layers, frame_rate, sampling_rate: of the encoder.
        receptive_field: fewest samples of a recording.
        calibrations: of the operator, by fingerprint of speaker embeddings; they take the place of the model's own.
        device: description for display.
    """

    def __init__(self, model_id: str, encoder: SpeechEncoder, queue: Queue, *, device: str) -> None:
        self.id, self.created, self.device = model_id, int(time.time()), device
        self.card = encoder.analysis
        encoder.name = model_id  # in messages, where it may be a path of this machine
        self._encoder: SpeechEncoder | None = encoder
        self._queue = queue
        self.calibrations: Mapping[str, VoiceCalibration] = {}
        self._voices: tuple[str, VoiceCalibration | None] | None = None
        self.abilities = abilities_of(encoder.abilities)
        self.language = encoder.language
        self.dim, self.num_layers = encoder.dim, encoder.num_layers
        self.frame_rate, self.sampling_rate = encoder.frame_rate, encoder.sampling_rate
        self.receptive_field, self._stride = encoder.model.receptive_field, encoder.model.stride

    @property
    def encoder(self) -> SpeechEncoder:
        """The model without the queue, for its properties. Raises ApiError after `unload`."""
        if self._encoder is None:
            raise unloaded(self.id)
        return self._encoder

    @property
    def state(self) -> State:
        """State: "live" until `unload`."""
        return "unloaded" if self._encoder is None else "live"

    def num_frames(self, samples: int) -> int:
        """Number of frames of a recording of `samples` samples."""
        return max(0, (samples - self.receptive_field) // self._stride + 1)

    def min_samples(self, ability: Ability) -> int:
        """Fewest samples of a recording for an ability."""
        if ability in self.encoder.abilities and ability != "embeddings":
            return self.encoder.head_pipeline(ability).min_samples
        if ability == "diarization":  # without a head, by clustering
            return self.encoder.head_pipeline(ability, num_speakers=1).min_samples
        return self.receptive_field

    def request(
        self,
        *,
        layer: Layers | None = None,
        pool: Pool | None = None,
        task: Task | None = None,
        normalize: bool = False,
    ) -> EncodeRequest:
        """Make a request from arguments of `SpeechEncoder.encode`. Raises UnknownName or ConfigurationError."""
        return self.encoder.request(
            layer,
            pool,
            task,
            normalize=normalize,
            batch_seconds=self._queue.batch_seconds,
            window_seconds=self._queue.window_seconds,
        )

    @property
    @abstractmethod
    def stats(self) -> QueueStats:
        """State of its queue."""

    @abstractmethod
    def check_room(self, seconds: float, *, share: str | None = None) -> None:
        """Raise ApiError 429 or 503 if this much audio would be refused."""

    @abstractmethod
    async def encode(self, waveforms: Sequence[np.ndarray], request: EncodeRequest, *, share: str) -> list[np.ndarray]:
        """Compute the vectors of each recording: float32 (layers, frames, dim), or pooled (layers, vector_dim).

        Args:
            waveforms: float32 (samples,), at the model's rate.
            request: from `request`.
            share: whose turns in the fair queue are used.

        Raises:
            TooShortAudio: a recording is shorter than the receptive field.
            ApiError: 429 for a full queue, 503 while stopping, 500 for an error of the model.
        """

    @abstractmethod
    async def transcribe(
        self,
        waveforms: Sequence[np.ndarray],
        *,
        share: str,
        on_words: Callable[[Sequence[Word]], None] | None = None,
        keywords: Sequence[str] = (),
        n_best: int | None = None,
    ) -> list[Transcript]:
        """Transcribe each recording. Raises as `encode` does.

        Args:
            on_words: called after windows with the words that they settle; for a single recording. A decoder with
                cross-attention has none before its end.
            keywords: hot words, in addition to those of the operator.
            n_best: alternatives of each transcript.
        """

    @abstractmethod
    async def align(self, waveforms: Sequence[np.ndarray], *, share: str, text: str, star: bool) -> list[Alignment]:
        """Align a text with each recording. Raises as `encode` does; UnalignableText for a text that does not fit.

        Args:
            star: as in `SpeechEncoder.align`.
        """

    @abstractmethod
    async def diarize(
        self,
        waveforms: Sequence[np.ndarray],
        *,
        share: str,
        num_speakers: int | None,
        known: KnownVoices | None = None,
    ) -> list[list[SpeakerTurn]]:
        """Find the speaker turns of each recording. Raises as `encode` does.

        Args:
            num_speakers: None estimates it.
            known: enrolled people, whose names the speakers get.
        """

    @abstractmethod
    async def classify(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[dict[str, float]]:
        """Compute the score of each label of each recording. Raises as `encode` does."""

    @abstractmethod
    async def enhance(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[np.ndarray]:
        """Estimate the speech of each recording: float32 (samples,). Raises as `encode` does."""

    @abstractmethod
    async def separate(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[np.ndarray]:
        """Estimate the speakers of each recording: float32 (speakers, samples). Raises as `encode` does."""

    @abstractmethod
    async def voice_samples(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[VoiceSample]:
        """Compute the voice of each recording. Raises as `encode` does; NoSpeech for a silent one."""

    async def voices(self) -> tuple[str, VoiceCalibration | None]:
        """Return the fingerprint of the speaker embeddings, and their calibration if one is known."""
        if self._voices is None:
            self._voices = await asyncio.to_thread(self._read_voices)
        return self._voices

    def _read_voices(self) -> tuple[str, VoiceCalibration | None]:
        fingerprint = self.encoder.voice_fingerprint
        return fingerprint, self.calibrations.get(fingerprint) or self.encoder.voice_calibration

    @abstractmethod
    async def unload(self, reason: ApiError, *, seconds: float) -> None:
        """Refuse new work with `reason`, finish current work within `seconds`, and free the memory."""


def abilities_of(heads: Iterable[Ability]) -> tuple[Ability, ...]:
    """Return the abilities of a model that routes answer: those of its heads, and two that need no head."""
    return tuple(dict.fromkeys([*heads, "verification", "diarization"]))


def unloaded(model_id: str) -> ApiError:
    """Make the error for an unloaded model."""
    return ApiError(
        503,
        "model_unloaded",
        f"The model {model_id!r} was unloaded by the operator of this server. Ask for another; /v1/models lists them.",
    )
