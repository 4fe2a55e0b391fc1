"""Static files."""

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from sonant.server.web.pages import STATIC, static

YEAR, WEEK = 365 * 24 * 3600, 7 * 24 * 3600


class VersionedFiles(StaticFiles):
    """Static files, cached by browsers for a year if the address has a version (`?v=`), otherwise revalidated."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _caching(path, scope["query_string"].decode("latin-1"))
        return response


def _caching(path: str, query: str) -> str:
    if (STATIC / path).is_file() and static(path).partition("?")[2] == query:
        return f"public, max-age={YEAR}, immutable"
    return f"public, max-age={WEEK}" if path.endswith(".woff2") else "no-cache"
