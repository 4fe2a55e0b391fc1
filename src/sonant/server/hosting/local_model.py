"""Served model in this process."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from sonant.api.encoder import SpeechEncoder
from sonant.decoding.alignment.aligned_text import Alignment
from sonant.decoding.known_voices import KnownVoices
from sonant.decoding.results import SpeakerTurn, Transcript, Word
from sonant.errors import ConfigurationError
from sonant.extraction.decoder_options import GREEDY
from sonant.extraction.decoders import BeamTranscripts, GreedyTranscripts, TranscriptDecoder
from sonant.extraction.heads import HeadPipeline
from sonant.extraction.long_recordings import windowing_of
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sinks import in_memory
from sonant.extraction.voice_samples import VoiceSample
from sonant.server.errors import ApiError
from sonant.server.hosting.batcher import Batcher, QueueStats
from sonant.server.hosting.devices import ComputeThreads, Worker
from sonant.server.hosting.live_words import reporting_words
from sonant.server.hosting.memory import give_back_memory
from sonant.server.hosting.served_model import ServedModel
from sonant.server.metrics import Metrics
from sonant.server.settings import ServerSettings


class LocalModel(ServedModel):
    """A model in this process, and its queue."""

    _decoder: TranscriptDecoder | None  # None without a CTC head

    def __init__(
        self, model_id: str, encoder: SpeechEncoder, settings: ServerSettings, threads: ComputeThreads, metrics: Metrics
    ) -> None:
        backbones = encoder.optimized(settings.precision)
        devices = [backbone.device for backbone in backbones]
        super().__init__(model_id, encoder, settings.queue, device=", ".join(map(str, devices)))
        workers = [
            Worker(backbone, settings.queue.batch_seconds, lane)
            for backbone, device in zip(backbones, devices, strict=True)
            for lane in threads.lanes(device)
        ]
        for worker in workers:
            worker.submit(worker.try_out).result()
        self._decoder = None
        if "transcription" in encoder.abilities:
            self._decoder = encoder.transcript_decoder(settings.decoder_of(model_id))
        windowing = windowing_of(self.request(), backbones[0])
        assert windowing is not None
        self._batcher = Batcher(workers, windowing, settings.queue, model_id, metrics)

    @property
    def stats(self) -> QueueStats:
        return self._batcher.stats

    def check_room(self, seconds: float, *, share: str | None = None) -> None:
        self._batcher.check_room(round(seconds * self.sampling_rate), share)

    async def encode(self, waveforms: Sequence[np.ndarray], request: EncodeRequest, *, share: str) -> list[np.ndarray]:
        pipeline: HeadPipeline[Tensor] = HeadPipeline(
            request.layers, lambda _: in_memory(request), self.receptive_field
        )
        values = await self._batcher.run(waveforms, pipeline, share=share)
        return [value.numpy() for value in values]

    async def transcribe(
        self,
        waveforms: Sequence[np.ndarray],
        *,
        share: str,
        on_words: Callable[[Sequence[Word]], None] | None = None,
        keywords: Sequence[str] = (),
        n_best: int | None = None,
    ) -> list[Transcript]:
        decoder = self._decoder or self.encoder.transcript_decoder(GREEDY)  # which raises without a CTC head
        if keywords or n_best:
            try:
                decoder = decoder.with_keywords(keywords, n_best)
            except ConfigurationError as error:  # the operator's options were checked when the model was loaded
                raise ApiError(400, "invalid_value", str(error), param="keywords" if keywords else "n_best") from error
        pipeline = self.encoder.head_pipeline("transcription", decoder=decoder)
        if on_words is not None and isinstance(decoder, GreedyTranscripts | BeamTranscripts):
            pipeline = reporting_words(pipeline, on_words)
        return await self._batcher.run(waveforms, pipeline, share=share)

    async def align(self, waveforms: Sequence[np.ndarray], *, share: str, text: str, star: bool) -> list[Alignment]:
        return await self._batcher.run(waveforms, self.encoder.alignment_pipeline(text=text, star=star), share=share)

    async def diarize(
        self,
        waveforms: Sequence[np.ndarray],
        *,
        share: str,
        num_speakers: int | None,
        known: KnownVoices | None = None,
    ) -> list[list[SpeakerTurn]]:
        pipeline = self.encoder.head_pipeline("diarization", num_speakers=num_speakers, known=known)
        return await self._batcher.run(waveforms, pipeline, share=share)

    async def classify(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[dict[str, float]]:
        return await self._batcher.run(waveforms, self.encoder.head_pipeline("classification"), share=share)

    async def enhance(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[np.ndarray]:
        return await self._batcher.run(waveforms, self.encoder.head_pipeline("enhancement"), share=share)

    async def separate(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[np.ndarray]:
        return await self._batcher.run(waveforms, self.encoder.head_pipeline("separation"), share=share)

    async def voice_samples(self, waveforms: Sequence[np.ndarray], *, share: str) -> list[VoiceSample]:
        return await self._batcher.run(waveforms, self.encoder.voice_pipeline(), share=share)

    async def unload(self, reason: ApiError, *, seconds: float) -> None:
        await self._batcher.close(reason, seconds=seconds)
        self._encoder = self._decoder = None
        give_back_memory()
