"""The pages of an administrator: models, usage, the audit log; users are in admin_users.py."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from sonant.models.abilities import Ability
from sonant.server.accounts.audit import AuditEntry
from sonant.server.accounts.usage import UsageTotals
from sonant.server.authentication import client_address
from sonant.server.errors import ApiError
from sonant.server.hosting.pool import Slot
from sonant.server.hosting.served_model import State
from sonant.server.services import Services, services_of
from sonant.server.web import admin_users
from sonant.server.web.account_usage import usage_response
from sonant.server.web.administrator import administrator
from sonant.server.web.fields import Fields, fields, required
from sonant.server.web.pages import RowId, prefers_json, render

router = APIRouter(include_in_schema=False)
router.include_router(admin_users.router)

PATIENCE_SECONDS = 2.0  # that a page waits for a model to load or unload, which continues in the background
LOG_LINES = 100  # entries of a page
_running: set[asyncio.Task[Any]] = set()  # asyncio keeps no references to tasks


@dataclass(frozen=True, kw_only=True)
class HostedModel:
    """A model in the settings of the server.

    Attributes:
        error: error message of loading.
        waiting_requests, queue_seconds: requests and seconds of audio in the queue.
        audio_seconds_per_second: recent throughput; None before the first request.
    """

    id: str
    state: State
    error: str | None
    abilities: tuple[Ability, ...] = ()
    waiting_requests: int = 0
    queue_seconds: float = 0.0
    audio_seconds_per_second: float | None = None

    @classmethod
    def of(cls, slot: Slot) -> "HostedModel":
        if slot.model is None:
            return cls(id=slot.id, state=slot.state, error=slot.error)
        stats = slot.model.stats
        return cls(
            id=slot.id,
            state=slot.state,
            error=slot.error,
            abilities=slot.model.abilities,
            waiting_requests=stats.waiting_requests,
            queue_seconds=stats.queue_seconds,
            audio_seconds_per_second=stats.audio_seconds_per_second,
        )


@dataclass(frozen=True, kw_only=True)
class ModelsPage:
    """The data of the page of models.

    Attributes:
        wanted: models that are not served, with their votes, most wanted first.
        totals: usage of all users and days.
        problem: error message of loading a model.
    """

    models: list[HostedModel]
    wanted: list[tuple[str, int]]
    totals: UsageTotals
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """The data of the page of the audit log.

    Attributes:
        entries: newest first.
        target: filter by target; None: all.
        first: address of the first page.
        next: address of the next page, of older entries; None on the last page.
        is_later: whether this is not the first page.
        days: for which entries are kept.
    """

    entries: list[AuditEntry]
    target: str | None
    first: str
    next: str | None
    is_later: bool
    days: float


@router.get("/admin", dependencies=[Depends(administrator)])
async def models(request: Request, services: Services = Depends(services_of)) -> Response:
    return await _models_page(request, services)


@router.post("/admin/models/load")
async def load(
    request: Request,
    given: Fields = Depends(fields),
    by: str = Depends(administrator),
    services: Services = Depends(services_of),
) -> Response:
    model = required(given, "model")
    await services.accounts.audit.record("model loaded", by=by, target=model, address=client_address(request))
    return await _changed(request, services, services.models.load(model))


@router.post("/admin/models/unload")
async def unload(
    request: Request,
    given: Fields = Depends(fields),
    by: str = Depends(administrator),
    services: Services = Depends(services_of),
) -> Response:
    model = required(given, "model")
    await services.accounts.audit.record("model unloaded", by=by, target=model, address=client_address(request))
    return await _changed(request, services, services.models.unload(model))


@router.get("/admin/usage", dependencies=[Depends(administrator)])
async def usage(
    request: Request,
    since: str = "",
    until: str = "",
    measure: str = "cost",
    services: Services = Depends(services_of),
) -> Response:
    return await usage_response(
        request, services, "admin/usage.html", user_id=None, days=(since, until), measure=measure
    )


@router.get("/admin/audit", dependencies=[Depends(administrator)])
async def audit(
    request: Request, before: RowId | None = None, target: str = "", services: Services = Depends(services_of)
) -> Response:
    found = await services.accounts.audit.entries(limit=LOG_LINES + 1, before=before, target=target or None)
    entries, more = found[:LOG_LINES], len(found) > LOG_LINES
    about = {"target": target} if target else {}
    page = AuditPage(
        entries=entries,
        target=target or None,
        first=f"/admin/audit?{urlencode(about)}",
        next=f"/admin/audit?{urlencode(about | {'before': entries[-1].id})}" if more else None,
        is_later=before is not None,
        days=services.settings.accounts.audit_days,
    )
    return render(request, "admin/audit.html", page)


async def _changed(request: Request, services: Services, work: Coroutine[Any, Any, Any]) -> Response:
    """Redirect to the models when the work is done or still running; show the page again if it has failed."""
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_ended)
    done, _ = await asyncio.wait([task], timeout=PATIENCE_SECONDS)
    error = task.exception() if done else None
    if isinstance(error, ApiError) and not prefers_json(request):
        return await _models_page(request, services, error)
    if error is not None:
        raise error
    return await _models_page(request, services) if prefers_json(request) else RedirectResponse("/admin", 303)


def _ended(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception of a finished task; failures are shown in the state of the model."""
    _running.discard(task)
    if not task.cancelled():
        task.exception()


async def _models_page(request: Request, services: Services, error: ApiError | None = None) -> Response:
    hosted = [HostedModel.of(slot) for slot in services.models.hosted()]
    live = {model.id for model in hosted if model.state == "live"}
    votes = await services.accounts.votes.counts()
    page = ModelsPage(
        models=hosted,
        wanted=sorted(((name, count) for name, count in votes.items() if name not in live), key=lambda each: -each[1]),
        totals=await services.accounts.usage.totals(),
        problem=error.message if error else None,
    )
    return render(request, "admin/models.html", page, error=error)
