"""The steps of every billed request: parse, find the model, decode, hold the cost, compute, respond."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter

from fastapi import Request, Response

from sonant.errors import SonantError
from sonant.server.accounts.bill import Bill
from sonant.server.accounts.caller import Caller
from sonant.server.errors import INTERNAL, ApiError, api_error
from sonant.server.hosting.served_model import ServedModel
from sonant.server.intake.process import Decoded
from sonant.server.routes.bodies import RequestBody, receive
from sonant.server.routes.calls import AdmittedCall, ApiCall, CallUsage, StreamingCall
from sonant.server.routes.disconnection import EventStream, error_event, unless_disconnected
from sonant.server.routes.inputs import AudioInput
from sonant.server.routes.piecewise import PiecewiseResponse
from sonant.server.routes.waveforms import waveforms
from sonant.server.services import Services, services_of
from sonant.server.settings import Limits
from sonant.server.sharing.workload import Share

logger = logging.getLogger(__name__)

WARNING_HEADER = "x-audio-warning"
PARAMETER_HEADER = "x-parameter-warning"
MOST_WARNINGS = 8  # keeps response headers small


async def answer(request: Request, caller: Caller, read_call: Callable[[RequestBody, Limits], ApiCall]) -> Response:
    """Answer a request of an authorized caller; everything is cancelled if the client disconnects."""
    services = services_of(request)
    start = perf_counter()
    body = await receive(request, services.settings.limits)
    call = read_call(body, services.settings.limits)
    del body  # all that is needed is in the call
    with services.models.slot(call.model).recent.watched():
        model = services.models.get(call.model, call.ability)
        services.metrics.stage_seconds.labels("receive", model.id).observe(perf_counter() - start)
        request.state.model = model.id
        call.check(model)
        model.check_room(0.0, share=caller.share)  # an overloaded server refuses before decoding
        work = _Answer(request, caller, services, model, request.state.share)
        if isinstance(call, StreamingCall) and call.is_stream:
            response: Response = await EventStream.begun(request.receive, work.events(call))
        else:
            response = await unless_disconnected(request.receive, work.response(call))
    for warning in call.warnings:
        response.headers.append(PARAMETER_HEADER, warning)
    return response


@dataclass(frozen=True)
class _Answer:
    """The processing of one call."""

    request: Request
    caller: Caller
    services: Services
    model: ServedModel
    memory: Share

    async def response(self, call: ApiCall) -> Response:
        """Compute the response; charged on success."""
        job, bill, warnings = await self._admit(call)
        async with bill:
            response = await call.perform(job)
        self.memory.keep(response.held_bytes if isinstance(response, PiecewiseResponse) else 0)
        for warning in warnings:
            response.headers.append(WARNING_HEADER, warning)
        self._count(job.usage)
        return response

    async def events(self, call: StreamingCall) -> AsyncGenerator[bytes, None]:
        """Yield events; charged on success, or if the client disconnects after the first event."""
        job, bill, _ = await self._admit(call)
        try:
            async with bill, aclosing(call.events(job)) as events:
                try:
                    async for event in events:
                        yield event
                        bill.is_delivered = True
                except (GeneratorExit, asyncio.CancelledError):
                    if not bill.is_delivered:
                        raise
        except Exception as error:
            if not bill.is_delivered:
                raise
            logger.exception("a stream broke off", extra={"request_id": self.request.state.request_id})
            yield error_event(_told(error))
            return
        self._count(job.usage)

    async def _admit(self, call: ApiCall) -> tuple[AdmittedCall, Bill, list[str]]:
        """Decode what may be decoded, and hold the cost; return warnings about recordings, too."""
        model, services, state = self.model, self.services, self.request.state
        start = perf_counter()
        decoded = await waveforms(
            call.recordings, services, model, self.caller, self.memory, ability=call.ability, channel=call.channel
        )
        places = [(number, channel) for number, one in enumerate(decoded) for channel in range(len(one.channels))]
        inputs = [waveform for one in decoded for waveform in one.channels]
        services.metrics.stage_seconds.labels("decode", model.id).observe(perf_counter() - start)
        state.audio_seconds = seconds = sum(map(len, inputs)) / model.sampling_rate
        state.tokens = tokens = sum(model.num_frames(len(waveform)) for waveform in inputs)
        model.check_room(seconds, share=self.caller.share)  # before the database holds the cost
        bill = services.accounts.bill(
            self.caller,
            request_id=state.request_id,
            model=model.id,
            endpoint=call.ability,
            tokens=tokens,
            audio_seconds=seconds,
            cost=services.settings.price_of(model.id).cost(tokens, seconds),
        )
        usage = CallUsage(tokens, seconds, bill.cost)
        job = AdmittedCall(model, inputs, places, usage, self.caller.share, self.memory, services.metrics)
        return job, bill, _warnings(call.recordings, decoded)

    def _count(self, usage: CallUsage) -> None:
        metrics, labels = self.services.metrics, (self.model.id, self.request.url.path)
        metrics.audio_seconds.labels(*labels).inc(usage.seconds)
        metrics.tokens.labels(*labels).inc(usage.tokens)


def _told(error: Exception) -> ApiError:
    if isinstance(error, SonantError):
        return api_error(error)
    return error if isinstance(error, ApiError) else INTERNAL


def _warnings(recordings: Sequence[AudioInput], decoded: Sequence[Decoded]) -> list[str]:
    """Return warnings about recordings as header values: their places and the reasons."""
    told = [
        f"{recording.param}: {warning}"
        for recording, one in zip(recordings, decoded, strict=True)
        for warning in one.warnings
    ]
    return [" ".join(text.encode("ascii", "replace").decode().split()) for text in told[:MOST_WARNINGS]]
