"""Decoding of the recordings of a request, concurrently and within the limits."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from sonant.audio import Channel
from sonant.errors import AudioError
from sonant.models.abilities import Ability
from sonant.server.accounts.caller import Caller
from sonant.server.accounts.credit import insufficient
from sonant.server.errors import ApiError, api_error
from sonant.server.hosting.served_model import ServedModel
from sonant.server.intake.process import Decoded
from sonant.server.routes.disconnection import stopped
from sonant.server.routes.inputs import AudioInput, read
from sonant.server.services import Services
from sonant.server.sharing.workload import Share

T = TypeVar("T")
R = TypeVar("R")
SAMPLE_BYTES = 4  # float32


class AudioAdmission:
    """The audio of one request: what it may hold is checked before it is decoded, by the headers of its recordings.

    Args:
        credit: that covers the request; None: nothing is charged.
    """

    def __init__(
        self, services: Services, model: ServedModel, caller: Caller, memory: Share, credit: Decimal | None
    ) -> None:
        self._services, self._model, self._caller, self._memory = services, model, caller, memory
        self._credit = credit
        self._price = services.settings.price_of(model.id)
        self._seconds, self._tokens = 0.0, 0

    def admit(self, channels: int, samples: int) -> None:
        """Take in audio that is about to be decoded.

        Raises ApiError 413: the request holds too much. 402: it costs more than the credit. 429: the queue of the model
        or the memory is full, or a rate limit is exceeded.
        """
        limits, more = self._services.settings.limits, channels * samples / self._model.sampling_rate
        self._seconds += more
        self._tokens += channels * self._model.num_frames(samples)
        if self._seconds > limits.request_seconds:
            raise ApiError(
                413,
                "request_too_long",
                f"The recordings of this request last more than {limits.request_seconds:.0f} s together, the most that "
                "one request may hold. Send several requests.",
            )
        cost = self._price.cost(self._tokens, self._seconds)
        if self._credit is not None and cost > self._credit:
            raise insufficient(cost, self._credit, self._services.settings.accounts.more_credit)
        self._model.check_room(self._seconds, share=self._caller.share)
        self._memory.take(channels * samples * SAMPLE_BYTES)
        self._services.accounts.admit_audio(self._caller, more, of=self._seconds)


async def waveforms(
    recordings: Sequence[AudioInput],
    services: Services,
    model: ServedModel,
    caller: Caller,
    memory: Share,
    *,
    ability: Ability,
    channel: Channel,
) -> list[Decoded]:
    """Decode every recording, in order; an error names the first that failed."""
    credit = None
    if caller.user_id is not None and services.settings.price_of(model.id).cost(1, 1.0):
        credit = await services.accounts.credit.of(caller.user_id)
    admission = AudioAdmission(services, model, caller, memory, credit)

    async def one(recording: AudioInput) -> Decoded:
        try:
            with memory.holding() as take:
                data = await read(recording, services.fetcher, services.settings.limits, share=caller.share, take=take)
                return await services.decoder.decode(
                    data,
                    share=caller.share,
                    sampling_rate=model.sampling_rate,
                    min_samples=model.min_samples(ability),
                    channel=channel,
                    admit=admission.admit,
                )
        except AudioError as error:
            raise api_error(error, param=recording.param) from error
        except ApiError as error:
            if error.status in {400, 413} and error.code != "request_too_long":
                error.param = error.param or recording.param
            raise

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
