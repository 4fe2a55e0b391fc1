"""POST /v1/audio/diarizations: speaker diarization."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.decoding.known_voices import KnownVoices
from sonant.decoding.results import SpeakerTurn
from sonant.decoding.rttm import rttm
from sonant.decoding.speaker_turns import on_channel, speakers_in
from sonant.errors import ConfigurationError
from sonant.server.accounts.caller import Caller
from sonant.server.accounts.voices import EnrolledVoices
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError, api_error
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, ApiCall
from sonant.server.routes.enrollment import account_of, known_voices
from sonant.server.routes.finite_json import finite_json
from sonant.server.routes.inputs import one_recording
from sonant.server.routes.parameters import ChannelParameters, parameters
from sonant.server.services import services_of
from sonant.server.settings import Limits

router = APIRouter(tags=["Audio"])

FIELDS = ("file", "input")


class DiarizationParameters(ChannelParameters):
    """The parameters besides the recording."""

    num_speakers: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None,
        description="How many there are (on each channel, of `all`). Needed, unless the model has a head that finds "
        "out.",
    )
    voices: bool = Field(
        False,
        description="Give speakers who are enrolled in this account (with this model, see /v1/voice/register) their "
        "names. `num_speakers` is then needed with any model.",
    )
    response_format: Literal["json", "rttm"] = "json"


class DiarizationCall(ApiCall):
    """A diarization of one recording."""

    ability = "diarization"

    def __init__(self, body: RequestBody, limits: Limits, voices: EnrolledVoices, caller: Caller) -> None:
        self.parameters = parameters(DiarizationParameters, body, FIELDS)
        self.voices, self.caller = voices, caller
        super().__init__(self.parameters, [one_recording(body, *FIELDS, limits=limits)], self.parameters.channel)

    def check(self, model: ServedModel) -> None:
        check_speakers(model, self.parameters.num_speakers, KnownVoices([]) if self.parameters.voices else None)

    async def perform(self, job: AdmittedCall) -> Response:
        async with self._known(job) as known:
            found = await job.model.diarize(
                job.waveforms, share=job.share, num_speakers=self.parameters.num_speakers, known=known
            )
        is_by_channel = self.channel == "all"
        channels = [on_channel(turns, number) for number, turns in enumerate(found)] if is_by_channel else found
        if self.parameters.response_format == "rttm":
            first = self.channel if isinstance(self.channel, int) else 0
            lines = [rttm(turns, "recording", channel=number) for number, turns in enumerate(channels, start=first)]
            return Response("".join(lines), media_type="text/plain")
        placed = [(turn, number) for number, turns in enumerate(channels) for turn in turns]
        placed.sort(key=lambda place: place[0].start_seconds)
        content = {
            "task": "diarize",
            "duration": round(len(job.waveforms[0]) / job.model.sampling_rate, 4),
            "text": "",
            "segments": [
                _segment(number, turn) | ({"channel": channel} if is_by_channel else {})
                for number, (turn, channel) in enumerate(placed)
            ],
            "num_speakers": len(speakers_in([turn for turn, _ in placed])),
            "usage": job.usage.in_seconds(),
        }
        return Response(finite_json(content), media_type="application/json")

    @asynccontextmanager
    async def _known(self, job: AdmittedCall) -> AsyncIterator[KnownVoices | None]:
        """Hold the enrolled people, if they were asked for. Raises ApiError 400: no threshold is known."""
        if not self.parameters.voices:
            yield None
            return
        _, calibration = await job.model.voices()
        if calibration is None:
            raise ApiError(
                400,
                "no_calibration",
                f"No threshold is known for the voices of {job.model.id}, so that no one can be named. Leave voices "
                "out, or ask the operator of this server for a calibration (voice_calibrations).",
                param="voices",
            )
        async with known_voices(self.voices, account_of(self.caller), job) as known:
            yield known


def check_speakers(model: ServedModel, num_speakers: int | None, known: KnownVoices | None = None) -> None:
    """Raise ApiError 400: more speakers than the head has outputs, or neither a number nor a head."""
    try:
        model.encoder.head_pipeline("diarization", num_speakers=num_speakers, known=known)
    except ConfigurationError as error:
        raise api_error(error, param="num_speakers") from error


def _segment(number: int, turn: SpeakerTurn) -> dict[str, object]:
    return {
        "type": "transcript.text.segment",
        "id": f"segment_{number}",
        "start": round(turn.start_seconds, 3),
        "end": round(turn.end_seconds, 3),
        "text": "",
        "speaker": turn.speaker,
    }


class SpeakerSegment(BaseModel):
    """A segment as in OpenAI's `diarized_json`."""

    type: Literal["transcript.text.segment"]
    id: str
    start: float
    end: float
    text: str = Field(description="Empty: who spoke, not what was said.")
    speaker: str = Field(
        description="The name of an enrolled person (of `voices`), else one for this recording, by order of appearance."
    )
    channel: int | None = Field(None, description="Of `all`: where that speaker is heard, counted from 0.")


class Diarization(BaseModel):
    task: Literal["diarize"]
    duration: float
    text: str = Field(description="Empty.")
    segments: list[SpeakerSegment]
    num_speakers: int
    usage: documentation.UsedSeconds


@router.post(
    "/audio/diarizations",
    summary="Who spoke when",
    response_class=Response,
    responses={
        **documentation.success(Diarization, {"text/plain": documentation.text("Lines of RTTM, of `rttm`.")}),
        **documentation.ENROLLMENT,
    },
    openapi_extra=documentation.body(
        DiarizationParameters,
        json={"file": documentation.ONE_RECORDING},
        form={"file": documentation.FILE},
        example={"model": "microsoft/wavlm-base-plus-sd", "num_speakers": 2},
    ),
)
async def create_diarization(request: Request, caller: Caller = Depends(caller_with("diarization"))) -> Response:
    """The turns of each speaker of a recording; those of several may overlap.

    Any model will do where `num_speakers` is given: pieces of two seconds are grouped by their voice. One with a head
    that tells speakers apart finds their number. The recording comes as a file of a form, or as JSON in one of the
    forms that `/v1/embeddings` takes. With `channel=all` each channel is looked at by itself, and speakers of different
    channels are never taken for the same.
    """
    voices = services_of(request).accounts.voices
    return await answer(request, caller, lambda body, limits: DiarizationCall(body, limits, voices, caller))
