"""POST /v1/audio/separations: a recording of each speaker."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError
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

A_CHANNEL_A_SPEAKER = "A channel for each speaker, in the order of the model."


class SeparationParameters(SourceParameters):
    """The parameters besides the recordings."""

    response_format: AudioFormat = Field(
        "json",
        description="`json`: a WAV file in base64 for each speaker, of one recording or several. `wav`: "
        f"{WAV}, with a channel for each speaker. `flac`: {FLAC}.",
    )


class SeparationCall(SourceCall):
    """A request for the speakers of recordings."""

    ability = "separation"

    def __init__(self, body: RequestBody, limits: Limits) -> None:
        given = parameters(SeparationParameters, body, FIELDS)
        if given.channel == "all" and given.response_format != "json":
            raise ApiError(
                400,
                "invalid_value",
                f'channel="all" goes with response_format="json": a file of {given.response_format} has a channel for '
                "each speaker, of one channel of the recording.",
                param="channel",
            )
        super().__init__(given, body, limits)

    def sources(self, model: ServedModel) -> Sequence[Mapping[str, str]]:
        return [{"speaker": name} for name in model.encoder.speakers]

    async def estimates(self, job: AdmittedCall) -> Sequence[np.ndarray]:
        return await job.model.separate(job.waveforms, share=job.share)


class SeparatedSpeaker(SourceRecording):
    speaker: str = Field(
        description="`speaker_1`, `speaker_2` and so on, unless the model was trained with other names. The order is "
        "arbitrary, and says nothing about who speaks first, or in another recording."
    )


class SeparatedSpeakers(BaseModel):
    object: Literal["list"]
    data: list[SeparatedSpeaker] = Field(description="By recording, channel (of `all`) and speaker.")
    model: str
    sampling_rate: int = Field(description="Of the model, in hertz; recordings are resampled to it.")
    usage: documentation.UsedSeconds


@router.post(
    "/audio/separations",
    summary="A recording of each speaker",
    response_class=Response,
    responses={**answers(SeparatedSpeakers, A_CHANNEL_A_SPEAKER), **documentation.COSTLY},
    openapi_extra=documentation.body(
        SeparationParameters,
        json={"file": documentation.RECORDINGS},
        form={"file": documentation.FILES},
        example={"model": "my-separator"},
    ),
)
async def create_separation(request: Request, caller: Caller = Depends(caller_with("separation"))) -> Response:
    """A recording of each speaker where several speak at once: as long, at the model's rate.

    For models that `sonant train separation` made, each for a fixed number of speakers. The recording comes as a file
    of a form, or as JSON in one of the forms that `/v1/embeddings` takes. The answer is JSON, whose items may be sent
    on as they are to any endpoint that takes recordings, or an audio file with a channel for each speaker. In a long
    recording speakers keep their places, unless one is silent for several seconds.
    """
    return await answer(request, caller, SeparationCall)
