"""Decoding of the recordings of a request, concurrently and within the limits."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from sonant.audio import Channel
from sonant.errors import AudioError
from sonant.server.errors import ApiError, api_error
from sonant.server.intake.process import Decoded
from sonant.server.routes.disconnection import stopped
from sonant.server.routes.inputs import AudioInput, read
from sonant.server.services import Services

T = TypeVar("T")
R = TypeVar("R")


async def waveforms(
    recordings: Sequence[AudioInput], services: Services, *, sampling_rate: int, min_samples: int, channel: Channel
) -> list[Decoded]:
    """Decode every recording, in order; an error names the first that failed."""
    limits = services.settings.limits
    total = 0.0

    async def one(recording: AudioInput) -> Decoded:
        nonlocal total
        try:
            data = await read(recording, services.fetcher, limits)
            decoded = await services.decoder.decode(
                data, sampling_rate=sampling_rate, min_samples=min_samples, channel=channel
            )
        except AudioError as error:
            raise api_error(error, param=recording.param) from error
        except ApiError as error:
            if error.status in {400, 413}:
                error.param = error.param or recording.param
            raise
        total += decoded.channels.size / sampling_rate
        if total > limits.request_seconds:
            raise ApiError(
                413,
                "request_too_long",
                f"The recordings of this request last more than {limits.request_seconds:.0f} s together, the most that "
                "one request may hold. Send several requests.",
            )
        return decoded

    return await _each(recordings, one, at_once=services.settings.num_decode_workers + 1)


async def _each(items: Sequence[T], work: Callable[[T], Coroutine[Any, Any, R]], *, at_once: int) -> list[R]:
    """Process items concurrently and return results in order; the first error cancels the rest and is raised."""
    turn = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with turn:
            return await work(item)

    tasks = [asyncio.create_task(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await stopped(*tasks)
