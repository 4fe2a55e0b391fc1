"""Writes the page of the HTTP server from its OpenAPI document, at every build: it cannot be out of date."""

import re
from collections.abc import Iterable
from pathlib import Path

from sonant.server.app import create_app
from sonant.server.errors import CODES, error_type
from sonant.server.settings import ServerSettings
from sonant.server.web.openapi_reading import Answer, DocumentedObject, Field, Operation, objects, operations


def write_server_page(path: Path) -> None:
    """Write every route with its parameters, answers and errors."""
    path.write_text(server_page(), encoding="utf-8")


def server_page() -> str:
    """Return what `write_server_page` writes."""
    document = create_app(ServerSettings()).openapi()
    routes = operations(document)
    parts = [INTRODUCTION.format(routes="\n".join(map(row, routes)))]
    tag = ""
    for operation in routes:
        if operation.tag != tag:
            tag = operation.tag
            parts.append(f"## {tag[0].upper()}{tag[1:]}")
        parts.append(route(operation))
    parts += ["## Objects", "What fields of answers hold.", *map(described, objects(document))]
    parts += ["(server-errors)=", "## Errors", ERRORS, statuses(routes), codes()]
    return "\n\n".join(parts) + "\n"


def anchor(operation: Operation) -> str:
    return re.sub(r"\W", "-", operation.anchor)


def row(operation: Operation) -> str:
    key = "yes" if operation.needs_key else "no"
    return f"| [`{operation.method} {operation.path}`](#{anchor(operation)}) | {operation.summary} | {key} |"


def route(operation: Operation) -> str:
    """One method of a path: parameters, bodies, answers."""
    parts = [f"({anchor(operation)})=", f"### `{operation.method} {operation.path}`", f"**{operation.summary}.**"]
    parts[-1] = parts[-1].replace("?.**", "?**")
    parts += [operation.description, fields(operation.parameters)]
    shown: set[str] = set()
    for body in operation.bodies:
        new = [field for field in body.fields if field.name not in shown]
        rest = "; its other fields are those above" if len(new) < len(body.fields) else ""
        parts += [f"*Body, `{body.media_type}`{rest}:*", fields(new)]
        parts += [f"```json\n{example.text}\n```" for example in body.examples]
        shown |= {field.name for field in body.fields}
    for answer in operation.answers:
        if not answer.is_error:
            parts += answered(answer)
    errors = [str(answer.status) for answer in operation.answers if answer.is_error]
    if errors:
        parts.append(f"[Errors](#server-errors): {', '.join(errors)}.")
    return "\n\n".join(filter(None, parts))


def answered(answer: Answer) -> list[str]:
    """An answer: the media types without a schema in one line, then each with its fields."""
    plain = [f"`{body.media_type}`" for body in answer.bodies if not body.fields]
    with_fields = [body for body in answer.bodies if body.fields]
    parts = [f"*Answer {answer.status}: {', '.join(plain) or 'no body'}.*"] if plain or not with_fields else []
    for body in with_fields:
        parts += [f"*Answer {answer.status}, `{body.media_type}`:*", fields(body.fields)]
    return parts


def described(found: DocumentedObject) -> str:
    return "\n\n".join(filter(None, [f"### {found.name}", found.description, fields(found.fields)]))


def fields(found: Iterable[Field]) -> str:
    return "\n".join(map(entry, found))


def entry(field: Field) -> str:
    """A field with what it means, as an item of a list."""
    place = "" if field.place == "body" else f", in the {field.place}"
    needed = ", required" if field.is_required and field.place != "path" else ""
    default = "" if field.default is None else f", default `{field.default}`"
    about = " ".join(field.description.split())
    about = f": {about[0].upper()}{about[1:]}" if about else ""
    return f"- `{field.name}` ({escaped(field.kind)}{place}{needed}{default}){about}"


def escaped(text: str) -> str:
    return re.sub(r"([\\*_<>\[\]$|#])", r"\\\1", text)


def statuses(routes: list[Operation]) -> str:
    found: dict[int, str] = {}
    for answer in (answer for each in routes for answer in each.answers if answer.is_error):
        found.setdefault(answer.status, answer.description)
    rows = "\n".join(f"| {status} | `{error_type(status)}` | {text} |" for status, text in sorted(found.items()))
    return f"| status | `type` | when |\n|---|---|---|\n{rows}"


def codes() -> str:
    """What each class of error of the library becomes."""
    rows = "\n".join(f"| `{code}` | {status} | `{kind.__name__}` |" for kind, status, code in CODES)
    return f"Errors of the library have these codes:\n\n| `code` | status | of |\n|---|---|---|\n{rows}"


INTRODUCTION = """# HTTP API

Written from the server's OpenAPI document, with every build of these pages; a running server has the same at
`/reference`, and for programs at `/openapi.json`. [Serving](../serving.md) shows how it is used.

A key goes into the header `Authorization: Bearer KEY`. Recordings come in JSON, or as files of a form.

| route | answers | needs a key |
|---|---|---|
{routes}"""

ERRORS = """Every answer but success has this body. `code` is for programs and does not change, `message` is for people;
the header `x-request-id` names the request to the operator. After 429 and 503 the header `Retry-After` says how many
seconds to wait.

```json
{"error": {"message": "...", "type": "invalid_request_error", "param": "input[3]", "code": "invalid_audio"}}
```"""
