"""Votes for models that are not served."""

from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from sonant.server.accounts.sessions import Session
from sonant.server.authentication import session_for_change, signed_in
from sonant.server.errors import ApiError
from sonant.server.services import Services, services_of
from sonant.server.web.entries import ModelEntry, entry
from sonant.server.web.pages import local_path, path_here, prefers_json, render

router = APIRouter(include_in_schema=False, dependencies=[Depends(signed_in)])


@dataclass(frozen=True, kw_only=True)
class Vote:
    """The number of votes for a model, and whether the visitor has voted."""

    model: str
    votes: int
    is_yours: bool


async def wishes_of(request: Request, services: Services) -> set[str]:
    """Return the models that the visitor has voted for."""
    session: Session | None = request.state.session
    return await services.accounts.votes.of(session.user_id) if session else set()


@router.post("/votes")
async def vote(
    request: Request,
    want: str = Form(""),
    unwant: str = Form(""),
    session: Session = Depends(session_for_change),
    services: Services = Depends(services_of),
) -> Response:
    """Vote for a model (`want`), or take the vote back (`unwant`)."""
    model = await entry(services, want or unwant)
    if want:
        _check_wanted(model)
        await services.accounts.votes.cast(session.user_id, model.id)
    else:
        await services.accounts.votes.withdraw(session.user_id, model.id)
    if "hx-request" not in request.headers and not prefers_json(request):
        came_from = path_here(request, request.headers.get("referer", ""))
        return RedirectResponse(local_path(came_from or "", f"/models/{quote(model.id)}"), 303)
    counts = await services.accounts.votes.counts()
    data = Vote(model=model.id, votes=counts.get(model.id, 0), is_yours=bool(want))
    return render(request, "vote.html", data, model=model)


def _check_wanted(model: ModelEntry) -> None:
    if not model.is_wanted:
        raise ApiError(400, "already_served", f"{model.id} is served here: there is nothing to wish for.", param="want")
