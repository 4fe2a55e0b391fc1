"""The API reference page, from the OpenAPI document of the application."""

from dataclasses import dataclass

from fastapi import APIRouter, Depends, FastAPI, Request, Response

from sonant.server.authentication import signed_in
from sonant.server.web.openapi_reading import Operation, operations
from sonant.server.web.pages import render

router = APIRouter(include_in_schema=False, dependencies=[Depends(signed_in)])


@dataclass(frozen=True, kw_only=True)
class ReferencePage:
    """The data of the reference page; `openapi` is the address of the whole document."""

    title: str
    version: str
    description: str
    openapi: str
    operations: list[Operation]


@router.get("/reference")
async def reference(request: Request) -> Response:
    page: ReferencePage = request.app.state.reference
    tags: dict[str, list[Operation]] = {}
    for operation in page.operations:
        tags.setdefault(operation.tag, []).append(operation)
    errors = {answer.status: answer for operation in page.operations for answer in operation.answers if answer.is_error}
    return render(
        request, "reference.html", page, title="API reference", tags=tags, errors=dict(sorted(errors.items()))
    )


def reference_page(app: FastAPI) -> ReferencePage:
    """Make the data of the page, which takes a quarter of a second: once, with the document that FastAPI keeps."""
    document = app.openapi()
    return ReferencePage(
        title=document["info"]["title"],
        version=document["info"]["version"],
        description=document["info"].get("description", ""),
        openapi="/openapi.json",
        operations=operations(document),
    )
