"""The theme, light or dark; by default that of the browser."""

from typing import Literal

from fastapi import APIRouter, Form, Response
from fastapi.responses import RedirectResponse

from sonant.server.web.pages import local_path

router = APIRouter(include_in_schema=False)

YEAR = 365 * 24 * 3600


@router.post("/theme")
def choose_theme(theme: Literal["light", "dark"] = Form(), going_on: str = Form("/", alias="next")) -> Response:
    """Store the choice in a cookie and redirect back, for browsers without JavaScript."""
    response = RedirectResponse(local_path(going_on), 303)
    response.set_cookie("theme", theme, max_age=YEAR, samesite="lax")
    return response
