"""The one way through for all that costs: read, find the model, decode, pay, compute, answer."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from time import perf_counter
from typing import Any, Protocol, TypeVar

import numpy as np
from fastapi import Request, Response

from sonant.errors import AudioError
from sonant.server.accounts.caller import Caller
from sonant.server.errors import ApiError, api_error
from sonant.server.hosting.served_model import Ability, ServedModel
from sonant.server.operations.metrics import Metrics
from sonant.server.routes.bodies import Body, client_gone, receive
from sonant.server.routes.inputs import Recording, read
from sonant.server.services import Services, services_of
from sonant.server.settings import Limits

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Usage:
    """What a request used.

    Attributes:
        tokens: frames of the model.
        seconds: of audio.
        cost: as it is charged.
    """

    tokens: int
    seconds: float
    cost: Decimal

    def in_tokens(self) -> dict[str, Any]:
        """As OpenAI tells it for embeddings, and more."""
        return {
            "prompt_tokens": self.tokens,
            "total_tokens": self.tokens,
            "audio_seconds": round(self.seconds, 4),
            "cost": f"{self.cost:f}",
        }

    def in_seconds(self) -> dict[str, Any]:
        """As OpenAI tells it for audio, and more."""
        return {"type": "duration", "seconds": round(self.seconds, 4), "cost": f"{self.cost:f}"}


@dataclass(frozen=True)
class Job:
    """A request that was admitted and may be computed.

    Attributes:
        model: which computes.
        waveforms: decoded at the model's rate, (samples,) each, in the order of the request.
        usage: what it takes.
        share: whose turn it takes in the model's queue.
        metrics: where its time is noted.
    """

    model: ServedModel
    waveforms: Sequence[np.ndarray]
    usage: Usage
    share: str
    metrics: Metrics

    def responding(self) -> AbstractContextManager[None]:
        """Around what is done with results: its time is noted."""
        return _timed(self.metrics, "respond", self.model)


class Order(Protocol):
    """A request that was read: what is wanted, of which recordings."""

    @property
    def ability(self) -> Ability: ...
    @property
    def model(self) -> str: ...
    @property
    def recordings(self) -> Sequence[Recording]: ...

    def check(self, model: ServedModel) -> None:
        """Raise ApiError for what this model cannot do, before anything is decoded."""

    async def perform(self, job: Job) -> Response:
        """Compute and answer; an exception frees the caller from paying."""


async def answer(request: Request, caller: Caller, read_order: Callable[[Body, Limits], Order]) -> Response:
    """Answer a request of somebody who may make it; everything stops when its client goes away."""
    services = services_of(request)
    start = perf_counter()
    body = await receive(request, services.settings.limits)
    order = read_order(body, services.settings.limits)
    model = services.models.get(order.model, order.ability)
    services.metrics.stage_seconds.labels("receive", model.id).observe(perf_counter() - start)
    request.state.model = model.id
    order.check(model)
    model.check_room(0.0, share=caller.share)  # a server that is full says so before it decodes anything
    return await _unless_gone(request, _work(request, caller, services, model, order))


async def _work(request: Request, caller: Caller, services: Services, model: ServedModel, order: Order) -> Response:
    with _timed(services.metrics, "decode", model):
        waveforms = await _decoded(order, model, services)
    seconds = sum(map(len, waveforms)) / model.sampling_rate
    tokens = sum(model.num_frames(len(waveform)) for waveform in waveforms)
    request.state.audio_seconds, request.state.tokens = seconds, tokens
    model.check_room(seconds, share=caller.share)
    bill = services.accounts.bill(
        caller,
        request_id=request.state.request_id,
        model=model.id,
        endpoint=order.ability,
        tokens=tokens,
        audio_seconds=seconds,
        cost=services.settings.price_of(model.id).cost(tokens, seconds),
    )
    async with bill as charged:
        usage = Usage(tokens, seconds, charged.cost)
        response = await order.perform(Job(model, waveforms, usage, caller.share, services.metrics))
    services.metrics.audio_seconds.labels(model.id, request.url.path).inc(seconds)
    services.metrics.tokens.labels(model.id, request.url.path).inc(tokens)
    return response


async def _decoded(order: Order, model: ServedModel, services: Services) -> list[np.ndarray]:
    """Every recording, mono float32 (samples,) at the model's rate; an error names the first that failed."""
    limits, min_samples = services.settings.limits, model.min_samples(order.ability)
    total = 0.0

    async def one(recording: Recording) -> np.ndarray:
        nonlocal total
        try:
            data = await read(recording, services.fetcher, limits)
            waveform = await services.decoder.decode(data, sampling_rate=model.sampling_rate, min_samples=min_samples)
        except AudioError as error:
            raise api_error(error, param=recording.param) from error
        except ApiError as error:
            if error.status in {400, 413}:
                error.param = error.param or recording.param
            raise
        total += len(waveform) / model.sampling_rate
        if total > limits.request_seconds:
            raise ApiError(
                413,
                "request_too_long",
                f"The recordings of this request last more than {limits.request_seconds:.0f} s together, the most that "
                "one request may hold. Send several requests.",
            )
        return waveform

    return await _each(order.recordings, one, at_once=services.settings.num_decode_workers + 1)


async def _each(items: Sequence[T], work: Callable[[T], Coroutine[Any, Any, R]], *, at_once: int) -> list[R]:
    """The results in order; the first error stops the rest and is raised."""
    turn = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with turn:
            return await work(item)

    tasks = [asyncio.create_task(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await _stopped(*tasks)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """The result of work, which is cancelled when the client closes its connection."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise client_gone()
        return working.result()
    finally:
        await _stopped(working, leaving)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _stopped(*tasks: asyncio.Task[Any]) -> None:
    """Cancel what still runs, and wait until it has cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _timed(metrics: Metrics, stage: str, model: ServedModel) -> Iterator[None]:
    """Note how long a stage of a request takes."""
    start = perf_counter()
    yield
    metrics.stage_seconds.labels(stage, model.id).observe(perf_counter() - start)
