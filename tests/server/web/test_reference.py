"""The reference page, and how it reads an OpenAPI document."""

import httpx2

from sonant.server.web.openapi_reading import objects, operations
from tests.server.running import RunningServer
from tests.server.web.html import Document

DOCUMENT = {
    "paths": {
        "/things/{name}": {
            "get": {
                "summary": "A thing",
                "description": "It is `found`.",
                "tags": ["Things"],
                "security": [{"Bearer": []}],
                "parameters": [
                    {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "size", "in": "query", "schema": {"type": "integer", "minimum": 1, "default": 3}},
                ],
                "responses": {
                    "404": {"description": "There is none."},
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                    "default": {"description": "never shown"},
                },
            },
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Thing"},
                            "examples": {"long": {"summary": "Long", "value": {"text": "x" * 500}}},
                        }
                    }
                },
                "responses": {},
            },
        }
    },
    "components": {
        "schemas": {
            "Thing": {
                "type": "object",
                "required": ["kind"],
                "properties": {
                    "kind": {"enum": ["a", "b"], "description": "Which."},
                    "layers": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]},
                    "file": {"type": "string", "format": "binary"},
                    "only": {"const": "x"},
                    "many": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
                },
            }
        }
    },
}


def test_reading() -> None:
    get, post = operations(DOCUMENT)
    assert (get.method, get.path, get.tag, get.needs_key) == ("GET", "/things/{name}", "Things", True)
    assert [(field.name, field.place, field.kind, field.is_required, field.default) for field in get.parameters] == [
        ("name", "path", "string", True, None),
        ("size", "query", "integer from 1", False, "3"),
    ]
    assert [(answer.status, answer.is_error) for answer in get.answers] == [(200, False), (404, True)]
    kinds = {field.name: field.kind for field in get.answers[0].bodies[0].fields}
    assert kinds == {
        "kind": '"a" | "b"',
        "layers": "list of integer",
        "file": "file",
        "only": '"x"',
        "many": "list of (string | number)",
    }
    assert not post.needs_key
    (example,) = post.bodies[0].examples
    assert len(example.text) < 100
    assert get.anchor != post.anchor


def test_objects_are_those_within_others_with_what_docstrings_say_of_fields() -> None:
    inner = {
        "title": "Inner",
        "type": "object",
        "description": "The load.\n\nAttributes:\n    low, high: seconds of\n        audio.\n    own: not this.",
        "properties": {"low": {"type": "number"}, "own": {"type": "string", "description": "This."}},
    }
    outer = {
        "type": "object",
        "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Inner"}}},
    }
    (found,) = objects({"components": {"schemas": {"Outer": outer, "Inner": inner}}})
    assert (found.name, found.description) == ("inner", "The load.")
    assert [(field.name, field.description) for field in found.fields] == [
        ("low", "seconds of audio."),
        ("own", "This."),
    ]


def test_every_operation_is_on_the_page(visitor: httpx2.Client, server: RunningServer) -> None:
    document = visitor.get("/openapi.json").json()
    page = visitor.get("/reference")
    ids = {attributes.get("id") for _, attributes in Document(page.text).tags}
    found = operations(document)
    assert {operation.path for operation in found} == set(document["paths"])
    assert "/v1/embeddings" in document["paths"]
    assert not any(path.startswith(("/models", "/votes", "/theme")) for path in document["paths"])  # pages are no API
    for operation in found:
        assert operation.anchor in ids
        for body in operation.bodies:
            for field in body.fields:
                assert f"<code>{field.name}</code>" in page.text
        for answer in operation.answers:
            if answer.is_error:
                assert f"error-{answer.status}" in ids
    assert server.base_url in page.text
