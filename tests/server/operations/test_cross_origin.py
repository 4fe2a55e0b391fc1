"""Pages of named sites may call the API, and nothing else of the server; others may not."""

import asyncio
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sonant.server.operations.cross_origin import CrossOrigin
from sonant.server.routes.answering import PARAMETER_HEADER, WARNING_HEADER

HERE, OTHER = "https://app.example.org", "https://evil.example"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}


def _ask(method: str, path: str, origin: str, **headers: str) -> httpx2.Response:
    async def hello(_: Any) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = CrossOrigin(Starlette(routes=[Route("/v1/x", hello, methods=["POST"]), Route("/x", hello)]), origins=(HERE,))

    async def ask() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client:
            return await client.request(method, path, headers={"origin": origin, **headers})

    return asyncio.run(ask())


def test_a_page_of_a_named_site_may_call_the_api() -> None:
    before = _ask("OPTIONS", "/v1/x", HERE, **PREFLIGHT)
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == HERE
    assert "authorization" in before.headers["access-control-allow-headers"].lower()
    answer = _ask("POST", "/v1/x", HERE)
    assert answer.headers["access-control-allow-origin"] == HERE
    exposed = answer.headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("retry-after", WARNING_HEADER, PARAMETER_HEADER))
    assert "access-control-allow-credentials" not in answer.headers


def test_others_and_other_paths_may_not() -> None:
    for path, origin in (("/v1/x", OTHER), ("/x", HERE)):
        for method, headers in (("OPTIONS", PREFLIGHT), ("GET" if path == "/x" else "POST", {})):
            assert "access-control-allow-origin" not in _ask(method, path, origin, **headers).headers
