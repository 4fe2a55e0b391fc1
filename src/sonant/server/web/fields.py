"""Fields that an administrator sends, in a form or as a JSON object."""

from collections.abc import Mapping

import orjson
from fastapi import Depends, Request

from sonant.server.errors import ApiError
from sonant.server.text_limits import check_text
from sonant.server.web.administrator import administrator

Fields = Mapping[str, str]


async def fields(request: Request, _: str = Depends(administrator)) -> Fields:
    """Return the fields of a request as text; true and false of JSON are "yes" and "no".

    Raises ApiError 400: the body is neither a form nor a JSON object of texts, numbers and truth values.
    """
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    try:
        given = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise ApiError(400, "invalid_json", f"The body is not JSON. At character {error.pos}: {error.msg}.") from None
    if not isinstance(given, dict):
        raise ApiError(400, "invalid_json", "The body is no JSON object; expected the fields of the page's form.")
    return {name: _text(name, value) for name, value in given.items()}


def required(given: Fields, name: str) -> str:
    """Return a field. Raises ApiError 400: it is missing or empty."""
    value = given.get(name, "").strip()
    if not value:
        raise ApiError(400, "missing_parameter", f"{name} is missing.", param=name)
    return value


def yes_or_no(given: Fields, name: str) -> bool:
    """Return a field that is "yes" or "no". Raises ApiError 400."""
    value = required(given, name)
    if value not in {"yes", "no"}:
        raise ApiError(400, "invalid_value", f"{name} is {value[:40]!r}; expected yes or no.", param=name)
    return value == "yes"


def _text(name: str, value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return check_text(value, name)
        case int() | float():
            return repr(value)
    raise ApiError(400, "invalid_value", f"{name} is neither text, a number, true nor false.", param=name)
