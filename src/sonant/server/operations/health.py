"""Routes for operators: health, readiness, information, metrics."""

from dataclasses import asdict
from time import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from sonant import __version__
from sonant.server.authentication import caller_with
from sonant.server.networks import is_loopback
from sonant.server.operations.proxies import FORWARDED
from sonant.server.services import Services, services_of

router = APIRouter(tags=["operations"])


class Alive(BaseModel):
    """The response of a live process."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The readiness of the server.

    Attributes:
        models: whether all models are loaded.
        database: whether the database takes writes.
        room: whether a request of a new sender would be taken: neither slots nor memory are used up.
        draining: whether the server is stopping.
    """

    ready: bool
    models: bool
    database: bool
    room: bool
    draining: bool


class ModelLoad(BaseModel):
    """A loaded model.

    Attributes:
        queue: waiting seconds of audio and requests, and throughput in seconds of audio a second.
    """

    id: str
    abilities: list[str]
    dim: int
    num_layers: int
    frame_rate: float
    sampling_rate: int
    device: str
    queue: dict[str, Any]


class Info(BaseModel):
    """Facts about the server."""

    name: Literal["sonant"] = "sonant"
    version: str
    uptime_seconds: float
    models: list[ModelLoad]
    limits: dict[str, int | float]
    running_requests: int


Parts = Annotated[Services, Depends(services_of)]


@router.get("/health", summary="Is the process alive?")
async def health() -> Alive:
    """200 for as long as the process answers at all: restart it when it does not."""
    return Alive()


@router.get("/ready", summary="Does the server take work?", responses={503: {"model": Ready}})
async def ready(services: Parts, response: Response) -> Ready:
    """200 once every model is loaded and the database takes writes; 503 otherwise, while there is no room for a request
    of a new sender, and while the server stops.
    """
    database, models = await services.accounts.is_writable(), services.models.is_ready
    room, draining = services.workload.has_room, services.draining
    is_ready = models and database and room and not draining
    told = Ready(ready=is_ready, models=models, database=database, room=room, draining=draining)
    if not told.ready:
        response.status_code = 503
    return told


@router.get("/info", summary="What runs here?")
async def info(services: Parts) -> Info:
    """Version, models with their sizes and queues, and the limits of a request."""
    return Info(
        version=__version__,
        uptime_seconds=round(time() - services.started, 1),
        models=[
            ModelLoad(
                id=model.id,
                abilities=sorted(model.abilities),
                dim=model.dim,
                num_layers=model.num_layers,
                frame_rate=model.frame_rate,
                sampling_rate=model.sampling_rate,
                device=model.device,
                queue=asdict(model.stats),
            )
            for model in services.models.served()
        ],
        limits=asdict(services.settings.limits),
        running_requests=services.workload.num_running,
    )


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def metrics(request: Request, services: Parts) -> Response:
    """Prometheus' text format. For this machine itself, and for keys with the scope `admin`; or for all, if set so."""
    if not services.settings.open_metrics and not is_local(request):
        await caller_with("admin")(request)
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def is_local(request: Request) -> bool:
    """Return whether the request comes from this machine, and not through a proxy on it."""
    loopback = request.client is not None and is_loopback(request.client.host)
    return loopback and not any(name.decode() in request.headers for name in (*FORWARDED, b"via"))
