"""/v1/voice/people, rename, merge, forget and export: the enrolled people of an account."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.decoding.known_voices import person_data
from sonant.server.accounts.caller import Caller
from sonant.server.accounts.voices import EnrolledPerson, ExportedModel
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError
from sonant.server.routes import documentation
from sonant.server.routes.bodies import receive
from sonant.server.routes.enrollment import account_of
from sonant.server.routes.parameters import Fields, parameters
from sonant.server.routes.piecewise import PiecewiseResponse
from sonant.server.routes.voice_answers import PersonData, about
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


class ListedPerson(PersonData):
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


@router.get(
    "/people",
    summary="The enrolled people",
    response_class=Response,
    responses=documentation.success(People) | ERRORS,
)
async def list_people(request: Request, caller: Caller = Depends(caller_with("verification"))) -> Response:
    """The people of this account, by model, in the order of enrollment."""
    found = await services_of(request).accounts.voices.everyone(account_of(caller))
    return Response(await asyncio.to_thread(_listed, found), media_type="application/json")


def _listed(found: Sequence[EnrolledPerson]) -> bytes:
    return orjson.dumps({"object": "list", "data": [{"model": each.model, **about(each)} for each in found]})


@router.post(
    "/rename",
    summary="Rename a person",
    responses=documentation.success(PersonData) | CHANGES,
    openapi_extra=_body(RenameFields, {"id": "0a1b", "name": "Ada Lovelace"}),
)
async def rename_person(request: Request, caller: Caller = Depends(caller_with("verification"))) -> PersonData:
    """Give a person of this account another name, which no other person of the same model has."""
    services, user_id = services_of(request), account_of(caller)
    given = parameters(RenameFields, await receive(request, services.settings.limits), ())
    return PersonData(**about(await services.accounts.voices.rename(user_id, given.id, given.name)))


@router.post(
    "/merge",
    summary="Make one person of two",
    responses=documentation.success(PersonData) | CHANGES,
    openapi_extra=_body(MergeFields, {"id": "0a1b", "into": "2c3d"}),
)
async def merge_people(request: Request, caller: Caller = Depends(caller_with("verification"))) -> PersonData:
    """Move the recordings of a person to another, who was enrolled with the same model, and remove the first."""
    services, user_id = services_of(request), account_of(caller)
    given = parameters(MergeFields, await receive(request, services.settings.limits), ())
    return PersonData(**about(await services.accounts.voices.merge(user_id, given.id, given.into)))


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
    services, user_id = services_of(request), account_of(caller)
    size = await services.accounts.voices.num_bytes(user_id)
    request.state.share.take(size)
    pieces = _written(await services.accounts.voices.export(user_id))
    return PiecewiseResponse(pieces, held_bytes=size, send_seconds=services.settings.limits.send_seconds)


def _written(models: Sequence[ExportedModel]) -> Iterator[bytes]:
    """Write the answer of `export_people`, person by person."""
    yield b'{"object":"voice.export","models":['
    for number, each in enumerate(models):
        head = orjson.dumps({"model": each.model, "fingerprint": each.fingerprint})
        yield (b"," if number else b"") + head[:-1] + b',"people":['
        for place, person in enumerate(each.people):
            yield (b"," if place else b"") + orjson.dumps(person_data(person))
        yield b"]}"
    yield b"]}"
