"""GET /v1/models and /v1/models/{id}: the models of this server, compatible with OpenAI, with additions for speech."""

from typing import Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from sonant.checkpoints.training_facts import TrainingFacts
from sonant.models.abilities import Ability
from sonant.models.published_results import Result
from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError
from sonant.server.hosting.recent_requests import RequestFigures
from sonant.server.hosting.served_model import State
from sonant.server.routes import documentation
from sonant.server.services import Services, services_of
from sonant.server.web.entries import Cost, Live, ModelEntry, ModelOrigin, Span, Specs, entries, entry
from sonant.server.web.measured import MeasuredLayers

router = APIRouter(tags=["Models"])

ERRORS = documentation.errors(400, 401, 403, 429, 500, 503)

MODEL_ID = {  # not a parameter of the function: FastAPI would document errors that cannot occur
    "name": "model_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "example": "sonant/wavlm-tiny",
}


class Model(BaseModel):
    """A model that this server was told to serve; see `state` for whether it answers."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When it was loaded, in unix seconds.")
    owned_by: str = Field(description="What stands before the slash of its id, or `local`.")
    title: str
    state: State
    abilities: tuple[Ability, ...] = Field(
        description="The endpoints that it answers. Empty for a model outside the catalog until it is loaded: see "
        "`state`."
    )
    specs: Specs | None
    origin: ModelOrigin | None = Field(description="Of models in the catalog: data, license, paper.")
    training: TrainingFacts | None = Field(
        description="Of models that sonant trained on labels: data, labels, measures."
    )
    results: tuple[Result, ...] = Field(description="That others have published.")
    measured: MeasuredLayers | None = Field(
        description="What `sonant analyze` measured of its layers: the values of each property by layer, from 0."
    )
    price: Cost
    recordings: Span = Field(description="How short and how long a recording may be.")
    live: Live | None = Field(description="How it does now.")
    recent: RequestFigures | None = Field(description="How its last requests went, a thousand at most.")


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/models", summary="The models of this server", responses=ERRORS)
async def list_models(request: Request, _: Caller = Depends(caller_with("models"))) -> Models:
    """The models that this server was told to serve.

    The catalog page, and its JSON form `/?format=json`, list all known models.
    """
    services = services_of(request)
    found = [each for each in await entries(services) if each.is_hosted]
    return Models(data=[_model(each, services) for each in found])


@router.get(
    "/models/{model_id:path}",
    summary="One model",
    responses={**documentation.errors(404), **ERRORS},
    openapi_extra={"parameters": [MODEL_ID]},
)
async def retrieve_model(request: Request, _: Caller = Depends(caller_with("models"))) -> Model:
    """The model of an id or an alias, in which slashes need no escaping."""
    services, model_id = services_of(request), request.path_params["model_id"]
    model_id = services.models.id_of(model_id)
    found = await entry(services, model_id)
    if not found.is_hosted:
        raise ApiError(
            404,
            "model_not_found",
            f"{model_id} is known, and not served here. GET /v1/models lists what is.",
            param="model",
        )
    return _model(found, services)


def _model(found: ModelEntry, services: Services) -> Model:
    owner, slash, _ = found.id.partition("/")
    return Model(
        id=found.id,
        created=found.created or int(services.started),
        owned_by=owner if slash else "local",
        title=found.title,
        state=found.state,
        abilities=found.abilities,
        specs=found.specs,
        origin=found.origin,
        training=found.training,
        results=found.results,
        measured=found.measured,
        price=found.price,
        recordings=found.recordings,
        live=found.live,
        recent=found.recent,
    )
