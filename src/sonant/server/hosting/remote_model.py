"""Served model in replicas on Ray Serve, each with its own queue."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sonant.api.encoder import SpeechEncoder
from sonant.decoding.alignment.aligned_text import Alignment
from sonant.decoding.known_voices import KnownVoices
from sonant.decoding.results import SpeakerTurn, Transcript, Word
from sonant.errors import SonantError
from sonant.extraction.request import EncodeRequest
from sonant.extraction.voice_samples import VoiceSample
from sonant.server.errors import ApiError, api_error, overloaded
from sonant.server.hosting.batcher import QueueStats
from sonant.server.hosting.local_model import LocalModel
from sonant.server.hosting.served_model import ServedModel
from sonant.server.settings import Queue

Work = Literal["encode", "transcribe", "align", "diarize", "classify", "enhance", "separate", "voice_samples"]


@dataclass(frozen=True)
class SerializedError:
    """ApiError as a value to send between processes, since Ray wraps exceptions."""

    status: int
    code: str
    message: str
    param: str | None
    retry_after: float | None

    @classmethod
    def of(cls, error: ApiError) -> "SerializedError":
        return cls(error.status, error.code, error.message, error.param, error.retry_after)

    def error(self) -> ApiError:
        return ApiError(self.status, self.code, self.message, param=self.param, retry_after=self.retry_after)


class Replica:
    """A local model, with its queue, in a process of Ray."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model

    async def work(self, kind: Work, waveforms: list[np.ndarray], share: str, how: dict[str, Any]) -> Any:
        """Call the method `kind` of the model; return its result, or its error as `SerializedError`."""
        try:
            return await getattr(self._model, kind)(waveforms, share=share, **how)
        except ApiError as error:
            return SerializedError.of(error)
        except SonantError as error:
            return SerializedError.of(api_error(error))


class RemoteModel(ServedModel):
    """A model computed by replicas, each of which refuses requests that do not fit into its queue.

    Args:
        encoder: the same model in this process, for its properties; its weights are memory-mapped and not read.
        handle: handle of Ray Serve for a deployment of `Replica`.
        full: exception of the handle if all replicas are full.
    """

    def __init__(self, model_id: str, encoder: SpeechEncoder, queue: Queue, handle: Any, full: type[Exception]) -> None:
        super().__init__(model_id, encoder, queue, device="replicas on Ray Serve")
        self._handle, self._full = handle, full
        self._seconds, self._requests = 0.0, 0  # sent to replicas, without an answer
        self._closed: ApiError | None = None

    @property
    def stats(self) -> QueueStats:
        """State of the queue: requests that were sent and have no answer."""
        return QueueStats(self._seconds, self._queue.seconds or 0.0, self._requests, None)

    def check_room(self, seconds: float, *, share: str | None = None) -> None:  # noqa: ARG002 - the replicas are fair
        if self._closed is not None:
            raise self._closed.copy()
        if self._queue.seconds is not None and self._seconds + seconds > self._queue.seconds:
            raise overloaded(f"{self._seconds:.0f} s of audio are on their way to the replicas of {self.id}")

    async def encode(self, waveforms: Sequence[np.ndarray], request: EncodeRequest, *, share: str) -> list[np.ndarray]:
        return await self._work("encode", waveforms, share, request=request)

    async def transcribe(
        self,
        waveforms: Sequence[np.ndarray],
        *,
        share: str,
        on_words: Callable[[Sequence[Word]], None] | None = None,  # noqa: ARG002 - replicas return all words at the end
        keywords: Sequence[str] = (),
        n_best: int | None = None,
    ) -> list[Transcript]:
        return await self._work("transcribe", waveforms, share, keywords=tuple(keywords), n_best=n_best)

    async def align(self, waveforms: Sequence[np.ndarray], *, share: str, text: str, star: bool) -> list[Alignment]:
        return await self._work("align", waveforms, share, text=text, star=star)

    async def diarize(
        self,
        waveforms: Sequence[np.ndarray],
        *,
        share: str,
        num_speakers: int | None,
        known: KnownVoices | None = None,
    ) -> list[list[SpeakerTurn]]:
        return await self._work("diarize", waveforms, share, num_speakers=num_speakers, known=known)

    async def classify(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[dict[str, float]]:
        return await self._work("classify", waveforms, share)

    async def enhance(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[np.ndarray]:
        return await self._work("enhance", waveforms, share)

    async def separate(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[np.ndarray]:
        return await self._work("separate", waveforms, share)

    async def voice_samples(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[VoiceSample]:
        return await self._work("voice_samples", waveforms, share)

    async def unload(self, reason: ApiError, *, seconds: float) -> None:  # noqa: ARG002 - Ray drains the replicas
        self._closed, self._encoder = reason, None

    async def _work(self, kind: Work, waveforms: Sequence[np.ndarray], share: str, **how: Any) -> Any:
        seconds = sum(map(len, waveforms)) / self.sampling_rate
        self.check_room(seconds)
        self._seconds, self._requests = self._seconds + seconds, self._requests + 1
        try:
            response = self._handle.work.remote(kind, list(waveforms), share, how)
            answer = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except self._full as error:
            raise overloaded(f"every replica of {self.id} has as many requests as it may") from error
        finally:
            self._seconds, self._requests = self._seconds - seconds, self._requests - 1
        if isinstance(answer, SerializedError):
            raise answer.error()
        return answer
