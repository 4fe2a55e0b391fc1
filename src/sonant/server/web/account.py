"""The account page: credit, password, deletion."""

from dataclasses import dataclass
from decimal import Decimal

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from sonant.server.accounts.credit import Grant
from sonant.server.accounts.free_credit import WITH_THE_ACCOUNT
from sonant.server.accounts.sessions import Session
from sonant.server.accounts.usage import UsageTotals
from sonant.server.authentication import client_address, require_session, session_for_change
from sonant.server.errors import ApiError
from sonant.server.services import Services, services_of
from sonant.server.web import account_keys, account_usage, confirming, resetting, signing_in
from sonant.server.web.pages import prefers_json, render

router = APIRouter(include_in_schema=False)
for part in (signing_in, confirming, resetting, account_keys, account_usage):
    router.include_router(part.router)

DONE = {  # ?done=
    "password": "The password was changed. Everywhere else you were signed out.",
    "sent": "The link was sent. It works for three days.",
    "credit": "The address is confirmed, and the account has its free credit.",
    "confirmed": "The address is confirmed. Its mailbox or network has had its free credit already.",
}


@dataclass(frozen=True, kw_only=True)
class AccountPage:
    """The data of the account page.

    Attributes:
        credit: remaining credit.
        created: unix seconds.
        sessions: number of open sessions.
        live_keys: number of valid keys.
        spent: usage so far.
        is_unconfirmed: whether the free credit waits for the confirmation of the address.
        grants: additions to the credit, newest first.
        more_credit: how to get more, in the words of the operator; empty if they gave none.
        done: message about the change that was just made.
        problem: error message of a change.
        about: the form of the problem.
    """

    email: str
    is_admin: bool
    credit: Decimal
    created: int
    sessions: int
    live_keys: int
    spent: UsageTotals
    grants: list[Grant]
    is_unconfirmed: bool
    more_credit: str
    done: str | None
    problem: str | None
    about: str | None


@router.get("/account")
async def account(
    request: Request,
    done: str = "",
    session: Session = Depends(require_session),
    services: Services = Depends(services_of),
) -> Response:
    return await _page(request, session, services, done=DONE.get(done))


@router.post("/account/password")
async def change_password(
    request: Request,
    old: str = Form(""),
    new: str = Form(""),
    session: Session = Depends(session_for_change),
    services: Services = Depends(services_of),
) -> Response:
    accounts, address = services.accounts, client_address(request)
    try:
        await accounts.credentials.change(session.user_id, old, new, address=address)
    except ApiError as error:
        return await _refused(request, session, services, error, about="password")
    await accounts.sessions.sign_out_everywhere(session.user_id)
    here = await accounts.sessions.open(session.user_id, address=address)
    response: Response = RedirectResponse("/account?done=password", 303)
    if prefers_json(request):
        response = await _page(request, here.session, services, done=DONE["password"])
    accounts.sessions.set_cookies(response, request, here)
    return response


@router.post("/account/sign-out-everywhere")
async def sign_out_everywhere(
    session: Session = Depends(session_for_change), services: Services = Depends(services_of)
) -> Response:
    await services.accounts.sessions.sign_out_everywhere(session.user_id)
    return _left(services, "/sign-in")


@router.post("/account/delete")
async def delete(
    request: Request,
    email: str = Form(""),
    session: Session = Depends(session_for_change),
    services: Services = Depends(services_of),
) -> Response:
    """Delete the account, confirmed by its e-mail address."""
    if email.strip().lower() != session.email.lower():
        error = ApiError(
            400, "not_confirmed", f"To delete the account, type its address: {session.email}.", param="email"
        )
        return await _refused(request, session, services, error, about="delete")
    try:
        await services.accounts.users.delete(session.user_id, by=session.email, address=client_address(request))
    except ApiError as error:
        return await _refused(request, session, services, error, about="delete")
    return _left(services, "/")


def _left(services: Services, address: str) -> Response:
    response = RedirectResponse(address, 303)
    services.accounts.sessions.clear_cookie(response)
    return response


async def _refused(request: Request, session: Session, services: Services, error: ApiError, *, about: str) -> Response:
    if prefers_json(request):
        raise error
    return await _page(request, session, services, error=error, about=about)


async def _page(
    request: Request,
    session: Session,
    services: Services,
    *,
    done: str | None = None,
    error: ApiError | None = None,
    about: str | None = None,
) -> Response:
    accounts = services.accounts
    user = await accounts.users.get(session.user_id)
    grants = await accounts.credit.grants(user.id)
    page = AccountPage(
        email=user.email,
        is_admin=user.is_admin,
        credit=user.credit,
        created=user.created,
        sessions=len(await accounts.sessions.of(user.id)),
        live_keys=sum(key.state == "live" for key in await accounts.keys.of(user.id)),
        spent=await accounts.usage.totals(user_id=user.id),
        grants=grants,
        is_unconfirmed=accounts.confirmations.are_required
        and not any(one.reason == WITH_THE_ACCOUNT for one in grants),
        more_credit=services.settings.accounts.more_credit,
        done=done,
        problem=error.message if error else None,
        about=about,
    )
    return render(request, "account/account.html", page, error=error)
