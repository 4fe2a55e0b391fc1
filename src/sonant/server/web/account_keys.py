"""The page of the keys of an account."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from sonant.server.accounts.keys import API_SCOPES, SCOPES, Key, NewKey, Scope
from sonant.server.accounts.sessions import Session
from sonant.server.authentication import client_address, require_session, session_for_change
from sonant.server.errors import ApiError
from sonant.server.services import Services, services_of
from sonant.server.web.pages import RowId, prefers_json, render

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class KeysPage:
    """The data of the page of keys.

    Attributes:
        keys: valid ones first, newest first.
        scopes: scopes that a key of this account may have.
        secret: the secret of a new key, shown only once.
        made: the new key.
        problem: error message.
        about: the field of the problem.
        requests_per_minute, audio_seconds_per_minute: rate limits of the account, which those of a key cannot exceed.
    """

    keys: list[Key]
    scopes: tuple[Scope, ...]
    secret: str | None
    made: Key | None
    problem: str | None
    about: str | None
    requests_per_minute: int
    audio_seconds_per_minute: float


@router.get("/account/keys")
async def keys(
    request: Request, session: Session = Depends(require_session), services: Services = Depends(services_of)
) -> Response:
    return await _page(request, session, services)


@router.post("/account/keys")
async def make_key(
    request: Request,
    name: str = Form(""),
    scopes: list[Scope] = Form([]),
    expires: str = Form(""),
    requests_per_minute: str = Form(""),
    audio_seconds_per_minute: str = Form(""),
    session: Session = Depends(session_for_change),
    services: Services = Depends(services_of),
) -> Response:
    rules = services.settings.accounts
    try:
        new = await services.accounts.keys.create(
            session.user_id,
            name,
            scopes=scopes,
            expires=_end_of_day(expires),
            requests_per_minute=_rate(requests_per_minute, "requests_per_minute", rules.requests_per_minute),
            audio_seconds_per_minute=_rate(
                audio_seconds_per_minute, "audio_seconds_per_minute", rules.audio_seconds_per_minute
            ),
            by=session.email,
            address=client_address(request),
        )
    except ApiError as error:
        if prefers_json(request):
            raise
        return await _page(request, session, services, error=error)
    return await _page(request, session, services, new=new)


@router.post("/account/keys/{key_id}/revoke")
async def revoke_key(
    request: Request,
    key_id: RowId,
    session: Session = Depends(session_for_change),
    services: Services = Depends(services_of),
) -> Response:
    await services.accounts.keys.revoke(
        key_id, user_id=session.user_id, by=session.email, address=client_address(request)
    )
    return await _page(request, session, services) if prefers_json(request) else RedirectResponse("/account/keys", 303)


def _end_of_day(text: str) -> int | None:
    """Return the last second of a day such as 2027-01-31, in UTC, as unix seconds; None for an empty text."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ApiError(
            400, "invalid_value", f"{text[:40]!r} is not a day; expected one such as 2027-01-31.", param="expires"
        ) from None
    moment = int(datetime.combine(day, time(23, 59, 59), tzinfo=UTC).timestamp())
    if moment < datetime.now(UTC).timestamp():
        raise ApiError(400, "invalid_value", f"{text} has passed; choose a later day, or none.", param="expires")
    return moment


def _rate(text: str, field: str, most: float) -> int | None:
    """Return the rate of a key, a whole number up to the rate of the account; None for an empty text."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 10 or not 0 < int(text) <= most:
        raise ApiError(
            400,
            "invalid_value",
            f"{text[:40]!r} does not fit; expected a whole number from 1 to {most:g}, the rate of the account.",
            param=field,
        )
    return int(text)


async def _page(
    request: Request,
    session: Session,
    services: Services,
    *,
    new: NewKey | None = None,
    error: ApiError | None = None,
) -> Response:
    every = await services.accounts.keys.of(session.user_id)
    rules = services.settings.accounts
    page = KeysPage(
        keys=sorted(every, key=lambda key: (key.state != "live", -key.created, -key.id)),
        scopes=SCOPES if session.is_admin else API_SCOPES,
        secret=new.secret if new else None,
        made=new.key if new else None,
        problem=error.message if error else None,
        about=error.param if error else None,
        requests_per_minute=rules.requests_per_minute,
        audio_seconds_per_minute=rules.audio_seconds_per_minute,
    )
    response = render(request, "account/keys.html", page, error=error)
    if new:
        response.headers["Cache-Control"] = "no-store"
    return response
