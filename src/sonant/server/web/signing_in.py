"""Sign-up, sign-in and sign-out: forms that work without JavaScript."""

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from sonant.server.accounts.sessions import NewSession, Session
from sonant.server.authentication import client_address, refuse_cross_site, session_for_change, signed_in
from sonant.server.errors import ApiError
from sonant.server.services import Services, services_of
from sonant.server.web.pages import local_path, prefers_json, render

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class SignPage:
    """The data of the forms.

    Attributes:
        next: the address to redirect to afterwards.
        email: as entered before.
        problem: error message.
        about: the field of the problem.
        free_credit: of a new account, as a decimal number.
        sign_up: whether visitors may create accounts.
        confirms: whether a link is sent to the address.
    """

    next: str
    email: str
    problem: str | None
    about: str | None
    free_credit: str
    sign_up: bool
    confirms: bool


@router.get("/sign-up")
async def sign_up_form(
    request: Request, onward: str = Query("/account", alias="next"), session: Session | None = Depends(signed_in)
) -> Response:
    if session is not None:
        return RedirectResponse(local_path(onward), 303)
    return _form(request, "account/sign_up.html", onward)


@router.get("/sign-in")
async def sign_in_form(
    request: Request, onward: str = Query("/account", alias="next"), session: Session | None = Depends(signed_in)
) -> Response:
    if session is not None:
        return RedirectResponse(local_path(onward), 303)
    return _form(request, "account/sign_in.html", onward)


@router.post("/sign-up", dependencies=[Depends(refuse_cross_site)])
async def sign_up(
    request: Request,
    email: str = Form(""),
    password: str = Form(""),
    onward: str = Form("/account", alias="next"),
    services: Services = Depends(services_of),
) -> Response:
    address = client_address(request)
    try:
        user = await services.accounts.users.sign_up(email, password, address=address)
        await services.accounts.confirmations.ask(user)
    except ApiError as error:
        return _again(request, "account/sign_up.html", onward, email, error)
    new = await services.accounts.sessions.open(user.id, address=address)
    return _welcome(request, services, new, onward)


@router.post("/sign-in", dependencies=[Depends(refuse_cross_site)])
async def sign_in(
    request: Request,
    email: str = Form(""),
    password: str = Form(""),
    key: str = Form(""),
    onward: str = Form("/account", alias="next"),
    services: Services = Depends(services_of),
) -> Response:
    """Sign in by e-mail address and password, or by the key of an administrator."""
    sessions, address = services.accounts.sessions, client_address(request)
    try:
        if key:
            new = await sessions.sign_in_with_key(key.strip(), address=address)
        else:
            new = await sessions.sign_in(email, password, address=address, device=sessions.device_of(request))
    except ApiError as error:
        return _again(request, "account/sign_in.html", onward, email, error)
    return _welcome(request, services, new, onward)


@router.post("/sign-out", dependencies=[Depends(session_for_change)])
async def sign_out(request: Request, services: Services = Depends(services_of)) -> Response:
    sessions = services.accounts.sessions
    token = sessions.token_of(request)
    if token:
        await sessions.sign_out(token)
    response = RedirectResponse("/", 303)
    sessions.clear_cookie(response)
    return response


def _welcome(request: Request, services: Services, new: NewSession, onward: str) -> Response:
    response = RedirectResponse(local_path(onward, "/account"), 303)
    services.accounts.sessions.set_cookies(response, request, new)
    return response


def _again(request: Request, template: str, onward: str, email: str, error: ApiError) -> Response:
    """Show the form again with the error; raise it for clients other than browsers."""
    if prefers_json(request):
        raise error
    return _form(request, template, onward, email, error)


def _form(request: Request, template: str, onward: str, email: str = "", error: ApiError | None = None) -> Response:
    rules = services_of(request).settings.accounts
    page = SignPage(
        next=local_path(onward, "/account"),
        email=email,
        problem=error.message if error else None,
        about=error.param if error else None,
        free_credit=f"{rules.free_credit:f}",
        sign_up=rules.sign_up,
        confirms=services_of(request).accounts.confirmations.are_required,
    )
    return render(request, template, page, error=error)
