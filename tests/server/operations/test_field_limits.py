"""Texts in paths, query strings and forms of pages: bounded, without control characters, read before anything else."""

import asyncio
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sonant.server.errors import ApiError
from sonant.server.operations.field_limits import FieldLimits
from sonant.server.sharing.turns import FairTurns
from sonant.server.text_limits import FIELDS, TEXT_BYTES

URLENCODED = "application/x-www-form-urlencoded"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    fields = [[*pair] for pair in (await request.form()).multi_items()]
    await JSONResponse({"query": request.query_params.multi_items(), "form": fields})(scope, receive, send)


def ask(path: str, **how: Any) -> httpx2.Response:
    async def post() -> httpx2.Response:
        transport = httpx2.ASGITransport(FieldLimits(echo, turns=FairTurns(1)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post(path, **how)

    return asyncio.run(post())


def refused(path: str, **how: Any) -> str:
    response = ask(path, **how)
    assert response.status_code == 400, response.text
    message: str = response.json()["error"]["message"]
    return message


def test_what_is_text_arrives() -> None:
    fields = {"reason": "two\r\nlines, a\ttab, ünïcode and an emoji \U0001f600", "empty": ""}
    expected = {"query": [["q", "ä b"], ["q", ""]], "form": [list(pair) for pair in fields.items()]}
    assert ask("/x?q=%C3%A4+b&q=", data=fields).json() == expected
    assert ask("/x?q=%C3%A4+b&q=", files={name: (None, value) for name, value in fields.items()}).json() == expected


@pytest.mark.parametrize("character", ["%00", "%1B", "%7F", "%C2%9B"])
def test_control_characters_are_refused_wherever_they_are(character: str) -> None:
    assert "control character" in refused(f"/a{character}")
    assert "control character" in refused(f"/x?q=a{character}")
    assert "control character" in refused(f"/x?{character}=a")
    content = f"email=a{character}".encode()
    assert "email has the control character" in refused("/x", content=content, headers={"content-type": URLENCODED})
    assert "email has the control character" in refused(
        "/x", files={"email": (None, httpx2.QueryParams(content)["email"])}
    )


def test_long_texts_and_many_fields_are_refused() -> None:
    assert "more than" in refused("/x", data={"reason": "é" * (TEXT_BYTES // 2 + 1)})
    assert "more than" in refused(f"/x?q={'a' * (TEXT_BYTES + 1)}")
    assert "fields" in refused("/x", data={f"f{number}": "" for number in range(FIELDS + 1)})
    assert "fields" in refused("/x", content=b"&" * 60_000, headers={"content-type": URLENCODED})
    assert "fields" in refused("/x", files={f"f{number}": (None, "") for number in range(FIELDS + 1)})
    assert "fields" in refused(f"/x?{'a=1&' * (FIELDS + 1)}")
    assert "cannot be read" in refused("/x", files={"f": ("a.wav", b"")})


@pytest.mark.parametrize(
    "charset", ["charset=punycode", 'CHARSET="punycode"', "charset*=utf-8''punycode", "charset=utf-8; charset=zip"]
)
def test_a_charset_that_is_none_of_text(charset: str) -> None:
    for path in ("/x", "/v1/x"):
        headers = {"content-type": f"multipart/form-data; boundary=x; {charset}"}
        assert "charset" in refused(path, content=b"--x--\r\n", headers=headers)


def test_bodies_of_the_api_are_left_to_it() -> None:
    assert ask("/v1/x", data={"input": "a" * 100_000}).status_code == 200


def test_error_pages_are_made_in_turns() -> None:
    """They cost what other pages do, and are asked for as easily."""
    running: list[int] = []
    turns = FairTurns(2)

    def page(_: Request, error: ApiError) -> Response:
        running.append(2 - turns._free)
        return JSONResponse({}, error.status)

    async def post() -> None:
        transport = httpx2.ASGITransport(FieldLimits(echo, turns=turns, page=page))
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client, turns.turn("other"):
            answers = await asyncio.gather(*(client.get("/a%00") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {400}

    asyncio.run(post())
    assert running == [2] * 20
