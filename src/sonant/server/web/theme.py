"""The theme, light or dark, if somebody has chosen; without a choice the browser's own applies."""

from typing import Literal

from fastapi import APIRouter, Form, Response
from fastapi.responses import RedirectResponse

from sonant.server.web.pages import local_path

router = APIRouter(include_in_schema=False)

YEAR = 365 * 24 * 3600


@router.post("/theme")
def choose_theme(theme: Literal["light", "dark"] = Form(), going_on: str = Form("/", alias="next")) -> Response:
    """Keep the choice in a cookie and go back; where scripts run, the button on each page does the same at once."""
    response = RedirectResponse(local_path(going_on), 303)
    response.set_cookie("theme", theme, max_age=YEAR, samesite="lax")
    return response
