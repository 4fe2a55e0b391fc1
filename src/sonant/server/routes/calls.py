"""Orders and jobs: an endpoint reads a request into an order, which is admitted as a job."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from fastapi import Response

from sonant.audio import Channel
from sonant.server.hosting.served_model import Ability, ServedModel
from sonant.server.metrics import Metrics
from sonant.server.routes.inputs import AudioInput
from sonant.server.routes.parameters import Parameters


@dataclass(frozen=True)
class CallUsage:
    """The usage of a request.

    Attributes:
        tokens: frames of the model.
        seconds: seconds of audio.
        cost: the amount that is charged.
    """

    tokens: int
    seconds: float
    cost: Decimal

    def in_tokens(self) -> dict[str, Any]:
        """Return the usage as OpenAI reports it for embeddings, with seconds and cost."""
        return {
            "prompt_tokens": self.tokens,
            "total_tokens": self.tokens,
            "audio_seconds": round(self.seconds, 4),
            "cost": f"{self.cost:f}",
        }

    def in_seconds(self) -> dict[str, Any]:
        """Return the usage as OpenAI reports it for audio, with the cost."""
        return {"type": "duration", "seconds": round(self.seconds, 4), "cost": f"{self.cost:f}"}


@dataclass(frozen=True)
class AdmittedCall:
    """A request that was admitted and may be computed.

    Attributes:
        model: the model that computes.
        waveforms: decoded at the model's rate, (samples,) each, in the order of the request and, within a recording, of
            its channels.
        places: of each waveform, the number of the recording and that of its channel among those that are wanted.
        usage: its frames, seconds and cost.
        share: for whose turn it waits in the model's queue.
        metrics: where its time is noted.
    """

    model: ServedModel
    waveforms: Sequence[np.ndarray]
    places: Sequence[tuple[int, int]]
    usage: CallUsage
    share: str
    metrics: Metrics

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note how long a stage takes, if it succeeds."""
        start = perf_counter()
        yield
        self.metrics.stage_seconds.labels(stage, self.model.id).observe(perf_counter() - start)


class ApiCall(ABC):
    """A request that was read: the result that is wanted, of which recordings.

    Attributes:
        ability: what the model must be able to do; the key must have the scope of this name.
        model: as the request names it.
        recordings: in the order of the request.
        channel: the channel that is wanted of each of them.
    """

    ability: ClassVar[Ability]

    def __init__(self, parameters: Parameters, recordings: Sequence[AudioInput], channel: Channel) -> None:
        self.model = parameters.model
        self.recordings, self.channel = recordings, channel

    @abstractmethod
    def check(self, model: ServedModel) -> None:
        """Raise ApiError for what this model cannot do, before anything is decoded."""

    @abstractmethod
    async def perform(self, job: AdmittedCall) -> Response:
        """Compute and answer; an exception frees the caller from paying."""


class StreamingCall(ApiCall):
    """An order that may be answered piece by piece.

    Attributes:
        is_stream: whether that was asked for.
    """

    is_stream: bool

    @abstractmethod
    def events(self, job: AdmittedCall) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events, at least one."""
