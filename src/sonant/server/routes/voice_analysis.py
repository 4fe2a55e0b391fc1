"""POST /v1/voice/analyze: age, gender or emotion of a voice, with the fields of LocalAI."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.routes.answering import answer
from sonant.server.routes.calls import AdmittedCall
from sonant.server.routes.parameters import as_list
from sonant.server.routes.voice_answers import VoiceAnswer, answered
from sonant.server.routes.voices import VoiceCall, VoiceParameters, about_one_recording

router = APIRouter(prefix="/voice", tags=["Voices"])


class AnalyzeParameters(VoiceParameters):
    """The parameters besides the recording."""

    actions: Annotated[list[Literal["age", "gender", "emotion"]] | None, BeforeValidator(as_list)] = Field(
        None, max_length=3, description="What to return; without it, all that the model has a head for."
    )


class AnalyzeCall(VoiceCall):
    """A request for age, gender or emotion, by a head for whole recordings."""

    ability = "classification"
    kind = AnalyzeParameters
    given: AnalyzeParameters

    async def perform(self, job: AdmittedCall) -> Response:
        (scores,) = await job.model.classify(job.waveforms, share=job.share)
        found = analysis(scores)
        asked = self.given.actions or ("age", "gender", "emotion")
        wanted = {name for action in asked for name in (action, f"dominant_{action}")}
        segment = {
            "start": 0.0,
            "end": round(job.usage.seconds, 3),
            **{name: value for name, value in found.items() if name in wanted},
            "scores": scores,
        }
        return answered(job, segments=[segment])


# Labels of published heads of emotions, in lower case.
EMOTIONS = frozenset(
    (
        "ang anger angry bored boredom calm contempt disgust disgusted fear fearful hap happiness happy joy neu "
        "neutral other sad sadness surprise surprised"
    ).split()
)


def analysis(scores: dict[str, float]) -> dict[str, Any]:
    """Return the scores of a head as age and gender, or as emotion; nothing for a head of anything else."""
    if "age_years" in scores:
        gender = {label: score for label, score in scores.items() if label != "age_years"}
        return {"age": scores["age_years"], "gender": gender, "dominant_gender": max(gender, key=gender.__getitem__)}
    if all(label.lower() in EMOTIONS for label in scores):
        return {"emotion": scores, "dominant_emotion": max(scores, key=scores.__getitem__)}
    return {}


class AnalyzedSegment(BaseModel):
    start: float
    end: float
    age: float | None = None
    gender: dict[str, float] | None = None
    dominant_gender: str | None = None
    emotion: dict[str, float] | None = None
    dominant_emotion: str | None = None
    scores: dict[str, float] = Field(description="All that the head gives, by its own labels.")


class VoiceAnalysis(VoiceAnswer):
    segments: list[AnalyzedSegment]


@router.post("/analyze", summary="Age, gender or emotion", **about_one_recording(AnalyzeParameters, VoiceAnalysis))
async def analyze_voice(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """Estimates by a model with a head for whole recordings. They must not decide about people."""
    return await answer(request, caller, AnalyzeCall)
