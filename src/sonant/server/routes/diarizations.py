"""POST /v1/audio/diarizations: who spoke when."""

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.decoding.results import SpeakerTurn
from sonant.decoding.turns import rttm, speakers_in
from sonant.errors import ConfigurationError
from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import api_error
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.bodies import Body
from sonant.server.routes.inputs import one_recording
from sonant.server.routes.orders import Job, Order
from sonant.server.routes.parameters import Parameters, parameters
from sonant.server.routes.work import answer
from sonant.server.settings import Limits

router = APIRouter(tags=["Audio"])

FIELDS = ("file", "input")


class DiarizationParameters(Parameters):
    """Besides the recording."""

    num_speakers: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="How many there are. Needed, unless the model has a head that finds out."
    )
    response_format: Literal["json", "rttm"] = "json"


class DiarizationOrder(Order):
    """The turns of the speakers of one recording."""

    ability = "diarization"

    def __init__(self, body: Body, limits: Limits) -> None:
        self.parameters = parameters(DiarizationParameters, body, FIELDS)
        super().__init__(self.parameters, [one_recording(body, *FIELDS, limits=limits)])

    def check(self, model: ServedModel) -> None:
        try:
            model.encoder.head_task("diarization", num_speakers=self.parameters.num_speakers)
        except ConfigurationError as error:  # more than its head tells apart, or no number and no head
            raise api_error(error, param="num_speakers") from error

    async def perform(self, job: Job) -> Response:
        (turns,) = await job.model.diarize(job.waveforms, share=job.share, num_speakers=self.parameters.num_speakers)
        if self.parameters.response_format == "rttm":
            return Response(rttm(turns, "recording"), media_type="text/plain")
        content = {
            "task": "diarize",
            "duration": round(job.usage.seconds, 4),
            "text": "",
            "segments": [_segment(number, turn) for number, turn in enumerate(turns)],
            "num_speakers": len(speakers_in(turns)),
            "usage": job.usage.in_seconds(),
        }
        return Response(orjson.dumps(content), media_type="application/json")


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
    """As in OpenAI's `diarized_json`."""

    type: Literal["transcript.text.segment"]
    id: str
    start: float
    end: float
    text: str = Field(description="Empty: who spoke, not what was said.")
    speaker: str = Field(description="A name for this recording only, by order of appearance.")


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
        **documentation.COSTLY,
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
    forms that `/v1/embeddings` takes.
    """
    return await answer(request, caller, DiarizationOrder)
