"""POST /v1/voice/embed and verify, and what all requests about voices have in common.

Distances are one minus the cosine, and so are thresholds.
"""

from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.decoding.voice_calibration import compare
from sonant.decoding.within_class import unit_vectors
from sonant.errors import AudioError
from sonant.extraction.voice_samples import VoiceSample
from sonant.models.abilities import Ability
from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import api_error
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, ApiCall
from sonant.server.routes.inputs import one_recording
from sonant.server.routes.parameters import ChannelNumber, Parameters, parameters
from sonant.server.routes.voice_answers import (
    VoiceEmbedding,
    VoiceVerification,
    answered,
    cosine_of,
    distance_of,
    probability_data,
)
from sonant.server.settings import Limits

router = APIRouter(prefix="/voice", tags=["Voices"])

AUDIO = ("audio", "file")
PAIR = ("audio1", "audio2")
Distance = Annotated[float, Field(ge=0, le=2)]


class VoiceParameters(Parameters):
    """The parameters besides the recording."""

    channel: ChannelNumber | Literal["mix"] = Field(
        "mix", description="`mix`: the mean of the recording's channels. A number, counted from 0: that channel."
    )


class MatchParameters(VoiceParameters):
    """The parameters of comparisons."""

    threshold: Distance | None = Field(
        None,
        description="The largest distance of one voice. Without it, that of the model's calibration; where none is "
        "known, distances without a verdict.",
    )


class VoiceCall(ApiCall):
    """A request about the voice of recordings."""

    ability: ClassVar[Ability] = "verification"
    kind: type[VoiceParameters] = VoiceParameters
    fields: tuple[tuple[str, ...], ...] = (AUDIO,)

    def __init__(self, body: RequestBody, limits: Limits) -> None:
        self.given = parameters(self.kind, body, [name for names in self.fields for name in names])
        recordings = [one_recording(body, *names, limits=limits) for names in self.fields]
        super().__init__(self.given, recordings, self.given.channel)

    def check(self, model: ServedModel) -> None:
        """Accept every request: all models with this ability support all parameters."""

    async def samples(self, job: AdmittedCall) -> list[VoiceSample]:
        """Compute the voices of the recordings; an error about one names its field."""
        try:
            return await job.model.voice_samples(job.waveforms, share=job.share)
        except AudioError as error:
            raise api_error(error, param=self.recordings[0].param) from error


class EmbedCall(VoiceCall):
    """A request for the speaker embedding of a recording."""

    async def perform(self, job: AdmittedCall) -> Response:
        (sample,) = await self.samples(job)
        vector = unit_vectors(sample.vector)
        return answered(
            job,
            embedding=[round(float(number), 7) for number in vector],
            dim=len(vector),
            speech_seconds=round(sample.speech_seconds, 2),
        )


class VerifyCall(VoiceCall):
    """A request to compare the voices of two recordings."""

    kind = MatchParameters
    fields = tuple((name,) for name in PAIR)
    given: MatchParameters

    async def perform(self, job: AdmittedCall) -> Response:
        start = perf_counter()
        one, other = await self.samples(job)
        _, calibration = await job.model.voices()
        limit = cosine_of(self.given.threshold)
        found = compare(one.vector, other.vector, calibration, threshold=limit)
        return answered(
            job,
            verified=found.same,
            distance=distance_of(found.score),
            threshold=distance_of(found.threshold),
            **probability_data(found.probability),
            basis=found.basis,
            processing_time_ms=round(1000 * (perf_counter() - start), 1),
        )


def about_one_recording(kind: type[VoiceParameters], answered: type[BaseModel], **example: Any) -> dict[str, Any]:
    """Return the arguments of a route about one recording."""
    return {
        "response_class": Response,
        "responses": {**documentation.success(answered), **documentation.ENROLLMENT},
        "openapi_extra": documentation.body(
            kind,
            json={"audio": documentation.ONE_RECORDING},
            form={"file": documentation.FILE},
            example={"model": "sonant/wavlm-tiny", **example},
        ),
    }


@router.post("/embed", summary="Speaker embedding", **about_one_recording(VoiceParameters, VoiceEmbedding))
async def embed_voice(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """The speaker embedding of a recording, over what is loud enough to be speech.

    It is that of the model's head of speakers, or the mean of the layer that serves best.
    """
    return await answer(request, caller, EmbedCall)


@router.post(
    "/verify",
    summary="Whether two recordings are of one voice, with a probability",
    response_class=Response,
    responses={**documentation.success(VoiceVerification), **documentation.COSTLY},
    openapi_extra=documentation.body(
        MatchParameters,
        json=dict.fromkeys(PAIR, documentation.ONE_RECORDING),
        form=dict.fromkeys(PAIR, documentation.FILE),
        example={"model": "sonant/wavlm-tiny"},
    ),
)
async def verify_voice(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """The distance of two voices, and a verdict where the model's scores are calibrated or a threshold is given."""
    return await answer(request, caller, VerifyCall)
