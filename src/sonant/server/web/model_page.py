"""The page of a model: description, abilities, price, code samples."""

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from sonant.server.authentication import signed_in
from sonant.server.services import Services, services_of
from sonant.server.web.about import TASKS, Question, about, questions
from sonant.server.web.code_samples import TITLES, TOOLS, Sample, samples
from sonant.server.web.entries import ModelEntry, entries, entry
from sonant.server.web.measured import layer_charts
from sonant.server.web.pages import render
from sonant.server.web.related import Related, related
from sonant.server.web.standings import BenchmarkTable, in_full, tables
from sonant.server.web.votes import wishes_of

router = APIRouter(include_in_schema=False, dependencies=[Depends(signed_in)])


@dataclass(frozen=True, kw_only=True)
class ModelPage:
    """The data of the page of a model."""

    model: ModelEntry
    about: list[str]
    benchmarks: list[BenchmarkTable]
    code: list[Sample]
    questions: list[Question]
    related: list[Related]


@router.get("/models/{model_id:path}")
async def model_page(request: Request, model_id: str, services: Services = Depends(services_of)) -> Response:
    model = await entry(services, model_id)
    if model.id != model_id:  # a short name
        return RedirectResponse(f"/models/{model.id}", 307)
    page = ModelPage(
        model=model,
        about=about(model),
        benchmarks=tables(model.results),
        code=samples(model, str(request.base_url).rstrip("/")),
        questions=questions(model),
        related=related(model, await entries(services)),
    )
    return render(
        request,
        "model.html",
        page,
        title=model.title,
        voted=await wishes_of(request, services),
        tasks=TASKS,
        code_titles=TITLES,
        tools=TOOLS,
        in_full=in_full,
        charts=layer_charts(model.measured),
    )
