"""POST /v1/audio/enhancements: speech without noise."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall
from sonant.server.routes.parameters import parameters
from sonant.server.routes.source_recordings import (
    FIELDS,
    FLAC,
    WAV,
    AudioFormat,
    SourceCall,
    SourceParameters,
    SourceRecording,
    answers,
)
from sonant.server.settings import Limits

router = APIRouter(tags=["Audio"])


class EnhancementParameters(SourceParameters):
    """The parameters besides the recordings."""

    response_format: AudioFormat = Field(
        "wav",
        description=f"`wav`: {WAV}. `flac`: {FLAC}. Either has the channels that `channel` names. `json`: WAV files in "
        "base64, for one recording or several.",
    )


class EnhancementCall(SourceCall):
    """A request for the speech of recordings."""

    ability = "enhancement"

    def __init__(self, body: RequestBody, limits: Limits) -> None:
        super().__init__(parameters(EnhancementParameters, body, FIELDS), body, limits)

    def sources(self, model: ServedModel) -> Sequence[Mapping[str, str]]:  # noqa: ARG002 - of any model
        return [{}]

    async def estimates(self, job: AdmittedCall) -> Sequence[np.ndarray]:
        return [speech[None] for speech in await job.model.enhance(job.waveforms, share=job.share)]


class EnhancedRecordings(BaseModel):
    object: Literal["list"]
    data: list[SourceRecording]
    model: str
    sampling_rate: int = Field(description="Of the model, in hertz; recordings are resampled to it.")
    usage: documentation.UsedSeconds


@router.post(
    "/audio/enhancements",
    summary="Speech without noise",
    response_class=Response,
    responses={**answers(EnhancedRecordings, "With the channels that were asked for."), **documentation.COSTLY},
    openapi_extra=documentation.body(
        EnhancementParameters,
        json={"file": documentation.RECORDINGS},
        form={"file": documentation.FILES},
        example={"model": "my-enhancer"},
    ),
)
async def create_enhancement(request: Request, caller: Caller = Depends(caller_with("enhancement"))) -> Response:
    """The recording with less noise, and less reverberation if the model was trained so: as long, at the model's rate.

    For models that `sonant train enhancement` made. The recording comes as a file of a form, or as JSON in one of the
    forms that `/v1/embeddings` takes; with `response_format=json` there may be several. The answer is an audio file,
    with `channel=all` of as many channels as the recording has.
    """
    return await answer(request, caller, EnhancementCall)
