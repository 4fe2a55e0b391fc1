"""One model of the server: what it is, and what it does for callers, wherever it computes."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

import numpy as np

from sonant.api.encoder import SpeechEncoder
from sonant.api.options import Layers
from sonant.decoding.results import SpeakerTurn, Transcript
from sonant.extraction.pooling import Pool
from sonant.extraction.request import EncodeRequest
from sonant.models.abilities import Ability as HeadAbility
from sonant.models.families import Task
from sonant.server.errors import ApiError
from sonant.server.hosting.batcher import QueueStats
from sonant.server.settings import Queue

Ability = Literal["embeddings", "transcription", "verification", "diarization"]
State = Literal["live", "loading", "error", "unloaded", "coming_soon"]


class ServedModel(ABC):
    """A model as the routes use it, wherever it computes.

    Attributes:
        id: the name by which callers ask for it.
        created: unix seconds when it was loaded.
        abilities: what it can be asked for.
        language: of a model with adapters by language, the one that it was loaded with; None of others.
        dim, num_layers, frame_rate, sampling_rate: as of the encoder.
        receptive_field: samples; a shorter recording holds no frame.
        device: where it computes, for people.
    """

    def __init__(self, model_id: str, encoder: SpeechEncoder, queue: Queue, *, device: str) -> None:
        self.id, self.created, self.device = model_id, int(time.time()), device
        self._encoder: SpeechEncoder | None = encoder
        self._queue = queue
        self.abilities = abilities_of(served_heads(encoder.abilities))
        self.language = encoder.language
        self.dim, self.num_layers = encoder.dim, encoder.num_layers
        self.frame_rate, self.sampling_rate = encoder.frame_rate, encoder.sampling_rate
        self.receptive_field, self._stride = encoder.model.receptive_field, encoder.model.stride

    @property
    def encoder(self) -> SpeechEncoder:
        """The model without the queue, for what takes no computing. Raises ApiError once it was unloaded."""
        if self._encoder is None:
            raise unloaded(self.id)
        return self._encoder

    @property
    def state(self) -> State:
        """The state of its slot in the pool: live until it is unloaded."""
        return "unloaded" if self._encoder is None else "live"

    def num_frames(self, samples: int) -> int:
        """Return the number of frames of a recording of so many samples."""
        return max(0, (samples - self.receptive_field) // self._stride + 1)

    def min_samples(self, ability: Ability) -> int:
        """Return the samples that a recording needs for an ability; a shorter one has too few frames, or none."""
        if ability in self.encoder.abilities and ability != "embeddings":
            return self.encoder.head_pipeline(ability).min_samples
        if ability == "diarization":  # of voices grouped without a head, as many as one is told
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
        """The state of its queue."""

    @abstractmethod
    def check_room(self, seconds: float, *, share: str | None = None) -> None:
        """Refuse early what would be refused later: raises ApiError 429 or 503 where so much audio cannot be taken."""

    @abstractmethod
    async def encode(self, waveforms: Sequence[np.ndarray], request: EncodeRequest, *, share: str) -> list[np.ndarray]:
        """Compute the vectors of each recording: float32 (layers, frames, dim), or pooled (layers, vector_dim).

        Cancelling drops the work.

        Args:
            waveforms: float32 (samples,), at the model's rate.
            request: as `request` makes it.
            share: for whose turn in the queue it waits.

        Raises:
            TooShortAudio: a recording holds no frame.
            ApiError: 429 where the queue is full, 503 while stopping, 500 where the model fails.
        """

    @abstractmethod
    async def transcribe(
        self,
        waveforms: Sequence[np.ndarray],
        *,
        share: str,
        on_words: Callable[[Transcript], None] | None = None,
    ) -> list[Transcript]:
        """Transcribe each recording. Raises as `encode` does.

        Args:
            on_words: called with the settled words whenever a window is done; for one recording at a time.
        """

    @abstractmethod
    async def diarize(
        self, waveforms: Sequence[np.ndarray], *, share: str, num_speakers: int | None
    ) -> list[list[SpeakerTurn]]:
        """Find who speaks when in each recording; None finds the number of speakers. Raises as `encode` does."""

    @abstractmethod
    async def speaker_vectors(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[np.ndarray]:
        """Compute a voice vector of each recording: float32 (dim,), to be compared by cosine. Raises as `encode` does.

        It comes from an x-vector head, or else from the task preset "speaker".
        """

    @abstractmethod
    async def unload(self, reason: ApiError, *, seconds: float) -> None:
        """Refuse new work with `reason`, finish the present work within so many seconds, and free the memory."""


def served_heads(abilities: Iterable[HeadAbility]) -> tuple[Ability, ...]:
    """Return those of a model's abilities for which there is an endpoint."""
    return tuple(ability for ability in get_args(Ability) if ability in abilities)


def abilities_of(heads: Iterable[Ability]) -> tuple[Ability, ...]:
    """Return a model's abilities: those of its heads, and verification and diarization, which any vectors allow."""
    return tuple(dict.fromkeys([*heads, "verification", "diarization"]))


def unloaded(model_id: str) -> ApiError:
    """Make the error for a model that is not in memory any more."""
    return ApiError(
        503,
        "model_unloaded",
        f"The model {model_id!r} was unloaded by the operator of this server. Ask for another; /v1/models lists them.",
    )
