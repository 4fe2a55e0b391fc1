"""POST /v1/audio/speaker/verification: comparison of the speakers of two recordings."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.api.similarity import VERIFICATION_THRESHOLD, compare_voices
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
        description="From which score on it is the same voice; without it, 0.86 for models with a "
        "head of speakers, as the authors of wavlm-base-plus-sv recommend, and no answer for others.",
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
        one, other = await job.model.speaker_vectors(job.waveforms, share=job.share)
        threshold = self._threshold(job.model)
        found = compare_voices(one, other, threshold=VERIFICATION_THRESHOLD if threshold is None else threshold)
        content = {
            "object": "speaker.verification",
            "model": job.model.id,
            "score": round(found.score, 6),
            "threshold": threshold,
            "same_speaker": None if threshold is None else found.same,
            "usage": job.usage.in_seconds(),
        }
        return Response(finite_json(content), media_type="application/json")

    def _threshold(self, model: ServedModel) -> float | None:
        """Return the requested threshold, or that of x-vector heads; None for other models."""
        if self.parameters.threshold is not None:
            return self.parameters.threshold
        return VERIFICATION_THRESHOLD if "verification" in model.encoder.abilities else None


class SpeakerVerification(BaseModel):
    object: Literal["speaker.verification"]
    model: str
    score: float = Field(description="Cosine of the two voices' vectors, -1 to 1.")
    threshold: float | None = Field(description="From which score on it is the same voice, where that is known.")
    same_speaker: bool | None
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

    Vectors come from the head of speakers (x-vectors) of a model that has one, else from the layer that serves best.
    Both recordings come as files of a form (`file` and `reference`), or as JSON (`input` and `reference`) in one of the
    forms that `/v1/embeddings` takes.
    """
    return await answer(request, caller, VerificationCall)
