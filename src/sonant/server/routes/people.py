"""/v1/voice/people, rename, merge, forget and export: the enrolled people of an account."""

import asyncio
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError
from sonant.server.routes import documentation
from sonant.server.routes.bodies import receive
from sonant.server.routes.parameters import Fields, parameters
from sonant.server.routes.voices import EnrolledPerson, about, account_of
from sonant.server.services import services_of

router = APIRouter(prefix="/voice", tags=["Voices"])

ID = Field(min_length=1, max_length=64, description="Of a person, as `register` and `people` give it.")


class RenameFields(Fields):
    id: str = ID
    name: str = Field(min_length=1, max_length=100)


class MergeFields(Fields):
    id: str = ID
    into: str = Field(min_length=1, max_length=64, description="The id of the person who gets the recordings.")


class ForgetFields(Fields):
    id: str | None = Field(None, min_length=1, max_length=64, description="Of a person.")
    recording: str | None = Field(
        None, min_length=1, max_length=64, description="Of a recording, as `register` and `export` give it."
    )
    everyone: bool = Field(False, description="Forget all people of this account.")
    model: str | None = Field(None, max_length=500, description="Taken as LocalAI's clients send it, and not used.")


class ListedPerson(EnrolledPerson):
    model: str


class People(BaseModel):
    object: Literal["list"] = "list"
    data: list[ListedPerson]


class ExportedVoices(BaseModel):
    object: Literal["voice.export"] = "voice.export"
    models: list[dict[str, Any]] = Field(description="Per model: its fingerprint, and people with their recordings.")


ERRORS = documentation.errors(401, 403, 429, 500, 503)
CHANGES = documentation.errors(400, 401, 403, 404, 409, 413, 429, 500, 503)


def _body(kind: type[Fields], example: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": documentation.inlined(kind), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


@router.get("/people", summary="The enrolled people", responses=ERRORS)
async def list_people(request: Request, caller: Caller = Depends(caller_with("verification"))) -> People:
    """The people of this account, by model, in the order of enrollment."""
    user_id = account_of(caller)
    return People(
        data=[
            ListedPerson(model=model, **about(person))
            for model, person in await services_of(request).accounts.voices.everyone(user_id)
        ]
    )


@router.post(
    "/rename",
    summary="Rename a person",
    responses=documentation.success(EnrolledPerson) | CHANGES,
    openapi_extra=_body(RenameFields, {"id": "0a1b", "name": "Ada Lovelace"}),
)
async def rename_person(request: Request, caller: Caller = Depends(caller_with("verification"))) -> EnrolledPerson:
    """Give a person of this account another name, which no other person of the same model has."""
    services, user_id = services_of(request), account_of(caller)
    given = parameters(RenameFields, await receive(request, services.settings.limits), ())
    return EnrolledPerson(**about(await services.accounts.voices.rename(user_id, given.id, given.name)))


@router.post(
    "/merge",
    summary="Make one person of two",
    responses=documentation.success(EnrolledPerson) | CHANGES,
    openapi_extra=_body(MergeFields, {"id": "0a1b", "into": "2c3d"}),
)
async def merge_people(request: Request, caller: Caller = Depends(caller_with("verification"))) -> EnrolledPerson:
    """Move the recordings of a person to another, who was enrolled with the same model, and remove the first."""
    services, user_id = services_of(request), account_of(caller)
    given = parameters(MergeFields, await receive(request, services.settings.limits), ())
    return EnrolledPerson(**about(await services.accounts.voices.merge(user_id, given.id, given.into)))


@router.post(
    "/forget",
    summary="Forget a person",
    status_code=204,
    responses=CHANGES,
    openapi_extra=_body(ForgetFields, {"id": "0a1b"}),
)
async def forget_person(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """Delete a person with all recordings, a single recording (and a person with the last one), or everyone."""
    services, user_id = services_of(request), account_of(caller)
    given = parameters(ForgetFields, await receive(request, services.settings.limits), ())
    if (given.id is not None) + (given.recording is not None) + given.everyone != 1:
        message = "Expected one of these: the id of a person, the id of a recording as recording, or everyone=true."
        raise ApiError(400, "missing_parameter", message, param="id")
    if given.id is not None:
        await services.accounts.voices.forget(user_id, given.id)
    elif given.recording is not None:
        await services.accounts.voices.forget_recording(user_id, given.recording)
    else:
        await services.accounts.voices.forget_everyone(user_id)
    return Response(status_code=204)


@router.get(
    "/export",
    summary="All that is stored about people",
    response_class=Response,
    responses=documentation.success(ExportedVoices) | ERRORS,
)
async def export_people(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """Names, times and speaker embeddings of all people of this account, as JSON."""
    models = await services_of(request).accounts.voices.export(account_of(caller))
    content = await asyncio.to_thread(orjson.dumps, {"object": "voice.export", "models": models})
    return Response(content, media_type="application/json")
