"""Answers of /v1/voice, with the fields of LocalAI and additions; distances are one minus the cosine."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field

from sonant.decoding.known_voices import Identification, VoiceMatch
from sonant.server.accounts.voices import EnrolledPerson
from sonant.server.routes import documentation
from sonant.server.routes.calls import AdmittedCall
from sonant.server.routes.finite_json import finite_json


def answered(job: AdmittedCall, **content: Any) -> Response:
    """Make the response of a call."""
    data = {**content, "model": job.model.id, "usage": job.usage.in_seconds()}
    return Response(finite_json(data), media_type="application/json")


def about(person: EnrolledPerson) -> dict[str, Any]:
    """Return a person as answers show it, without vectors."""
    return {
        "id": person.id,
        "name": person.name,
        "registered_at": datetime.fromtimestamp(person.created, UTC).isoformat().replace("+00:00", "Z"),
        "recordings": person.recordings,
    }


def match_data(match: VoiceMatch, found: Identification) -> dict[str, Any]:
    return {
        "id": match.id,
        "name": match.name,
        "distance": distance_of(match.score),
        **probability_data(match.probability),
        "match": None if found.threshold is None else match.score >= found.threshold,
    }


def probability_data(probability: float | None) -> dict[str, float | None]:
    """Return a probability and, as LocalAI has it, the percentage."""
    known = None if probability is None else round(probability, 6)
    return {"confidence": None if known is None else round(100 * known, 4), "probability": known}


def distance_of(cosine: float | None) -> float | None:
    return None if cosine is None else round(1 - cosine, 6)


def cosine_of(distance: float | None) -> float | None:
    return None if distance is None else 1 - distance


class VoiceAnswer(BaseModel):
    """The end of every answer."""

    model: str
    usage: documentation.UsedSeconds


class VoiceEmbedding(VoiceAnswer):
    embedding: list[float] = Field(
        description="Of length one; `verify` and `identify` normalize it by the calibration before they compare."
    )
    dim: int
    speech_seconds: float


class VoiceVerification(VoiceAnswer):
    verified: bool | None = Field(description="Null where no threshold is known.")
    distance: float
    threshold: float | None
    confidence: float | None = Field(description="The probability in percent.")
    probability: float | None = Field(
        description="That it is one voice, if that was as likely as not before; null without a calibration."
    )
    basis: str = Field(description="The data that the threshold was set on.")
    processing_time_ms: float


class PersonData(BaseModel):
    id: str
    name: str
    registered_at: str = Field(description="Time of the first recording, UTC.")
    recordings: int


class Registration(PersonData, VoiceAnswer):
    recording: str = Field(description="The id of this recording, by which it alone can be forgotten.")
    added: bool = Field(description="False: this recording of the person was enrolled before, and counts once.")
    speech_seconds: float


class PersonMatch(BaseModel):
    id: str
    name: str
    distance: float = Field(description="From the mean direction of the person's vectors.")
    confidence: float | None
    probability: float | None
    match: bool | None


class VoiceIdentification(VoiceAnswer):
    matches: list[PersonMatch]
    id: str | None
    name: str | None = Field(description="The accepted match; null: an unknown voice, or no threshold is known.")
    threshold: float | None = Field(description="For as many people as are enrolled.")
    basis: str
    speech_seconds: float
