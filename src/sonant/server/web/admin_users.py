"""The pages of an administrator for users."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from sonant.server.accounts.audit import AuditEntry
from sonant.server.accounts.credit import Grant
from sonant.server.accounts.keys import Key
from sonant.server.accounts.usage import UsageTotals
from sonant.server.accounts.users import User
from sonant.server.authentication import client_address
from sonant.server.errors import ApiError
from sonant.server.services import Services, services_of
from sonant.server.web.administrator import administrator
from sonant.server.web.fields import Fields, fields, yes_or_no
from sonant.server.web.pages import RowId, prefers_json, render

router = APIRouter()

USERS = 50  # users of a page
LOG_LINES = 20


@dataclass(frozen=True, kw_only=True)
class UsersPage:
    """The data of the page of users.

    Attributes:
        q: text in their e-mail addresses.
        next: address of the next page; None on the last one.
    """

    q: str
    users: list[User]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class UserPage:
    """The data of the page of one user.

    Attributes:
        entries: of the audit log about the user, newest first.
        problem: error message of a change.
    """

    user: User
    keys: list[Key]
    grants: list[Grant]
    spent: UsageTotals
    entries: list[AuditEntry]
    problem: str | None


@router.get("/admin/users", dependencies=[Depends(administrator)])
async def users(request: Request, q: str = "", after: RowId = 0, services: Services = Depends(services_of)) -> Response:
    found = await services.accounts.users.search(q.strip(), limit=USERS + 1, after=after)
    shown = found[:USERS]
    more = {"q": q, "after": shown[-1].id} if len(found) > USERS else None
    page = UsersPage(q=q, users=shown, next=f"/admin/users?{urlencode(more)}" if more else None)
    return render(request, "admin/users.html", page)


@router.get("/admin/users/{user_id}", dependencies=[Depends(administrator)])
async def user(request: Request, user_id: RowId, services: Services = Depends(services_of)) -> Response:
    return await _page(request, user_id, services)


@router.post("/admin/users/{user_id}/credit")
async def grant(
    request: Request,
    user_id: RowId,
    given: Fields = Depends(fields),
    by: str = Depends(administrator),
    services: Services = Depends(services_of),
) -> Response:
    return await _after(
        request,
        user_id,
        services,
        lambda: services.accounts.credit.grant(
            user_id, _amount(given), reason=given.get("reason", "").strip(), by=by, address=client_address(request)
        ),
    )


@router.post("/admin/users/{user_id}/disabled")
async def set_disabled(
    request: Request,
    user_id: RowId,
    given: Fields = Depends(fields),
    by: str = Depends(administrator),
    services: Services = Depends(services_of),
) -> Response:
    return await _after(
        request,
        user_id,
        services,
        lambda: services.accounts.users.set_disabled(
            user_id, yes_or_no(given, "value"), by=by, address=client_address(request)
        ),
    )


@router.post("/admin/users/{user_id}/admin")
async def set_admin(
    request: Request,
    user_id: RowId,
    given: Fields = Depends(fields),
    by: str = Depends(administrator),
    services: Services = Depends(services_of),
) -> Response:
    return await _after(
        request,
        user_id,
        services,
        lambda: services.accounts.users.set_admin(
            user_id, yes_or_no(given, "value"), by=by, address=client_address(request)
        ),
    )


@router.post("/admin/users/{user_id}/password")
async def set_password(
    request: Request,
    user_id: RowId,
    given: Fields = Depends(fields),
    by: str = Depends(administrator),
    services: Services = Depends(services_of),
) -> Response:
    """Set a password, for users who forgot theirs and for the first administrator, who has none."""
    return await _after(
        request,
        user_id,
        services,
        lambda: services.accounts.users.set_password(
            user_id, given.get("password", ""), by=by, address=client_address(request)
        ),
    )


@router.post("/admin/users/{user_id}/keys/{key_id}/revoke")
async def revoke_key(
    request: Request,
    user_id: RowId,
    key_id: RowId,
    by: str = Depends(administrator),
    services: Services = Depends(services_of),
) -> Response:
    return await _after(
        request,
        user_id,
        services,
        lambda: services.accounts.keys.revoke(key_id, user_id=user_id, by=by, address=client_address(request)),
    )


def _amount(given: Fields) -> Decimal:
    text = given.get("amount", "")
    try:
        return Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        raise ApiError(
            400, "invalid_value", f"{text[:40]!r} is no amount; expected a number such as 5 or 2.50.", param="amount"
        ) from None


async def _after(
    request: Request, user_id: int, services: Services, change: Callable[[], Awaitable[object]]
) -> Response:
    """Redirect to the page after a change, or show it with an error message; for programs, its data."""
    try:
        await change()
    except ApiError as error:
        if prefers_json(request) or error.status == 404:
            raise
        return await _page(request, user_id, services, error)
    if prefers_json(request):
        return await _page(request, user_id, services)
    return RedirectResponse(f"/admin/users/{user_id}", 303)


async def _page(request: Request, user_id: int, services: Services, error: ApiError | None = None) -> Response:
    accounts = services.accounts
    user = await accounts.users.get(user_id)
    page = UserPage(
        user=user,
        keys=await accounts.keys.of(user_id),
        grants=await accounts.credit.grants(user_id),
        spent=await accounts.usage.totals(user_id=user_id),
        entries=await accounts.audit.entries(limit=LOG_LINES, target=user.email),
        problem=error.message if error else None,
    )
    return render(request, "admin/user.html", page, error=error)
