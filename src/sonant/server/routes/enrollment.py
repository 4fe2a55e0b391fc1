"""POST /v1/voice/register and identify: people are enrolled in an account, and recognized."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from sonant.decoding.known_voices import KnownVoices
from sonant.errors import AudioError
from sonant.server.accounts.caller import Caller
from sonant.server.accounts.voices import EnrolledVoices, VoiceOwner
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError, api_error
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall
from sonant.server.routes.voice_answers import (
    Registration,
    VoiceIdentification,
    about,
    answered,
    cosine_of,
    distance_of,
    match_data,
)
from sonant.server.routes.voices import MatchParameters, VoiceCall, VoiceParameters, about_one_recording
from sonant.server.services import services_of
from sonant.server.settings import Limits

router = APIRouter(prefix="/voice", tags=["Voices"])


class IdentifyParameters(MatchParameters):
    """The parameters besides the recording."""

    top_k: Annotated[int, Field(ge=1, le=100)] = Field(5, description="The largest number of matches to return.")


class RegisterParameters(VoiceParameters):
    """The parameters besides the recording."""

    name: str = Field(
        min_length=1, max_length=100, description="Of the person; a further recording of a known name is added to it."
    )


class EnrollmentCall(VoiceCall):
    """A request that reads or writes the people of an account."""

    def __init__(self, body: RequestBody, limits: Limits, voices: EnrolledVoices, user_id: int) -> None:
        super().__init__(body, limits)
        self.voices, self.user_id = voices, user_id


class RegisterCall(EnrollmentCall):
    """A request to enroll a recording of a person."""

    kind = RegisterParameters
    given: RegisterParameters

    async def perform(self, job: AdmittedCall) -> Response:
        (sample,) = await self.samples(job)
        fingerprint, calibration = await job.model.voices()
        owner = VoiceOwner(self.user_id, job.model.id, fingerprint)
        try:
            sample.check_enrollment(calibration)
            person, recording, added = await self.voices.add(owner, self.given.name, sample)
        except AudioError as error:
            raise api_error(error, param=self.recordings[0].param) from error
        seconds = round(sample.speech_seconds, 2)
        return answered(job, **about(person), recording=recording, added=added, speech_seconds=seconds)


class IdentifyCall(EnrollmentCall):
    """A request to identify a voice among the enrolled people."""

    kind = IdentifyParameters
    given: IdentifyParameters

    async def perform(self, job: AdmittedCall) -> Response:
        (sample,) = await self.samples(job)
        threshold, top = cosine_of(self.given.threshold), self.given.top_k
        async with known_voices(self.voices, self.user_id, job) as known:
            found = await asyncio.to_thread(known.identify, sample.vector, threshold=threshold, top=top)
        return answered(
            job,
            matches=[match_data(match, found) for match in found.matches],
            id=None if found.person is None else found.person.id,
            name=found.name,
            threshold=distance_of(found.threshold),
            basis=found.basis,
            speech_seconds=round(sample.speech_seconds, 2),
        )


@asynccontextmanager
async def known_voices(voices: EnrolledVoices, user_id: int, job: AdmittedCall) -> AsyncIterator[KnownVoices]:
    """Hold the people that an account has enrolled with the model of a call, and the memory for comparisons with them.

    Raises ApiError 409: the model has other weights now. 429: the sender has too much memory.
    """
    fingerprint, calibration = await job.model.voices()
    with job.memory.holding() as take:
        take(await voices.num_bytes(user_id, job.model.id))
        yield KnownVoices(await voices.of(VoiceOwner(user_id, job.model.id, fingerprint)), calibration)


def account_of(caller: Caller) -> int:
    """Return the account of a caller. Raises ApiError 403: an anonymous caller, who has none."""
    if caller.user_id is None:
        raise ApiError(403, "account_needed", "People are enrolled in an account: send an API key, or sign in.")
    return caller.user_id


@router.post("/register", summary="Enroll a voice", **about_one_recording(RegisterParameters, Registration, name="Ada"))
async def register_voice(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """Add a recording to a person of this account; no audio is kept.

    Refused are recordings with less than 2 s of speech (`too_little_speech`), silent ones (`no_speech`) and, where the
    model is calibrated, those of several voices (`several_voices`). The same recording counts once, and cannot be of
    two people (`recording_enrolled`). What was answered is kept, whatever happens to the server.
    """
    voices, user_id = services_of(request).accounts.voices, account_of(caller)
    return await answer(request, caller, lambda body, limits: RegisterCall(body, limits, voices, user_id))


@router.post("/identify", summary="Whose voice it is", **about_one_recording(IdentifyParameters, VoiceIdentification))
async def identify_voice(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """The most similar people of this account, and the one whose voice it is, or null for an unknown voice."""
    voices, user_id = services_of(request).accounts.voices, account_of(caller)
    return await answer(request, caller, lambda body, limits: IdentifyCall(body, limits, voices, user_id))
