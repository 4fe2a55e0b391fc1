"""The comparison page: models side by side, /compare?models=a,b."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from sonant.models.catalog import CATALOG
from sonant.models.published_results import higher_is_better
from sonant.models.side_by_side import Score, scores
from sonant.server.authentication import signed_in
from sonant.server.errors import ApiError
from sonant.server.services import Services, services_of
from sonant.server.web.about import TASKS
from sonant.server.web.entries import ModelEntry, entries, unknown_model
from sonant.server.web.pages import is_update, push_address, render
from sonant.server.web.standings import in_full

router = APIRouter(include_in_schema=False, dependencies=[Depends(signed_in)])

MOST = 6


@dataclass(frozen=True, kw_only=True)
class ComparedScore:
    """One number of a benchmark, for each of the models that has it.

    Attributes:
        values: by model, as text, with equal numbers of digits.
        best: ids of the models with the best value; empty where all are equal.
    """

    benchmark: str
    condition: str
    metric: str
    higher_is_better: bool
    values: dict[str, str]
    best: list[str]


@dataclass(frozen=True, kw_only=True)
class ComparisonPage:
    """The data of the comparison page."""

    models: list[ModelEntry]
    scores: list[ComparedScore]
    sources: list[str]


@router.get("/compare")
async def compare(request: Request, services: Services = Depends(services_of)) -> Response:
    given = request.query_params.getlist("models")
    wanted = list(dict.fromkeys(name for part in given for name in part.split(",") if name))
    if len(given) > 1:  # repeated, as sent by a form without JavaScript
        return RedirectResponse(address_of(wanted), 303)
    every = {entry.id: entry for entry in await entries(services)}
    if unknown := [name for name in wanted if name not in every]:
        raise unknown_model(unknown[0], param="models")
    if len(wanted) > MOST:
        raise ApiError(400, "too_many_models", f"{len(wanted)} models do not fit beside each other; at most {MOST} do.")
    models = [every[name] for name in wanted]
    page = ComparisonPage(
        models=models,
        scores=compared([model.id for model in models]),
        sources=list(dict.fromkeys(result.source for model in models for result in model.results)),
    )
    is_part = is_update(request, "comparison")
    response = render(
        request,
        "comparison_table.html" if is_part else "comparison.html",
        page,
        title="Compare models",
        tasks=TASKS,
        in_full=in_full,
        groups=[(name, list(group)) for name, group in groupby(page.scores, lambda score: score.benchmark)],
        others=[entry for name, entry in every.items() if name not in wanted] if len(wanted) < MOST else [],
        without={name: address_of([other for other in wanted if other != name]) for name in wanted},
        is_update=is_part,
    )
    if is_part:
        push_address(request, response, address_of(wanted))
    return response


def address_of(names: Sequence[str]) -> str:
    """Return the address of the comparison of these models."""
    return f"/compare?models={quote(','.join(names), safe='/,')}" if names else "/compare"


def compared(names: Sequence[str]) -> list[ComparedScore]:
    """Collect all published results of the models, and mark the best."""
    return [_compared(score) for score in scores([CATALOG[name] for name in names if name in CATALOG])]


def _compared(score: Score) -> ComparedScore:
    return ComparedScore(
        benchmark=score.benchmark,
        condition=score.condition,
        metric=score.metric,
        higher_is_better=higher_is_better(score.metric),
        values={name: f"{value:.{score.digits}f}" for name, value in score.values.items()},
        best=[name for name, value in score.values.items() if value == score.best],
    )
