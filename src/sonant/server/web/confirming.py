"""The page on which a user confirms an e-mail address, by a link that was sent to it."""

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from sonant.server.accounts.sessions import Session
from sonant.server.authentication import client_address, refuse_cross_site, session_for_change, signed_in
from sonant.server.services import Services, services_of
from sonant.server.web.pages import render

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class ConfirmPage:
    """The data of the page: the address, and the token of the link."""

    email: str
    token: str


@router.get("/confirm", dependencies=[Depends(signed_in)])
async def show(request: Request, token: str = Query(""), services: Services = Depends(services_of)) -> Response:
    """Ask for a click: programs that look at mail open links too."""
    user = await services.accounts.confirmations.find(token)
    return render(request, "account/confirm.html", ConfirmPage(email=user.email, token=token))


@router.post("/confirm", dependencies=[Depends(refuse_cross_site)])
async def confirm(request: Request, token: str = Form(""), services: Services = Depends(services_of)) -> Response:
    credit = await services.accounts.confirmations.confirm(token, address=client_address(request))
    return RedirectResponse(f"/account?done={'credit' if credit else 'confirmed'}", 303)


@router.post("/account/confirmation")
async def ask_again(
    session: Session = Depends(session_for_change), services: Services = Depends(services_of)
) -> Response:
    """Send the link again."""
    accounts = services.accounts
    await accounts.confirmations.ask(await accounts.users.get(session.user_id))
    return RedirectResponse("/account?done=sent", 303)
