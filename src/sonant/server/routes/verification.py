"""POST /v1/audio/speaker/verification: comparison of the speakers of two recordings."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.decoding.voice_calibration import compare
from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, ApiCall
from sonant.server.routes.finite_json import finite_json
from sonant.server.routes.inputs import one_recording
from sonant.server.routes.parameters import ChannelNumber, Parameters, parameters
from sonant.server.settings import Limits

router = APIRouter(tags=["Audio"])

FIELDS = ("file", "input")
REFERENCE = "reference"


class VerificationParameters(Parameters):
    """The parameters besides the two recordings."""

    channel: ChannelNumber | Literal["mix"] = Field(
        "mix", description="`mix`: the mean of the channels of each recording. A number, counted from 0: that channel."
    )
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None,
        description="From which score on it is the same voice; without it, that of the model's calibration, and no "
        "answer where none is known.",
    )


class VerificationCall(ApiCall):
    """A request to compare the speakers of two recordings."""

    ability = "verification"

    def __init__(self, body: RequestBody, limits: Limits) -> None:
        self.parameters = parameters(VerificationParameters, body, (*FIELDS, REFERENCE))
        pair = [one_recording(body, *FIELDS, limits=limits), one_recording(body, REFERENCE, limits=limits)]
        super().__init__(self.parameters, pair, self.parameters.channel)

    def check(self, model: ServedModel) -> None:
        """Accept every request: all models with this ability support all parameters."""

    async def perform(self, job: AdmittedCall) -> Response:
        one, other = await job.model.voice_samples(job.waveforms, share=job.share)
        _, calibration = await job.model.voices()
        found = compare(one.vector, other.vector, calibration, threshold=self.parameters.threshold)
        content = {
            "object": "speaker.verification",
            "model": job.model.id,
            "score": round(found.score, 6),
            "threshold": found.threshold,
            "same_speaker": found.same,
            "probability": found.probability,
            "basis": found.basis,
            "usage": job.usage.in_seconds(),
        }
        return Response(finite_json(content), media_type="application/json")


class SpeakerVerification(BaseModel):
    object: Literal["speaker.verification"]
    model: str
    score: float = Field(description="Cosine of the two voices' vectors, normalized by the calibration, -1 to 1.")
    threshold: float | None = Field(description="From which score on it is the same voice, where that is known.")
    same_speaker: bool | None
    probability: float | None = Field(
        description="That it is one voice, if that was as likely as not before; null without a calibration."
    )
    basis: str = Field(description="The data that the threshold was set on.")
    usage: documentation.UsedSeconds


@router.post(
    "/audio/speaker/verification",
    summary="Whether two recordings are of one voice",
    response_class=Response,
    responses={**documentation.success(SpeakerVerification), **documentation.COSTLY},
    openapi_extra=documentation.body(
        VerificationParameters,
        json={"input": documentation.ONE_RECORDING, "reference": documentation.ONE_RECORDING},
        form={"file": documentation.FILE, "reference": documentation.FILE},
        example={"model": "microsoft/wavlm-base-plus-sv"},
    ),
)
async def verify_speaker(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """The likeness of two voices, and whether it reaches the threshold.

    Vectors are those of the speech in each recording, from the head of speakers (x-vectors) of a model that has one,
    else from the layer that serves best. Both recordings come as files of a form (`file` and `reference`), or as JSON
    (`input` and `reference`) in one of the forms that `/v1/embeddings` takes.
    """
    return await answer(request, caller, VerificationCall)
