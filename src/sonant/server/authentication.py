"""Authentication of requests by API key, by session cookie, or anonymously, and the check of their scopes."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import replace

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.caller import ANONYMOUS, Caller
from sonant.server.accounts.keys import API_SCOPES, SCOPES, START, Scope
from sonant.server.accounts.sessions import Session
from sonant.server.accounts.users import disabled
from sonant.server.errors import ApiError
from sonant.server.networks import network_of
from sonant.server.services import services_of

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
# For the OpenAPI document only; `_bearer` reads the header, with errors in our format.
API_KEY = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="An API key: sk-sonant-...")


def caller_with(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    """Make a dependency of routes that returns the caller, if it has the scope.

    Raises ApiError 401: unknown caller. 403: missing scope, or a cookie without CSRF token. 429: rate limit exceeded,
    or too many requests of the account under way. The body has not been read yet.
    """

    async def caller(request: Request, _: HTTPAuthorizationCredentials | None = Security(API_KEY)) -> Caller:
        found = await identify(request)
        request.state.caller = found
        if found.user_id is not None:
            request.state.share.identify(found.share)
        if scope not in found.scopes:
            what = (
                "an administrator" if scope == "admin" and found.key_id is None else f"a key with the scope {scope!r}"
            )
            raise ApiError(403, "insufficient_scope", f"This takes {what}; yours may: {_listed(found.scopes)}.")
        services_of(request).accounts.admit(found)
        return found

    return caller


require_admin = caller_with("admin")


async def identify(request: Request) -> Caller:
    """Identify the caller of a request. Raises ApiError 401: unknown caller. 403: missing CSRF token."""
    services = services_of(request)
    secret = _bearer(request)
    # Clients always send some key: without authentication, any key is accepted that does not look like one of sonant.
    if secret is not None and not (services.settings.anonymous and not secret.startswith(START)):
        return await _by_key(services.accounts, secret)
    session = await signed_in(request)
    if session is not None:
        await check_csrf(request, session, form=False)
        scopes = frozenset(SCOPES if session.is_admin else API_SCOPES)
        return Caller(session.user_id, None, scopes, is_admin=session.is_admin, name=session.email)
    if services.settings.anonymous:
        if not {"*", request.headers.get("origin")} & set(services.settings.cors_origins):
            refuse_cross_site(request)
        return replace(ANONYMOUS, network=network_of(client_address(request)))
    raise ApiError(
        401, "missing_api_key", "No API key was given; expected the header 'Authorization: Bearer sk-sonant-...'."
    )


async def signed_in(request: Request) -> Session | None:
    """Return the session of the browser, or None; also stored in `request.state.session`."""
    if not hasattr(request.state, "session"):
        sessions = services_of(request).accounts.sessions
        token = sessions.token_of(request)
        request.state.session = None if token is None else await sessions.recognize(token)
    session: Session | None = request.state.session
    return session


async def require_session(request: Request) -> Session:
    """Return the session of the browser. Raises ApiError 401: not signed in."""
    session = await signed_in(request)
    if session is None:
        raise ApiError(401, "not_signed_in", "Sign in first.")
    return session


async def session_for_change(request: Request) -> Session:
    """Return the session of the browser for a request that changes something.

    Raises ApiError 401: not signed in. 403: missing CSRF token, possibly a request forged by another site.
    """
    session = await require_session(request)
    await check_csrf(request, session, form=True)
    return session


async def check_csrf(request: Request, session: Session, *, form: bool) -> None:
    """Check the CSRF token of a request, in the header X-CSRF-Token or, with `form`, in the field csrf_token.

    Raises ApiError 403: missing token.
    """
    if request.method in SAFE_METHODS:
        return
    given = request.headers.get("x-csrf-token")
    if given is None and form and "form" in request.headers.get("content-type", ""):
        field = (await request.form()).get("csrf_token")
        given = field if isinstance(field, str) else None
    if not hmac.compare_digest((given or "").encode(), session.csrf_token.encode()):
        raise ApiError(403, "csrf_failed", "This page is older than your session: reload it, and try again.")


def refuse_cross_site(request: Request) -> None:
    """Refuse a request without session from a page of another site.

    Raises ApiError 403: the headers of the browser name another site.
    """
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    elsewhere = origin is not None and origin.partition("://")[2] != request.headers.get("host")
    if elsewhere or request.headers.get("sec-fetch-site") == "cross-site":
        raise ApiError(403, "cross_site_request", "This was sent by the page of another site; open this server's own.")


def client_address(request: Request) -> str:
    """Return the network address of the client."""
    return request.client.host if request.client is not None else ""


async def _by_key(accounts: Accounts, secret: str) -> Caller:
    holder = await accounts.keys.recognize(secret)
    if holder is None:
        raise ApiError(401, "invalid_api_key", f"There is no API key {secret[:14]!r}...: check it, or make a new one.")
    if holder.key.state != "live":
        raise ApiError(
            401, "invalid_api_key", f"The API key {holder.key.prefix!r}... is {holder.key.state}: make a new one."
        )
    if holder.is_disabled:
        raise disabled()
    accounts.keys.used(holder.key.id)
    return Caller(
        holder.key.user_id,
        holder.key.id,
        holder.key.scopes if holder.is_admin else holder.key.scopes - {"admin"},
        is_admin=holder.is_admin and "admin" in holder.key.scopes,
        name=holder.email,
        requests_per_minute=holder.key.requests_per_minute,
        audio_seconds_per_minute=holder.key.audio_seconds_per_minute,
    )


def _bearer(request: Request) -> str | None:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() or None if kind.lower() == "bearer" else None


def _listed(scopes: frozenset[Scope]) -> str:
    return ", ".join(scope for scope in SCOPES if scope in scopes)
