"""Answers that are recordings, of enhancement and separation: one audio file, or several in JSON."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import orjson
from fastapi import Response
from pydantic import BaseModel, Field

from sonant.audio.encoding import FLAC_CHANNELS, MAX_WAV_BYTES, FlacEncoder, wav, wav_bytes
from sonant.server.errors import ApiError
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import WARNING_HEADER
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, ApiCall
from sonant.server.routes.inputs import recordings
from sonant.server.routes.parameters import ChannelParameters
from sonant.server.routes.piecewise import TOGETHER, PiecewiseResponse, base64_of, json_list
from sonant.server.routes.vectors import check_finite
from sonant.server.settings import Limits

AudioFormat = Literal["wav", "flac", "json"]

FIELDS = ("file", "input")
FLAC_BLOCK = 1 << 18  # samples encoded in one call: some 50 ms of work, after which others get a turn
WAV = "a file of 32-bit floating-point samples, exactly those of the model"
FLAC = (
    "a file of 24-bit samples, about half as large; where they reach beyond full scale, all are divided by the largest "
    "one, which a header `x-audio-warning` tells"
)


class SourceParameters(ChannelParameters):
    """The parameters besides the recordings."""

    response_format: AudioFormat


class SourceCall(ApiCall):
    """A request for the sources of recordings."""

    def __init__(self, given: SourceParameters, body: RequestBody, limits: Limits) -> None:
        self.format, self.limits = given.response_format, limits
        found = recordings(body, *FIELDS, limits=limits)
        if len(found) > 1 and self.format != "json":
            raise ApiError(
                400,
                "too_many_inputs",
                f"{FIELDS[0]} holds {len(found)} recordings, and response_format={self.format!r} gives a single file. "
                'Take response_format="json", or send several requests.',
                param=FIELDS[0],
            )
        super().__init__(given, found, given.channel)

    @abstractmethod
    def sources(self, model: ServedModel) -> Sequence[Mapping[str, str]]:
        """Return what JSON says of each source of a recording."""

    @abstractmethod
    async def estimates(self, job: AdmittedCall) -> Sequence[np.ndarray]:
        """Compute the sources of each waveform, float32 (sources, samples)."""

    def check(self, model: ServedModel) -> None:
        """Every model with the ability will do."""

    async def perform(self, job: AdmittedCall) -> Response:
        sources, rate = self.sources(job.model), job.model.sampling_rate
        if self.format == "flac" and (channels := len(sources) * len(job.waveforms)) > FLAC_CHANNELS:
            raise ApiError(
                400,
                "invalid_value",
                f"A FLAC file holds {FLAC_CHANNELS} channels at most, and the answer has {channels}. Take "
                'response_format="wav", or one channel of the recording at a time.',
                param="response_format",
            )
        a_sample = 4 * len(sources) * (2 if self.format == "flac" else 1)  # bytes; FLAC is encoded beside the samples
        most = min(self.limits.response_bytes, MAX_WAV_BYTES)
        held_bytes = job.hold(
            a_sample * sum(map(len, job.waveforms)),
            most,
            what=f"{job.usage.seconds:.0f} s of audio, {len(sources)} times",
            cure=f"Send {most // (a_sample * rate)} s or less in a request: a long recording in parts.",
        )
        found = await self.estimates(job)
        await check_finite(found, "A sample")
        with job.timed("respond"):
            if self.format == "flac":
                return await self._as_flac([row for each in found for row in each], rate)
            how: dict[str, Any] = {"held_bytes": held_bytes, "send_seconds": self.limits.send_seconds}
            if self.format == "wav":
                rows = [row for each in found for row in each]
                return PiecewiseResponse(wav(rows, rate), length=wav_bytes(rows), media_type="audio/wav", **how)
            about = [{"object": "audio", **place, **source} for place in self.places(job) for source in sources]
            rest = {"model": job.model.id, "sampling_rate": rate, "usage": job.usage.in_seconds()}
            return PiecewiseResponse(json_list(_items(found, about, rate), rest), **how)

    async def _as_flac(self, rows: Sequence[np.ndarray], rate: int) -> Response:
        """Encode in turns with others, since an hour takes a while."""
        peak = await asyncio.to_thread(lambda: float(max(max(row.max(), -row.min()) for row in rows)))
        encoder = FlacEncoder(len(rows), rate)
        for start in range(0, len(rows[0]), FLAC_BLOCK):
            block = [np.divide(row[start : start + FLAC_BLOCK], max(1.0, peak), dtype=np.float32) for row in rows]
            await asyncio.to_thread(encoder.write, block)
        file = await asyncio.to_thread(encoder.finish)
        response = PiecewiseResponse(
            (file[start : start + TOGETHER] for start in range(0, len(file), TOGETHER)),
            held_bytes=len(file),
            send_seconds=self.limits.send_seconds,
            media_type="audio/flac",
            length=len(file),
        )
        if peak > 1.0:
            response.headers.append(
                WARNING_HEADER,
                f"{self.recordings[0].param}: the largest sample is {peak:.3g}, and FLAC holds none beyond 1: all were "
                'divided by it. response_format="wav" gives them as they are',
            )
        return response


def _items(found: Sequence[np.ndarray], about: Sequence[Mapping[str, Any]], rate: int) -> Iterator[Iterator[bytes]]:
    """Yield each source as JSON, in pieces."""
    rows = (row for each in found for row in each)
    for row, said in zip(rows, about, strict=True):
        yield _item(row, {**said, "duration": round(len(row) / rate, 4)}, rate)


def _item(samples: np.ndarray, about: Mapping[str, Any], rate: int) -> Iterator[bytes]:
    yield b'{"audio":{"format":"wav","data":"'
    yield from base64_of(wav([samples], rate))
    yield b'"},' + orjson.dumps(about)[1:]


class AudioContent(BaseModel):
    """A recording, as other endpoints take it."""

    format: Literal["wav"]
    data: str = Field(description="Base64 of a WAV file of one channel, with 32-bit floating-point samples.")


class SourceRecording(BaseModel):
    object: Literal["audio"]
    index: int = Field(description="The recording's place in the request.")
    channel: int | None = Field(None, description="Of `all`: which channel of the recording, counted from 0.")
    duration: float = Field(description="In seconds, that of the recording.")
    audio: AudioContent


def answers(model: type[BaseModel], channels: str) -> dict[int | str, dict[str, Any]]:
    """Make the `responses` for 200.

    Args:
        model: of the answer as JSON.
        channels: what the channels of a file are.
    """
    files = {f"audio/{name}": {"schema": documentation.FILE | {"description": channels}} for name in ("wav", "flac")}
    return documentation.success(model, files)
