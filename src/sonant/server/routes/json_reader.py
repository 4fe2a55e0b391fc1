"""JSON bodies, read as they arrive; size and shape are bounded before anything is parsed.

A request is a small object with a few long strings, which are recordings. These are cut out while the body is received
and kept as bytes, and only what is left is parsed: no body holds the interpreter for long, or takes more memory than it
has bytes.
"""

from bisect import bisect
from operator import itemgetter
from typing import Any

import orjson

from sonant.server.errors import ApiError
from sonant.server.routes.long_text import LongText
from sonant.server.settings import MIB
from sonant.server.text_limits import FIELDS, TEXT_BYTES, check_text

MAX_DEPTH = 16  # of nested lists and objects
TOKENS, TOKENS_OF_A_RECORDING = 2000, 32  # strings, brackets and commas; a content part in a list has 15
SHORT, LONG = "s", "l"  # first letters of strings in what is parsed: themselves, or the number of a long one


class JsonReader:
    """A reader of the JSON object of one request.

    Args:
        inputs: number of recordings that the request may hold.
    """

    def __init__(self, inputs: int) -> None:
        self._max_tokens = TOKENS + TOKENS_OF_A_RECORDING * inputs
        self._max_bytes = MIB + TEXT_BYTES * inputs
        self._rest = bytearray()  # what is parsed
        self._long: list[LongText] = []
        self._string: bytearray | None = None  # contents of the string that has begun
        self._is_escaped = False  # whether the next character is
        self._tokens = self._num_bytes = 0
        self._shifts: list[tuple[int, int]] = [(0, 0)]  # positions in `_rest`, and what to add for those in the body

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes. Raises ApiError 400: there is more in them than any request needs."""
        at = 0
        while at < len(chunk):
            at = self._outside(chunk, at) if self._string is None else self._inside(chunk, at, self._string)
            if self._tokens > self._max_tokens or len(self._rest) > self._max_bytes:
                raise too_complex(
                    f"has more than {self._max_tokens} values, or {self._max_bytes} bytes besides long texts",
                    "Send recordings as base64 and not as lists of numbers, and fewer at a time",
                )
        self._num_bytes += len(chunk)

    def _outside(self, chunk: bytes, start: int) -> int:
        """Copy what stands before the next string, and return the position after its quotation mark."""
        quote = chunk.find(b'"', start)
        between = chunk[start:] if quote < 0 else chunk[start:quote]
        self._rest += between
        self._tokens += between.count(b",") + between.count(b"[") + between.count(b"{")
        if quote < 0:
            return len(chunk)
        self._string, self._tokens = bytearray(), self._tokens + 1
        return quote + 1

    def _inside(self, chunk: bytes, start: int, string: bytearray) -> int:
        """Collect the contents of the string that has begun, and return the position after them."""
        quote = chunk.find(b'"', start + self._is_escaped)
        contents = chunk[start:] if quote < 0 else chunk[start:quote]
        run = contents[self._is_escaped :]
        self._is_escaped = (len(run) - len(run.rstrip(b"\\"))) % 2 == 1
        string += contents
        if quote < 0:
            return len(chunk)
        if self._is_escaped:
            self._tokens += 1
            return quote  # part of the contents, since it is escaped
        self._string = None
        if len(string) > TEXT_BYTES:
            self._long.append(LongText(string, is_json=True))
            self._add(LONG, b"%d" % (len(self._long) - 1), received=len(string))
        else:
            self._add(SHORT, string, received=len(string))
        return quote + 1

    def _add(self, mark: str, contents: bytes | bytearray, *, received: int) -> None:
        """Add a string to what is parsed."""
        shift = self._shifts[-1][1]
        self._shifts.append((len(self._rest) + 2, shift - 1))
        self._rest += b'"%b%b"' % (mark.encode(), bytes(contents))
        self._shifts.append((len(self._rest), shift + received - len(contents) - 1))

    def finish(self) -> dict[str, Any]:
        """Return the members of the object; long strings in it are `LongText`.

        Raises ApiError 400: it is no JSON object, or nested too deeply; a text in it has control characters.
        """
        try:
            if self._string is not None:
                raise _invalid(f"At character {self._num_bytes}: a string does not end.")
            value = orjson.loads(self._rest)
        except orjson.JSONDecodeError as error:
            if not self._num_bytes:
                raise _invalid("It is empty.") from None
            shift = self._shifts[bisect(self._shifts, error.pos, key=itemgetter(0)) - 1][1]
            raise _invalid(f"At character {error.pos + shift}: {error.msg}.") from None
        if not isinstance(value, dict):
            kind = {list: "array", str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")
            raise ApiError(400, "invalid_json", f"The body is a JSON {kind}; expected an object with the parameters.")
        if len(value) > FIELDS:
            raise too_complex(f"has {len(value)} parameters", f"No request takes more than {FIELDS}")
        return {name: self._restored(inner, name, 1) for name, inner in self._named(value)}

    def _restored(self, value: Any, param: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise too_complex(f"is nested more than {MAX_DEPTH} deep", "No parameter needs that")
        match value:
            case str():
                text = self._text(value)
                return text if isinstance(text, LongText) else check_text(text, param)
            case list():
                return [self._restored(inner, f"{param}[{index}]", depth + 1) for index, inner in enumerate(value)]
            case dict():
                return {name: self._restored(inner, f"{param}.{name}", depth + 1) for name, inner in self._named(value)}
        return value

    def _named(self, members: dict[str, Any]) -> list[tuple[str, Any]]:
        named = []
        for marked, value in members.items():
            name = self._text(marked)
            if isinstance(name, LongText):
                raise too_complex(f"has a name of {len(name)} bytes", f"Names have at most {TEXT_BYTES}")
            named.append((check_text(name, "a name in the body"), value))
        return named

    def _text(self, marked: str) -> str | LongText:
        return marked[1:] if marked[0] == SHORT else self._long[int(marked[1:])]


def too_complex(what: str, cure: str) -> ApiError:
    return ApiError(400, "json_too_complex", f"The JSON {what}. {cure}.")


def _invalid(told: str) -> ApiError:
    return ApiError(400, "invalid_json", f"The body is not JSON. {told}")
