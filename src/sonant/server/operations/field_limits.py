"""Limits on the texts of paths, query strings and the forms of pages, before anything reads them.

Endpoints of the API read their bodies themselves, under the same limits: see `routes.bodies`.
"""

from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonant.server import errors
from sonant.server.errors import ApiError
from sonant.server.operations.body_limits import API
from sonant.server.operations.page_turns import PageTurns
from sonant.server.sharing.turns import FairTurns
from sonant.server.text_limits import FIELDS, check_charset, check_text

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class FieldLimits:
    """Middleware that refuses a request with control characters, overlong texts or too many fields.

    Args:
        page: makes the page of an error, in one of the `turns`.
    """

    def __init__(self, app: ASGIApp, *, turns: FairTurns, page: errors.Page = errors.no_page) -> None:
        self._app, self._turns, self._page = app, turns, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            _check_address(request)
            content_type = request.headers.get("content-type", "")
            check_charset(content_type)
            kind = content_type.partition(";")[0].strip().lower()
            if kind in FORMS and not scope["path"].startswith(API):
                receive = await _checked_form(request, kind)
        except ApiError as error:
            await PageTurns(self._refusal(error), turns=self._turns)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, error: ApiError) -> ASGIApp:
        async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope)
            request.state.error_code = error.code
            response = self._page(request, error) or errors.answer(error)
            await response(scope, receive, send)

        return refuse


def _check_address(request: Request) -> None:
    check_text(request.scope["path"], "path")
    try:
        fields = parse_qsl(request.scope["query_string"].decode("latin-1"), max_num_fields=FIELDS)
    except ValueError as error:
        raise ApiError(400, "invalid_value", f"The address cannot be read: {error}.") from None
    _check(fields)


async def _checked_form(request: Request, kind: str) -> Receive:
    """Check the fields of a form, and return a `receive` that gives its body again."""
    body = await request.body()
    if kind == FORMS[0] and body.count(b"&") >= FIELDS:  # the parser takes long for empty ones, and does not count them
        raise ApiError(400, "invalid_form", f"The form has more than {FIELDS} fields.")
    try:
        async with request.form(max_files=0, max_fields=FIELDS) as form:
            _check([(name, value) for name, value in form.multi_items() if isinstance(value, str)])
    except (HTTPException, MultiPartException) as error:
        told = error.detail if isinstance(error, HTTPException) else error.message
        raise ApiError(400, "invalid_form", f"The form cannot be read: {told}") from None
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await request.receive()

    return again


def _check(fields: list[tuple[str, str]]) -> None:
    for name, value in fields:
        check_text(value, check_text(name, "the name of a field"))
