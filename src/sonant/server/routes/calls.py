"""API calls: an endpoint parses a request into a call, which is admitted and then performed."""

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
from sonant.models.abilities import Ability
from sonant.server.errors import ApiError
from sonant.server.hosting.served_model import ServedModel
from sonant.server.metrics import Metrics
from sonant.server.routes.inputs import AudioInput
from sonant.server.routes.parameters import Parameters
from sonant.server.settings import MIB
from sonant.server.sharing.workload import Share


@dataclass(frozen=True)
class CallUsage:
    """The usage of a request.

    Attributes:
        tokens: number of frames.
        seconds: duration of the audio.
        cost: charged amount.
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
    """A call that was admitted: decoded, paid for, and ready to be computed.

    Attributes:
        model: the model that computes.
        waveforms: decoded at the rate of the model, (samples,) each, ordered by recording and channel.
        places: for each waveform, the indices of the recording and of the channel among those requested.
        usage: frames, seconds and cost.
        share: the account, in the fair queue of the model.
        memory: what the request holds of the server's memory.
        metrics: where durations are recorded.
    """

    model: ServedModel
    waveforms: Sequence[np.ndarray]
    places: Sequence[tuple[int, int]]
    usage: CallUsage
    share: str
    memory: Share
    metrics: Metrics

    def hold(self, num_bytes: int, most: int, *, what: str, cure: str) -> int:
        """Take memory for the answer, and return its bytes. Raises ApiError 413: more than `most`; 429: memory is full.

        Args:
            what: is held, for the message.
            cure: what to ask for instead.
        """
        if num_bytes > most:
            raise ApiError(
                413,
                "response_too_large",
                f"The answer would hold {num_bytes / MIB:.1f} MiB ({what}), and one may hold {most / MIB:.1f} MiB. "
                f"{cure}",
            )
        self.memory.take(num_bytes)
        return num_bytes

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Record the duration of a stage, if it succeeds."""
        start = perf_counter()
        yield
        self.metrics.stage_seconds.labels(stage, self.model.id).observe(perf_counter() - start)


class ApiCall(ABC):
    """A parsed request.

    Attributes:
        ability: ability required of the model, and scope required of the key.
        model: name of the model in the request.
        recordings: in the order of the request.
        channel: requested channel of each recording.
        warnings: about parameters that have no effect.
    """

    ability: ClassVar[Ability]
    warnings: Sequence[str] = ()

    def __init__(self, parameters: Parameters, recordings: Sequence[AudioInput], channel: Channel) -> None:
        self.model = parameters.model
        self.recordings, self.channel = recordings, channel

    def places(self, job: AdmittedCall) -> list[dict[str, int]]:
        """Return what the answer says of the place of each waveform: its `index`, and of all channels its `channel`."""
        if self.channel != "all":
            return [{"index": index} for index, _ in job.places]
        return [{"index": index, "channel": channel} for index, channel in job.places]

    @abstractmethod
    def check(self, model: ServedModel) -> None:
        """Raise ApiError if the model does not support the request; called before decoding."""

    @abstractmethod
    async def perform(self, job: AdmittedCall) -> Response:
        """Compute the response; an exception releases the held cost."""


class StreamingCall(ApiCall):
    """A call whose response may be streamed.

    Attributes:
        is_stream: whether streaming was requested.
    """

    is_stream: bool

    @abstractmethod
    def events(self, job: AdmittedCall) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events, at least one."""
