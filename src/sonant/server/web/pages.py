"""Common parts of all pages: templates, and JSON from the same data."""

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from pydantic import Field

from sonant import __version__
from sonant.server.errors import ApiError
from sonant.server.services import services_of
from sonant.server.web import wording

HERE = Path(__file__).parent
STATIC = HERE / "static"
TEMPLATES = HERE / "templates"
NAVIGATION = (("/", "Models"), ("/compare", "Compare"), ("/playground", "Playground"), ("/reference", "API"))
THEMES = ("light", "dark")
RowId = Annotated[int, Field(ge=0, lt=2**63)]  # in query parameters: limit of a 64-bit integer
NOT_PAGES = ("/v1/", "/static/", "/openapi.json", "/health", "/ready", "/info", "/metrics")


def render(request: Request, template: str, data: Any, *, error: ApiError | None = None, **context: Any) -> Response:
    """Render a page, or its data as JSON if requested by `?format=json` or the Accept header.

    Args:
        template: in `templates/`; it extends base.html and has the data as `page`.
        data: what the page shows: dataclasses, mappings, lists; decimals become strings in JSON.
        error: that the page shows, whose status and headers the response gets.
        **context: further variables of the template. Every page has `session`, `csrf_token`, `theme`, `path`,
            `currency`, `base_url` and `static()`, which these override.
    """
    headers = {"Cache-Control": "private, no-cache", "Vary": "Accept, Cookie, HX-Request"}
    status = 200
    if error is not None:
        status, headers = error.status, headers | error.headers
    if prefers_json(request):
        return Response(as_json(data), status, headers, media_type="application/json")
    html = ENVIRONMENT.get_template(template).render(_shared(request) | {"page": data} | context)
    return Response(html, status, headers, media_type="text/html")


def _shared(request: Request) -> dict[str, Any]:
    session = getattr(request.state, "session", None)
    theme = request.cookies.get("theme", "")
    return {
        "session": session,
        "csrf_token": "" if session is None else session.csrf_token,
        "theme": theme if theme in THEMES else "",
        "path": request.url.path,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "json_address": json_address(request),
        "currency": services_of(request).settings.accounts.currency,
        "base_url": str(request.base_url).rstrip("/"),
    }


def json_address(request: Request) -> str:
    """Return the address of the JSON form of a page."""
    parts = [(name, value) for name, value in request.query_params.multi_items() if name != "format"]
    return f"{request.url.path}?{urlencode([*parts, ('format', 'json')])}"


def as_json(data: Any) -> bytes:
    return orjson.dumps(data, default=_plain)


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return wording.decimal(value)
        case Mapping():
            return dict(value)
        case AbstractSet():
            return sorted(value)
        case Path():
            return str(value)
    raise TypeError(f"a page's data holds a {type(value).__name__}, which has no form in JSON")


def prefers_json(request: Request) -> bool:
    """Return whether JSON is requested: by the address, an Accept header that ranks it above HTML, or a JSON body."""
    match request.query_params.get("format"):
        case "json":
            return True
        case "html":
            return False
    accept = request.headers.get("accept", "")
    html, json = _weight(accept, "text/html"), _weight(accept, "application/json")
    return json > html or (not html and request.headers.get("content-type", "").startswith("application/json"))


def _weight(accept: str, kind: str) -> float:
    """Return the quality value of a media type in an Accept header, 0 to 1."""
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name.lower() == kind:
            for parameter in parameters:
                if parameter.startswith("q="):
                    try:
                        return float(parameter[2:])
                    except ValueError:
                        return 0.0
            return 1.0
    return 0.0


def is_update(request: Request, part: str) -> bool:
    """Return whether htmx requests only the part of a page with this id."""
    return request.headers.get("hx-target") == part


def push_address(request: Request, response: Response, address: str) -> None:
    """Have htmx put the address of an updated page into the browser's history, unless it is there already."""
    if path_here(request, request.headers.get("hx-current-url", "")) != address:
        response.headers["HX-Push-Url"] = address


def path_here(request: Request, address: str) -> str | None:
    """Return path and query of an address of this server, ignoring the scheme; None for other servers."""
    _, _, rest = address.partition("://")
    host = request.url.netloc
    return rest.removeprefix(host) if rest.startswith(f"{host}/") else None


def error_page(request: Request, error: ApiError) -> Response | None:
    """Make the error page for browsers; None for other clients, which get JSON.

    For a page that requires sign-in, redirect to the form.
    """
    is_page = not request.url.path.startswith(NOT_PAGES) and not prefers_json(request)
    if not is_page or not _weight(request.headers.get("accept", ""), "text/html"):
        return None
    if error.code == "not_signed_in" and request.method == "GET":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?{urlencode({'next': here})}", HTTPStatus.SEE_OTHER)
    data = error.body | {"status": error.status, "request_id": getattr(request.state, "request_id", None)}
    return render(request, "error.html", data, error=error, title=HTTPStatus(error.status).phrase)


def local_path(path: str, default: str = "/") -> str:
    """Return the path if it is on this server, or the default."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else default


@cache
def static(name: str) -> str:
    """Return the address of a static file, with a version by its contents for caching."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.globals |= {"static": static, "navigation": NAVIGATION, "version": __version__}
ENVIRONMENT.filters |= {
    "count": wording.count,
    "millions": wording.millions,
    "decimal": wording.decimal,
    "duration": wording.duration,
    "figure": wording.figure,
    "linked": wording.linked,
    "moment": wording.moment,
    "money": wording.money,
    "prose": wording.prose,
    "size": wording.size,
}
