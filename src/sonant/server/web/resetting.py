"""The pages on which a user who forgot the password asks for a link, and chooses a new one."""

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from sonant.server.authentication import client_address, refuse_cross_site, signed_in
from sonant.server.errors import ApiError
from sonant.server.services import Services, services_of
from sonant.server.web.pages import prefers_json, render

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class ForgottenPage:
    """The data of the page that asks for the e-mail address.

    Attributes:
        are_sent: whether links are sent.
        is_sent: whether one was just asked for.
        email: as entered before.
        problem: error message.
    """

    are_sent: bool
    is_sent: bool = False
    email: str = ""
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class ResetPage:
    """The data of the page that asks for the new password: the address and the token of the link, and a problem."""

    email: str
    token: str
    problem: str | None = None
    about: str | None = None


@router.get("/forgotten-password", dependencies=[Depends(signed_in)])
async def forgotten_form(request: Request, sent: str = "", services: Services = Depends(services_of)) -> Response:
    resets = services.accounts.password_resets
    return render(request, "account/forgotten.html", ForgottenPage(are_sent=resets.are_sent, is_sent=bool(sent)))


@router.post("/forgotten-password", dependencies=[Depends(refuse_cross_site), Depends(signed_in)])
async def forgotten(request: Request, email: str = Form(""), services: Services = Depends(services_of)) -> Response:
    """Send a link; the answer is the same whether the address has an account or not."""
    resets = services.accounts.password_resets
    try:
        if not resets.are_sent:
            raise ApiError(400, "no_mail", "This server sends no mail: ask its operator for a new password.")
        resets.ask(email, address=client_address(request))
    except ApiError as error:
        return _ask_again(request, services, error, email=email)
    if prefers_json(request):
        return render(request, "account/forgotten.html", ForgottenPage(are_sent=True, is_sent=True))
    return RedirectResponse("/forgotten-password?sent=1", 303)


@router.get("/reset-password", dependencies=[Depends(signed_in)])
async def reset_form(request: Request, token: str = Query(""), services: Services = Depends(services_of)) -> Response:
    resets = services.accounts.password_resets
    try:
        user = await resets.find(token)
    except ApiError as error:
        return _ask_again(request, services, error)
    return render(request, "account/reset.html", ResetPage(email=user.email, token=token))


@router.post("/reset-password", dependencies=[Depends(refuse_cross_site), Depends(signed_in)])
async def reset(
    request: Request, token: str = Form(""), new: str = Form(""), services: Services = Depends(services_of)
) -> Response:
    """Set the password, and sign in."""
    accounts, address = services.accounts, client_address(request)
    try:
        user = await accounts.password_resets.reset(token, new, address=address)
    except ApiError as error:
        if error.param != "password":
            return _ask_again(request, services, error)
        if prefers_json(request):
            raise
        user = await accounts.password_resets.find(token)
        page = ResetPage(email=user.email, token=token, problem=error.message, about="new")
        return render(request, "account/reset.html", page, error=error)
    here = await accounts.sessions.open(user.id, address=address)
    response = RedirectResponse("/account?done=password", 303)
    accounts.sessions.set_cookies(response, request, here)
    return response


def _ask_again(request: Request, services: Services, error: ApiError, *, email: str = "") -> Response:
    """Show the form that asks for a link, with the error; raise it for clients other than browsers."""
    if prefers_json(request):
        raise error
    page = ForgottenPage(are_sent=services.accounts.password_resets.are_sent, email=email, problem=error.message)
    return render(request, "account/forgotten.html", page, error=error)
