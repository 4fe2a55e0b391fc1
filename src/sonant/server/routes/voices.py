"""POST /v1/voice/embed, verify, register, identify and analyze, with the fields of LocalAI and additions.

Distances are one minus the cosine, and so are thresholds.
"""

from datetime import UTC, datetime
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from sonant.decoding.known_voices import Identification, KnownVoices, Person, VoiceMatch
from sonant.decoding.voice_calibration import compare
from sonant.decoding.within_class import unit_vectors
from sonant.errors import AudioError
from sonant.extraction.voice_samples import VoiceSample
from sonant.models.abilities import Ability
from sonant.server.accounts.caller import Caller
from sonant.server.accounts.voices import EnrolledVoices, VoiceOwner
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError, api_error
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, ApiCall
from sonant.server.routes.finite_json import finite_json
from sonant.server.routes.inputs import one_recording
from sonant.server.routes.parameters import ChannelNumber, Parameters, as_list, parameters
from sonant.server.services import services_of
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


class IdentifyParameters(MatchParameters):
    """The parameters besides the recording."""

    top_k: Annotated[int, Field(ge=1, le=100)] = Field(5, description="The largest number of matches to return.")


class RegisterParameters(VoiceParameters):
    """The parameters besides the recording."""

    name: str = Field(
        min_length=1, max_length=100, description="Of the person; a further recording of a known name is added to it."
    )


class AnalyzeParameters(VoiceParameters):
    """The parameters besides the recording."""

    actions: Annotated[list[Literal["age", "gender", "emotion"]] | None, BeforeValidator(as_list)] = Field(
        None, max_length=3, description="What to return; without it, all that the model has a head for."
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
        return _answer(
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
        limit = _cosine(self.given.threshold)
        found = compare(one.vector, other.vector, calibration, threshold=limit)
        return _answer(
            job,
            verified=found.same,
            distance=_distance(found.score),
            threshold=_distance(found.threshold),
            **_probability(found.probability),
            basis=found.basis,
            processing_time_ms=round(1000 * (perf_counter() - start), 1),
        )


class EnrollmentCall(VoiceCall):
    """A request that reads or writes the people of an account."""

    def __init__(self, body: RequestBody, limits: Limits, voices: EnrolledVoices, user_id: int) -> None:
        super().__init__(body, limits)
        self.voices, self.user_id = voices, user_id

    async def owner(self, model: ServedModel) -> VoiceOwner:
        """Return the account and model that the people belong to."""
        fingerprint, _ = await model.voices()
        return VoiceOwner(self.user_id, model.id, fingerprint)


class RegisterCall(EnrollmentCall):
    """A request to enroll a recording of a person."""

    kind = RegisterParameters
    given: RegisterParameters

    async def perform(self, job: AdmittedCall) -> Response:
        (sample,) = await self.samples(job)
        _, calibration = await job.model.voices()
        try:
            sample.check_enrollment(calibration)
        except AudioError as error:
            raise api_error(error, param=self.recordings[0].param) from error
        person = await self.voices.add(await self.owner(job.model), self.given.name, sample)
        seconds = round(sample.speech_seconds, 2)
        return _answer(job, **about(person), recording=person.recordings[-1].id, speech_seconds=seconds)


class IdentifyCall(EnrollmentCall):
    """A request to identify a voice among the enrolled people."""

    kind = IdentifyParameters
    given: IdentifyParameters

    async def perform(self, job: AdmittedCall) -> Response:
        people = await self.voices.of(await self.owner(job.model))
        (sample,) = await self.samples(job)
        _, calibration = await job.model.voices()
        found = KnownVoices(people, calibration).identify(
            sample.vector, threshold=_cosine(self.given.threshold), top=self.given.top_k
        )
        return _answer(
            job,
            matches=[_match(match, found) for match in found.matches],
            id=None if found.person is None else found.person.id,
            name=found.name,
            threshold=_distance(found.threshold),
            basis=found.basis,
            speech_seconds=round(sample.speech_seconds, 2),
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
        return _answer(job, segments=[segment])


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


def about(person: Person) -> dict[str, Any]:
    """Return a person as answers show it, without vectors."""
    first = person.recordings[0].created
    return {
        "id": person.id,
        "name": person.name,
        "registered_at": datetime.fromtimestamp(first, UTC).isoformat().replace("+00:00", "Z"),
        "recordings": len(person.recordings),
    }


def account_of(caller: Caller) -> int:
    """Return the account of a caller. Raises ApiError 403: an anonymous caller, who has none."""
    if caller.user_id is None:
        raise ApiError(403, "account_needed", "People are enrolled in an account: send an API key, or sign in.")
    return caller.user_id


def _match(match: VoiceMatch, found: Identification) -> dict[str, Any]:
    return {
        "id": match.id,
        "name": match.name,
        "distance": _distance(match.score),
        **_probability(match.probability),
        "match": None if found.threshold is None else match.score >= found.threshold,
    }


def _probability(probability: float | None) -> dict[str, float | None]:
    """Return a probability and, as LocalAI has it, the percentage."""
    known = None if probability is None else round(probability, 6)
    return {"confidence": None if known is None else round(100 * known, 4), "probability": known}


def _distance(cosine: float | None) -> float | None:
    return None if cosine is None else round(1 - cosine, 6)


def _cosine(distance: float | None) -> float | None:
    return None if distance is None else 1 - distance


def _answer(job: AdmittedCall, **content: Any) -> Response:
    data = {**content, "model": job.model.id, "usage": job.usage.in_seconds()}
    return Response(finite_json(data), media_type="application/json")


class VoiceAnswer(BaseModel):
    """The end of every answer."""

    model: str
    usage: documentation.UsedSeconds


class VoiceEmbedding(VoiceAnswer):
    embedding: list[float] = Field(description="Of length one.")
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


class EnrolledPerson(BaseModel):
    id: str
    name: str
    registered_at: str = Field(description="Time of the first recording, UTC.")
    recordings: int


class Registration(EnrolledPerson, VoiceAnswer):
    recording: str = Field(description="The id of this recording, by which it alone can be forgotten.")
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


def _documented(kind: type[VoiceParameters], answered: type[BaseModel], **example: Any) -> dict[str, Any]:
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


@router.post("/embed", summary="Speaker embedding", **_documented(VoiceParameters, VoiceEmbedding))
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


@router.post("/register", summary="Enroll a voice", **_documented(RegisterParameters, Registration, name="Ada"))
async def register_voice(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """Add a recording to a person of this account; no audio is kept.

    Refused are recordings with less than 2 s of speech (`too_little_speech`), silent ones (`no_speech`) and, where the
    model is calibrated, those of several voices (`several_voices`). What was answered is kept, whatever happens to the
    server.
    """
    voices, user_id = services_of(request).accounts.voices, account_of(caller)
    return await answer(request, caller, lambda body, limits: RegisterCall(body, limits, voices, user_id))


@router.post("/identify", summary="Whose voice it is", **_documented(IdentifyParameters, VoiceIdentification))
async def identify_voice(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """The most similar people of this account, and the one whose voice it is, or null for an unknown voice."""
    voices, user_id = services_of(request).accounts.voices, account_of(caller)
    return await answer(request, caller, lambda body, limits: IdentifyCall(body, limits, voices, user_id))


@router.post("/analyze", summary="Age, gender or emotion", **_documented(AnalyzeParameters, VoiceAnalysis))
async def analyze_voice(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """Estimates by a model with a head for whole recordings. They must not decide about people."""
    return await answer(request, caller, AnalyzeCall)
