"""The usage of an account, by day and model."""

from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Depends, Request, Response

from sonant.server.accounts.sessions import Session
from sonant.server.accounts.usage import UsageRow, UsageTotals
from sonant.server.authentication import require_session
from sonant.server.services import Services, services_of
from sonant.server.web.pages import render
from sonant.server.web.usage_report import MEASURES, Range, as_csv, chart, read_range

router = APIRouter()

SPANS = (7, 30, 90, 365)  # days of the quick choices


@dataclass(frozen=True, kw_only=True)
class UsagePage:
    """The data of the page of usage.

    Attributes:
        range: of days.
        rows: by day (newest first), model and endpoint.
        totals: over all days, not only the range.
    """

    range: Range
    rows: list[UsageRow]
    totals: UsageTotals


@router.get("/account/usage")
async def usage(
    request: Request,
    since: str = "",
    until: str = "",
    measure: str = "cost",
    session: Session = Depends(require_session),
    services: Services = Depends(services_of),
) -> Response:
    return await usage_response(
        request, services, "account/usage.html", user_id=session.user_id, days=(since, until), measure=measure
    )


async def usage_response(
    request: Request, services: Services, template: str, *, user_id: int | None, days: tuple[str, str], measure: str
) -> Response:
    """Return the usage of one user, or of all for None: as a page, JSON, or CSV with `?format=csv`."""
    span = read_range(*days)
    counts = services.accounts.usage
    rows = await counts.by_day(user_id=user_id, since=span.since, until=span.until)
    if request.query_params.get("format") == "csv":
        return as_csv(rows, span)
    page = UsagePage(range=span, rows=rows, totals=await counts.totals(user_id=user_id))
    spans = [(days, span.until - timedelta(days=days - 1)) for days in SPANS]
    drawn = chart(rows, span, measure)
    return render(request, template, page, chart=drawn, measure=measure, measures=MEASURES, spans=spans)
