"""Authorization of administrators: a signed-in administrator, or a key with the scope `admin`."""

from fastapi import Request

from sonant.server.authentication import require_admin, session_for_change
from sonant.server.errors import ApiError


async def administrator(request: Request) -> str:
    """Return the administrator's name for the audit log.

    Raises ApiError 401: not signed in. 403: not an administrator, or a form without CSRF token.
    """
    if "authorization" in request.headers:
        return (await require_admin(request, None)).name
    session = await session_for_change(request)
    if not session.is_admin:
        raise ApiError(403, "insufficient_scope", f"{session.email} is no administrator.")
    return session.email
