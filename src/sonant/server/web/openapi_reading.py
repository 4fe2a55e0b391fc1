"""Parsing of an OpenAPI document for the reference page, and for that of the documentation."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

LONGEST_TEXT = 60  # characters of a string in an example: recordings are long
METHODS = ("get", "post", "put", "patch", "delete")
ATTRIBUTES = re.compile(r"^    ([\w, ]+): (.*(?:\n {5,}.*)*)", re.MULTILINE)  # of a dataclass, in its docstring


@dataclass(frozen=True, kw_only=True)
class Field:
    """A parameter, or a field of a body.

    Attributes:
        place: "path", "query", "header" or "body".
        kind: its type, in words.
        default: its default as JSON; None where there is none.
    """

    name: str
    place: str
    kind: str
    is_required: bool
    default: str | None
    description: str


@dataclass(frozen=True, kw_only=True)
class BodyExample:
    """A body, as JSON."""

    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class DocumentedBody:
    """A body in one content type."""

    media_type: str
    fields: tuple[Field, ...]
    examples: tuple[BodyExample, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The response with one status."""

    status: int
    description: str
    bodies: tuple[DocumentedBody, ...]

    @property
    def is_error(self) -> bool:
        return self.status >= HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation: one method of a path."""

    method: str
    path: str
    summary: str
    description: str
    tag: str
    needs_key: bool
    parameters: tuple[Field, ...]
    bodies: tuple[DocumentedBody, ...]
    answers: tuple[Answer, ...]

    @property
    def anchor(self) -> str:
        return "-".join([self.method.lower(), *(part.strip("{}") for part in self.path.split("/") if part)])


@dataclass(frozen=True, kw_only=True)
class DocumentedObject:
    """An object within a body; `name` is its kind in the fields."""

    name: str
    description: str
    fields: tuple[Field, ...]


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Read every operation of a document, in its order."""
    read = _Reader(document)
    return [
        read.operation(path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def objects(document: Mapping[str, Any]) -> list[DocumentedObject]:
    """Read every object that a field of another one may be, in alphabetical order."""
    read = _Reader(document)
    schemas: Mapping[str, Any] = document.get("components", {}).get("schemas", {})
    within = {name.rpartition("/")[2] for schema in schemas.values() for name in _references(schema)}
    return [read.object(schemas[name]) for name in sorted(within) if schemas[name].get("type") == "object"]


class _Reader:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Any] = document.get("components", {}).get("schemas", {})

    def operation(self, path: str, method: str, found: Mapping[str, Any]) -> Operation:
        parameters = tuple(
            self._field(each["name"], each["in"], each.get("schema", {}), each, is_required=each.get("required", False))
            for each in found.get("parameters", ())
        )
        return Operation(
            method=method.upper(),
            path=path,
            summary=found.get("summary", ""),
            description=found.get("description", ""),
            tag=next(iter(found.get("tags", ())), "Other"),
            needs_key=bool(found.get("security")),
            parameters=parameters,
            bodies=self._bodies(found.get("requestBody", {}).get("content", {})),
            answers=tuple(
                Answer(
                    status=int(status),
                    description=answer.get("description", ""),
                    bodies=self._bodies(answer.get("content", {})),
                )
                for status, answer in sorted(found.get("responses", {}).items())
                if status.isdigit()
            ),
        )

    def object(self, schema: Mapping[str, Any]) -> DocumentedObject:
        return DocumentedObject(
            name=self.kind(schema), description=self._description(schema), fields=tuple(self._fields(schema))
        )

    def _bodies(self, content: Mapping[str, Any]) -> tuple[DocumentedBody, ...]:
        return tuple(
            DocumentedBody(
                media_type=media_type,
                fields=tuple(self._fields(media.get("schema", {}))),
                examples=tuple(self._examples(media)),
            )
            for media_type, media in content.items()
        )

    def _fields(self, schema: Mapping[str, Any]) -> Iterator[Field]:
        schema = self._resolved(schema)
        required = schema.get("required", ())
        attributes = _description_and_attributes(schema)[1]
        for name, field in schema.get("properties", {}).items():
            told = field if "description" in field or name not in attributes else {"description": attributes[name]}
            yield self._field(name, "body", field, told, is_required=name in required)

    def _field(
        self, name: str, place: str, schema: Mapping[str, Any], told: Mapping[str, Any], *, is_required: bool
    ) -> Field:
        default = schema.get("default")
        return Field(
            name=name,
            place=place,
            kind=self.kind(schema),
            is_required=is_required,
            default=None if default is None else _as_text(default),
            description=told.get("description") or self._description(schema),
        )

    def _description(self, schema: Mapping[str, Any]) -> str:
        """Return the description of a schema, or of its alternatives."""
        schema = self._resolved(schema)
        choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        own = _description_and_attributes(schema)[0]
        said = [own] if "description" in schema else map(self._description, choices)
        return " ".join(dict.fromkeys(filter(None, said)))

    def _examples(self, media: Mapping[str, Any]) -> Iterator[BodyExample]:
        for name, example in media.get("examples", {}).items():
            yield BodyExample(title=example.get("summary", name), text=_as_text(example.get("value"), indent=True))
        for value in [media["example"]] if "example" in media else []:
            yield BodyExample(title="BodyExample", text=_as_text(value, indent=True))

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def kind(self, schema: Mapping[str, Any]) -> str:
        """Return the type of a value in words: `string | list of integer`."""
        schema = self._resolved(schema)
        match schema:
            case {"enum": [*values]} | {"const": values}:
                return " | ".join(map(_as_text, values if isinstance(values, list) else [values]))
            case {"type": "object", "title": str(title)}:
                return title[0].lower() + title[1:]
            case {"anyOf": choices} | {"oneOf": choices}:
                kinds = dict.fromkeys(self.kind(choice) for choice in choices)
                return " | ".join(kind for kind in kinds if kind != "null")
            case {"allOf": [only]}:
                return self.kind(only)
            case {"type": "array"}:
                kind = self.kind(schema.get("items", {}))
                return f"list of ({kind})" if " | " in kind else f"list of {kind}"
            case {"type": "string", "format": "binary"}:
                return "file"
            case {"type": str(name)}:
                return f"{name}{_bounds(schema)}"
        return schema.get("title", "any").lower()


def _description_and_attributes(schema: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Split a description that is the docstring of a dataclass."""
    text, _, attributes = schema.get("description", "").partition("\n\nAttributes:\n")
    return text, {
        name: " ".join(about.split()) for names, about in ATTRIBUTES.findall(attributes) for name in names.split(", ")
    }


def _references(schema: Any) -> Iterator[str]:
    match schema:
        case {"$ref": str(name)}:
            yield name
        case dict():
            for value in schema.values():
                yield from _references(value)
        case list():
            for value in schema:
                yield from _references(value)


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    return ("" if least is None else f" from {least:g}") + ("" if most is None else f" to {most:g}")


def _as_text(value: Any, *, indent: bool = False) -> str:
    return orjson.dumps(_shortened(value), option=orjson.OPT_INDENT_2 if indent else None).decode()


def _shortened(value: Any) -> Any:
    match value:
        case str() if len(value) > LONGEST_TEXT:
            return f"{value[: LONGEST_TEXT - 20]}…"
        case dict():
            return {key: _shortened(inner) for key, inner in value.items()}
        case list():
            return [_shortened(inner) for inner in value]
    return value
