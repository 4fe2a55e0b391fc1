"""The catalog page: all models, their state, and a search whose parameters are in the address."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from sonant.server.authentication import signed_in
from sonant.server.services import Services, services_of
from sonant.server.web.code_samples import samples
from sonant.server.web.entries import ModelEntry, entries
from sonant.server.web.filters import FILTERS, ORDERS, CatalogSearch, licenses
from sonant.server.web.pages import is_update, push_address, render
from sonant.server.web.votes import wishes_of

router = APIRouter(include_in_schema=False, dependencies=[Depends(signed_in)])


@dataclass(frozen=True, kw_only=True)
class CatalogPage:
    """The data of the catalog page.

    Attributes:
        total: number of models in the catalog.
        live: number of loaded models.
        found: number of models found.
        query: the search, as in the address.
        models: all models found, in the requested order; the page itself shows the first of them.
    """

    total: int
    live: int
    found: int
    query: str
    models: list[ModelEntry]


@router.get("/")
async def catalog(request: Request, services: Services = Depends(services_of)) -> Response:
    search = CatalogSearch.read(request.query_params)
    every = await entries(services)
    models = search.of(every)
    page = CatalogPage(
        total=len(every),
        live=sum(entry.state == "live" for entry in every),
        found=len(models),
        query=search.query,
        models=models,
    )
    context: dict[str, Any] = {
        "search": search,
        "shown": search.shown(models),
        "voted": await wishes_of(request, services),
        "licenses": licenses,
    }
    if is_update(request, "models"):
        response = render(request, "catalog_list.html", page, is_update=True, **context)
        push_address(request, response, search.address)
        return response
    counts = {
        f"{each.name}={choice.value}": sum(map(choice.fits, every)) for each in FILTERS for choice in each.choices
    }
    first_live = next((entry for entry in every if entry.state == "live"), None)
    return render(
        request,
        "catalog.html",
        page,
        is_update=False,
        filters=FILTERS,
        orders=ORDERS,
        counts=counts,
        first_live=first_live,
        example=samples(first_live, str(request.base_url).rstrip("/"))[0] if first_live else None,
        **context,
    )
